"""`robots_v1`: per stream of a deal which robots are due, stepped by `engine/robots.py`."""

from services.customer.engine.robots import NO_ROBOTS, RobotDocument, RobotEngine, robots_stream
from services.customer.projections.deals import (
    Changed,
    Continued,
    Lost,
    Opened,
    Staged,
    Transferred,
)
from shared.events import topic_of
from shared.events.deal import (
    DealChanged,
    DealContinued,
    DealLost,
    DealOpened,
    DealReopened,
    DealStageMoved,
    DealTransferred,
    DealWon,
)
from shared.projection import Event, Projection, Stepped

_DEALS = "deal-"


def _target(event: Event) -> str | None:
    """The stream of a deal, without what all of them begin with."""
    stream = event.light.stream
    return stream.removeprefix(_DEALS) if stream.startswith(_DEALS) else None


def robots_v1(engine: RobotEngine) -> Stepped[RobotDocument]:
    """Robots, stepped by an engine; a new rule set is a new engine and so a new value."""
    projection = Projection(
        name="robots_v1",
        topics=(topic_of(DealOpened.type, "customer"),),
        reads={
            DealOpened.type: Opened,
            DealChanged.type: Changed,
            DealStageMoved.type: Staged,
            DealWon.type: Staged,
            DealLost.type: Lost,
            DealReopened.type: Staged,
            DealTransferred.type: Transferred,
            DealContinued.type: Continued,
        },
        document=RobotDocument,
        target=_target,
        apply=engine.fold,
    )
    return Stepped(
        projection=projection,
        stream=robots_stream,
        step=engine.step,
        wake=engine.wake,
        live=engine.live,
        revise=engine.revise,
        barriers=frozenset(),
    )


ROBOTS = robots_v1(RobotEngine(NO_ROBOTS))

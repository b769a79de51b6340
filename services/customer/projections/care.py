"""`care_v1`: per customer what time will change, stepped; see `services.customer.engine`."""

import msgspec

from services.customer.engine.document import Care
from services.customer.engine.rules import NO_RULES
from services.customer.engine.stepping import CareEngine, care_stream
from services.customer.engine.taking import READS
from shared.events.imports import ImportEnded
from shared.projection import Event, Projection, Stepped

TOPICS = ("customer.events.v1", "deal.events.v1", "interaction.events.v1")
_OWN = care_stream("")


class Ended(msgspec.Struct, frozen=True, gc=False):
    """Of `import.ended`."""

    import_id: str


def _customer_of(event: Event) -> str | None:
    """The customer; not of what the engine said itself."""
    light = event.light
    return None if light.stream.startswith(_OWN) else light.subject


def care_v1(engine: CareEngine) -> Stepped[Care]:
    """Care, stepped by an engine; a new rule set is a new engine and so a new value."""
    projection = Projection(
        name="care_v1",
        topics=TOPICS,
        reads={**READS, ImportEnded.type: Ended},
        document=Care,
        target=_customer_of,
        apply=engine.fold,
    )
    return Stepped(
        projection=projection,
        stream=care_stream,
        step=engine.step,
        wake=engine.wake,
        live=engine.live,
        revise=engine.revise,
        barriers=frozenset({ImportEnded.type}),
    )


CARE = care_v1(CareEngine(NO_RULES))

"""`python -m services.segment --role api|worker|relay|all`: builds everything, then runs."""

from collections.abc import Mapping
from datetime import UTC, timedelta

from services.segment.api import DefinitionApi, ExplainingApi, MemberApi, PreviewApi, Speech
from services.segment.consumers import PROJECTIONS, LiveRules
from services.segment.engine.stepping import HORIZON
from services.segment.projections import members_v2
from services.segment.queries.definitions import Definitions
from services.segment.queries.members import Members
from services.segment.queries.profiles import Profiles
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.settings import Settings

SERVICE = "segment"


class SegmentSettings(Settings):
    """The segment service's own settings.

    `profile_horizon` is how long receipts are kept one by one: no rule may look back further.
    """

    profile_horizon: timedelta = HORIZON


async def build(settings: SegmentSettings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    rules = LiveRules(kernel.store, settings.profile_horizon)
    await rules.refresh()
    profiles = await kernel.stepped_projector(rules)
    folders = [await kernel.projector(projection) for projection in PROJECTIONS]
    definitions = Definitions(kernel.writer)
    members = Members(kernel.documents(members_v2).collection)
    asked = Profiles(kernel.documents(rules.stepped.projection).collection)
    speech = Speech.read(settings.currency)
    apis = (
        DefinitionApi(
            writer=kernel.writer,
            definitions=definitions,
            members=members,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
        ),
        MemberApi(definitions=definitions, members=members, clock=kernel.clock),
        ExplainingApi(
            definitions=definitions,
            members=members,
            profiles=asked,
            speech=speech,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
        ),
        PreviewApi(
            definitions=definitions,
            profiles=asked,
            speech=speech,
            clock=kernel.clock,
            horizon=settings.profile_horizon,
            zone=UTC,
        ),
    )

    async def counts() -> Mapping[str, int]:
        due = await kernel.due_timers(rules.stepped.projection)
        return {"due_timers": due}

    return await assemble(
        kernel,
        role,
        title="Regulars: segments",
        routers=[api.router() for api in apis],
        projectors=[profiles, *folders],
        worker_tasks=[rules.follow],
        reports=Reports(counts=counts),
    )


def main() -> None:
    """Run the service."""
    start(SERVICE, SegmentSettings, build)

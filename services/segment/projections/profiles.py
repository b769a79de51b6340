"""Profiles, which decide: the stepping of the engine as the runner calls it.

A new rule set is a new value beside the old one, so that a batch is folded with one set.
"""

import msgspec

from services.segment.engine.facts import READS
from services.segment.engine.glancing import Glance
from services.segment.engine.life import membership_stream
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.rules.language.kinds import NOTIFICATIONS
from shared.events import topic_of
from shared.events.customer import CustomerRegistered
from shared.events.deal import DealOpened
from shared.events.imports import ImportEnded
from shared.events.interaction import ReceiptRecorded
from shared.events.lists import ListEntered
from shared.events.notification import MessageSent
from shared.projection import Event, Projection, Stepped

MESSAGES = topic_of(MessageSent.type, "notify")
"""Always read, and waited for only while a rule asks for it: a chain may do without campaigns."""


class Ended(msgspec.Struct, frozen=True, gc=False):
    """Of `import.ended`."""

    import_id: str


def _profile_of(event: Event) -> str | None:
    return event.light.subject


def profiles_v2(engine: Engine) -> Stepped[Profile]:
    """Profiles, stepped by an engine; a new rule set is a new engine and so a new value.

    Personal fields are opened, because rules may ask for custom ones.
    """
    projection = Projection(
        name="profiles_v2",
        topics=(
            topic_of(CustomerRegistered.type, "customer"),
            topic_of(ReceiptRecorded.type, "interaction"),
            topic_of(DealOpened.type, "customer"),
            MESSAGES,
            topic_of(ListEntered.type, "segment"),
        ),
        reads={**READS, ImportEnded.type: Ended},
        document=Profile,
        target=_profile_of,
        apply=engine.fold,
        opens=True,
        indexes=((("lacks", 1), ("partition", 1)),),
    )
    return Stepped(
        projection=projection,
        stream=membership_stream,
        step=engine.step,
        wake=engine.wake,
        live=engine.live,
        revise=engine.revise,
        barriers=frozenset({ImportEnded.type}),
        glances=Glance.all_of(engine),
        spared=frozenset() if NOTIFICATIONS in engine.rules.touched_by else frozenset({MESSAGES}),
    )

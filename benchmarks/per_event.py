"""The segment service that one writes first: read the customer, ask every rule, write it back.

It shares the rules, the interpreter and the profile's format with the product, and has none of the
rest: no batches, no index of rules by what they look at, no functions, no timers. In its favour, it
announces nothing: who enters or leaves is only written into the document.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from benchmarks.bare import BareDatabase
from benchmarks.sample import LoggedEvent
from services.segment.engine.facts import fact_of
from services.segment.engine.profile import Profile, names_of, take_view
from services.segment.engine.reported import Recorded
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.happened import Happened
from services.segment.rules.instants import instant
from services.segment.rules.language.tree import Rule
from shared.envelope import decode_light
from shared.projection import Event

COLLECTION = "per_event"


@dataclass(frozen=True, slots=True)
class PerEvent:
    """Keeps memberships by asking everything at each event."""

    database: BareDatabase
    rules: Sequence[tuple[str, Rule]]

    async def handle(self, logged: LoggedEvent) -> None:
        """One receipt."""
        collection = self.database[COLLECTION]
        light = decode_light(logged.value)
        data = msgspec.json.decode(light.data, type=Recorded)
        found = await collection.find_one({"_id": light.subject})
        profile = msgspec.convert(found, Profile)
        names = names_of(profile)
        fact = fact_of(Event(light, data, 0), lambda: names)
        if not isinstance(fact, Happened):
            raise TypeError(fact)
        view = take_view(profile)
        view.inside = profile.memberships
        view.add(fact)
        at = instant(light.recordedtime)
        inside = [name for name, rule in self.rules if evaluate(rule, view, at).value]
        since = {
            name: msgspec.to_builtins(held, builtin_types=(datetime,))
            for name, held in profile.memberships.items()
        }
        new = {"since": light.recordedtime, "version": 0, "definition": 1}
        await collection.update_one(
            {"_id": profile.id},
            {
                "$push": {"happened.receipts": msgspec.to_builtins(fact, builtin_types=(bytes,))},
                "$set": {
                    "clock": light.recordedtime,
                    "names": names.all,
                    "memberships": {name: since.get(name, new) for name in inside},
                },
            },
        )

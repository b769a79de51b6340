"""What this service holds of a record of a person: where it was and is a member, and why."""

from dataclasses import dataclass

from services.segment.domain.listing import listing_stream
from services.segment.engine.life import membership_stream
from shared.decider import Refused, not_found
from shared.disclosure import Disclosure, events_of
from shared.execute import Writer
from shared.readmodel import Questions


@dataclass(frozen=True, slots=True)
class Held:
    """Questions to all that is held of a record: segments and static lists.

    What profiles know is folded from events of the other services, which tell it themselves.
    """

    writer: Writer
    profiles: Questions

    async def of(self, customer: str) -> Disclosure:
        """All that is held. Raises `Refused`: 404 for nobody, 410 for somebody erased."""
        profile = await self.profiles.get(customer)
        if profile is not None and profile.get("removed"):
            raise Refused("erased", 410, "The customer was erased.")
        streams = (membership_stream(customer), listing_stream(customer))
        events = await events_of(self.writer, streams)
        if profile is None and not events:
            raise not_found("customer", customer)
        return Disclosure([customer], events)

"""What this service holds of a person: one answer to whoever asks what is known of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notify.domain import message_stream
from services.notify.domain.coupons import coupon_stream
from services.notify.domain.coupons.referral import brought_stream, came_stream
from services.notify.domain.ledger import ledger_stream
from services.notify.domain.preference import preferences_stream
from services.notify.domain.series import journey_stream
from services.notify.domain.suppression import address_stream
from services.notify.handlers.recipients.merged import absorptions
from services.notify.handlers.recipients.reading import People
from services.notify.projections import Recipient
from shared.decider import Refused, not_found
from shared.disclosure import Disclosure, events_of
from shared.execute import Writer
from shared.readmodel import Questions

_KIND = "customer"


@dataclass(frozen=True, slots=True)
class Held:
    """Questions to all that is held of a person.

    Messages, what was decided by links in them, places in caps and in series, coupons,
    recommendations, and what befell the person's addresses.
    """

    writer: Writer
    people: People
    messages: Questions
    journeys: Questions
    coupons: Questions

    async def of(self, customer: str) -> Disclosure:
        """All that is held. Raises `Refused`: 404 for nobody, 410 for somebody erased."""
        top = await self._living(customer)
        if top.removed:
            raise Refused("erased", 410, "The customer was erased.")
        customers = [top.id]
        await absorptions(self.people, {top.id: top}, lambda _, each: customers.append(each.other))
        streams = [
            name(each)
            for each in customers
            for name in (preferences_stream, ledger_stream, came_stream, brought_stream)
        ]
        streams += [message_stream(raw["_id"]) for raw in await _of(self.messages, customers)]
        streams += [
            journey_stream(raw["series"], raw["customer"])
            for raw in await _of(self.journeys, customers, "series", "customer")
        ]
        streams += [coupon_stream(raw["_id"]) for raw in await _of(self.coupons, customers)]
        known = await self.people.load(customers)
        contacts = {each.hash for person in known.values() for each in person.contacts}
        streams += [address_stream(each) for each in sorted(contacts)]
        return Disclosure(customers, await events_of(self.writer, streams))

    async def _living(self, customer: str) -> Recipient:
        """Who the customer is now."""
        seen: set[str] = set()
        while customer not in seen:
            seen.add(customer)
            found = (await self.people.load([customer])).get(customer)
            if found is None:
                break
            if found.merged is None:
                return found
            customer = found.merged
        raise not_found(_KIND, customer)


async def _of(
    documents: Questions, customers: Sequence[str], *fields: str
) -> Sequence[Mapping[str, Any]]:
    wanted = dict.fromkeys(("_id", *fields), 1)
    return await documents.find({"customer": {"$in": list(customers)}}, fields=wanted)

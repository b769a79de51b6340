"""What this service holds of a person: one answer to whoever asks what is known of them.

It is read from the log itself, of every customer who is one person with the one that is named, so
that nothing is left out by a read model that has no use for it. Read models add what others wrote
about the person: deals and companies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.customer.domain.deal import deal_stream
from services.customer.domain.state import Customer, stream_of
from services.customer.engine.robots import robots_stream
from services.customer.queries.records import tree_of
from shared.decider import Refused, not_found
from shared.disclosure import events_of
from shared.execute import Writer
from shared.readmodel import Questions, RawDocument

OWN = ("care-",)
"""Streams beside the customer's own whose events concern it; what follows is its id."""
SHOWN = (
    "_id", "customer", "pipeline", "stage", "status", "terms", "opened", "closed", "lost_reason",
    "responsible", "branch",
)  # fmt: skip
"""What is told of a deal."""
_KIND = "customer"


@dataclass(frozen=True, slots=True)
class Disclosure:
    """All of it; `people` are the states of the customers who are one person, by id.

    `events` are in the order of their streams, with personal fields in the clear.
    """

    people: Mapping[str, Customer]
    events: Sequence[Mapping[str, Any]]
    deals: Sequence[RawDocument]
    companies: Sequence[RawDocument]


@dataclass(frozen=True, slots=True)
class Access:
    """Questions to all that is held of a person."""

    writer: Writer
    deals: Questions
    companies: Questions

    async def of(self, customer: str) -> Disclosure:
        """All that is held. Raises `Refused`: 404 for nobody, 410 for somebody erased."""
        people = await tree_of(self.writer, customer)
        if not people[customer].registered:
            raise not_found(_KIND, customer)
        if people[customer].erased:
            raise Refused("erased", 410, "The customer was erased.")
        ids = sorted(people)
        deals = await self.deals.find({"customer": {"$in": ids}})
        companies = await self.companies.find({"contacts.customer": {"$in": ids}})
        streams = [stream_of(each) for each in ids]
        streams += [f"{kind}{each}" for kind in OWN for each in ids]
        of_deals = sorted({name for deal in deals for name in deal.get("versions", {})})
        streams += of_deals
        streams += [robots_stream(name.removeprefix(deal_stream(""))) for name in of_deals]
        return Disclosure(
            people,
            await events_of(self.writer, streams),
            [_shown(deal) for deal in deals],
            [_contact_of(company, ids) for company in companies],
        )


def _shown(raw: RawDocument) -> RawDocument:
    """A document without what only the read model needs; what is sealed is in the events."""
    return {
        name: raw[name]
        for name in ("_id", "pipeline", "stage", "status", "terms", "responsible", "branch")
        if name in raw
    }


def _contact_of(company: RawDocument, ids: Sequence[str]) -> RawDocument:
    """The company's id and the person's place in it, and nobody else's."""
    contacts = [each for each in company.get("contacts", ()) if each.get("customer") in ids]
    return {"_id": company["_id"], "contacts": contacts}

"""From a filled form to a customer: registered, or found by the address and changed.

Every command's id is of the submission, so a confirmation that was cut off is finished by sending
it again. Who has confirmed nothing changes nothing that is there: a known customer then keeps every
field, and only a consent that was never spoken of is recorded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.customer.domain.commands import (
    AddIdentifier,
    ChangeRecord,
    ChangeTags,
    Command,
    GiveConsent,
    NewIdentifier,
    Register,
)
from services.customer.domain.filling import Answers
from services.customer.domain.promising import PROMISE, PROMISE_CLAIMS, Promise, promise_stream
from services.customer.domain.state import Customer
from services.customer.handlers.customers import (
    Request,
    carry_out,
    carry_out_all,
    new_customer_id,
)
from services.customer.handlers.form_entries import Submission
from services.customer.queries.records import Records
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.care import TagsChanged
from shared.events.customer import (
    ConsentGiven,
    CustomerRegistered,
    Evidence,
    IdentifierState,
    RecordFields,
)
from shared.events.forms import FormDefined
from shared.eventstore import body_hash
from shared.execute import Command as Execution
from shared.execute import Writer
from shared.identifiers import IdentifierRules, KnownIdentifier

ROUNDS = 5
"""How often somebody else may take an address between looking and registering."""
_LET_BE = frozenset({"identifier-taken", "unknown-contact", "consent-superseded"})
"""Another customer took the second address, or the same person sent another form, meanwhile."""
Part = tuple[str, Command]
"""With the part of its id that tells it apart, the same each time."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A submission with the form as it is now, and what its addresses are known by."""

    submission: Submission
    definition: FormDefined
    email: KnownIdentifier | None
    phone: KnownIdentifier | None
    confirmed: bool
    at: datetime

    @property
    def answers(self) -> Answers:
        """What was answered."""
        return self.submission.answers

    @property
    def who(self) -> KnownIdentifier:
        """The address that says who it is."""
        found = self.email or self.phone
        assert found is not None  # noqa: S101 - every form requires one of them
        return found

    def request(self, part: str) -> Request:
        """The request for a part of what follows, the same each time."""
        command_id = f"form|{self.submission.id}|{part}"
        return Request(command_id, body_hash(command_id), self.at)

    def identifiers(self, owners: Mapping[str, str | None], me: str | None) -> list[NewIdentifier]:
        """Those that nobody else has: what another customer has is left to them, without a word."""
        state: IdentifierState | None = "verified" if self.confirmed else None
        found = []
        if self.email is not None and owners.get(self.email.claim_id) in (None, me):
            found.append(NewIdentifier(known=self.email, state=state))
        if self.phone is not None and owners.get(self.phone.claim_id) in (None, me):
            found.append(NewIdentifier(known=self.phone))
        return found

    def consents(self, mine: frozenset[str]) -> Iterator[ConsentGiven]:
        """What was agreed to, bound to the address of the channel, where that is the customer's."""
        evidence = {
            "source": f"form:{self.definition.form}",
            "at": self.at,
        }
        bound = {"email": self.email, "sms": self.phone}
        for each in self.answers.consents:
            contact = bound.get(each.channel)
            if each.channel in bound and (contact is None or contact.hash not in mine):
                continue
            yield ConsentGiven(
                topic=each.topic,
                channel=each.channel,
                contact=None if contact is None else contact.hash,
                evidence=Evidence.model_validate(
                    {
                        **evidence,
                        "wording": each.wording,
                        # The code was mailed: it proves no phone.
                        "confirmed": (self.confirmed and each.channel != "sms") or None,
                    }
                ),
            )


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Takes filled forms in."""

    writer: Writer
    records: Records
    rules: IdentifierRules

    async def accept(self, filled: Filled) -> str | None:
        """Register or change the customer; gives the coupon, if this person gets it now."""
        customer = await self._customer(filled)
        promise = filled.definition.promise
        if promise is None or not filled.confirmed:
            return None
        command = Promise(
            filled.definition.form, promise.coupon, customer, filled.who.hash, filled.at
        )
        request = filled.request("promise")
        if await self._kept_to_another(command, request.command_id):
            return None
        done = await self.writer.one(
            PROMISE,
            Execution(
                id=request.command_id,
                hash=request.hash,
                stream=promise_stream(command.form, customer),
                key=customer,
                body=command,
                causation=Causation(correlation=request.command_id),
                subject=customer,
            ),
            claims=PROMISE_CLAIMS,
        )
        return promise.coupon if done.changed else None

    async def _kept_to_another(self, promise: Promise, command_id: str) -> bool:
        """Whether one who was merged into the customer has the gift, by another submission."""
        others = (await self.records.get(promise.customer)).others
        held = await self.writer.store.claims_of(sorted(others)) if others else ()
        if not any(promise.is_of_form(claim.id) for claim in held):
            return False
        return not await self.writer.store.known([command_id])

    async def _customer(self, filled: Filled) -> str:
        """The customer, registered or changed."""
        mine = new_customer_id(filled.request("register").command_id)
        refusal: Refused | None = None
        for _ in range(ROUNDS):
            owners = await self._owners(filled)
            owner = owners.get(filled.who.claim_id)
            if owner not in (None, mine):
                return await self._change(filled, owner or "", owners)
            command = _registration(filled, mine, owners)
            try:
                await carry_out(self.writer, filled.request("register"), command)
            except Refused as why:
                if why.type != "identifier-taken":
                    raise
                refusal = why
            else:
                return mine
        raise refusal or Refused("busy", 503, "Somebody else is faster.", "try again")

    async def _owners(self, filled: Filled) -> Mapping[str, str | None]:
        ids = [each.claim_id for each in (filled.email, filled.phone) if each is not None]
        found = await self.writer.store.claims(ids)
        return {claim.id: claim.owner for claim in found.values()}

    async def _change(self, filled: Filled, owner: str, owners: Mapping[str, str | None]) -> str:
        record = await self.records.get(owner)
        changes = _changes(filled, record.id, record.state, owners)
        asked = [(filled.request(part), command) for part, command in changes]
        for outcome in await carry_out_all(self.writer, asked) if asked else ():
            if isinstance(outcome, Refused) and outcome.type not in _LET_BE:
                raise outcome
        return record.id


def _registration(filled: Filled, customer: str, owners: Mapping[str, str | None]) -> Register:
    definition = filled.definition
    identifiers = tuple(filled.identifiers(owners, customer))
    record = filled.answers.record().model_copy(
        update={"home_branch": definition.branch, "acquisition": definition.source}
    )
    person = CustomerRegistered.model_validate(record.model_dump(exclude_none=True))
    mine = frozenset(each.known.hash for each in identifiers)
    tags = tuple(sorted(set(definition.tags)))
    return Register(
        customer=customer,
        at=filled.at,
        person=person,
        identifiers=identifiers,
        consents=tuple(filled.consents(mine)),
        further=(TagsChanged(added=tags),) if tags else (),
    )


def _changes(
    filled: Filled, customer: str, state: Customer, owners: Mapping[str, str | None]
) -> Iterator[Part]:
    at, answers = filled.at, filled.answers
    mine = frozenset(each.hash for each in state.identifiers.values())
    if not filled.confirmed:
        spoken = {(topic, channel) for topic, channel, _ in state.consents}
        for consent in filled.consents(mine):
            if (consent.topic, consent.channel) not in spoken:
                yield _given(customer, at, consent)
        return
    record = answers.record()
    if record != RecordFields():
        yield "record", ChangeRecord(customer=customer, at=at, fields=record)
    added = filled.identifiers(owners, customer)
    for each in added:
        yield each.known.kind, AddIdentifier(customer=customer, at=at, identifier=each)
    for consent in filled.consents(mine | {each.known.hash for each in added}):
        yield _given(customer, at, consent)
    if filled.definition.tags:
        tags = frozenset(filled.definition.tags)
        yield "tags", ChangeTags(customer=customer, at=at, add=tags)


def _given(customer: str, at: datetime, consent: ConsentGiven) -> Part:
    part = f"consent-{consent.topic}-{consent.channel}"
    return part, GiveConsent(customer=customer, at=at, consent=consent)

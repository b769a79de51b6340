"""Two customers become one, and part again: each rule by an example, and the races."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.customer.domain.absorbing import Standing
from services.customer.domain.commands import (
    AddIdentifier,
    AssignResponsible,
    Blacklist,
    ChangeIdentifier,
    ChangeRecord,
    ChangeTags,
    Command,
    GiveConsent,
    NewIdentifier,
    Register,
    RemoveIdentifier,
    RemoveNote,
    SetDiscount,
    WithdrawConsent,
    WriteNote,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.merging import Merge
from services.customer.domain.reverting import Revert
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.customers import Request, carry_out
from services.customer.handlers.merging import merge, merge_id, revert
from services.customer.queries.records import Records
from shared.clock import ManualClock
from shared.decider import Refused
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
    RecordFields,
)
from shared.eventstore import Append, EventStore
from shared.execute import Done, Writer
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, InterceptedStore

PHONE = KnownIdentifier("phone", "p1", "+491")
EMAIL = KnownIdentifier("email", "e1", "anna@example.com")
CARD = KnownIdentifier("card", "c1", "A1")
TILL = Evidence(source="till", wording="1")
WEB = Evidence(source="web", wording="2")


@dataclass(slots=True)
class Shop:
    """Two customers of a chain in memory: anna has a phone, bea a card."""

    memory: MemoryEventStore = field(default_factory=MemoryEventStore)
    store: EventStore | None = None
    keyring: Keyring = field(default_factory=lambda: Keyring(MemoryKeyStore(), AESGCM(bytes(32))))
    sent: int = 0
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        store = self.store or self.memory
        self.writer = Writer(store, self.keyring, ManualClock(DAY), "customer")

    def request(self) -> Request:
        self.sent += 1
        return Request(f"c{self.sent}", f"h{self.sent}", DAY)

    async def register(
        self, customer: str, *known: KnownIdentifier, shared: bool = False, **fields: object
    ) -> None:
        await self.do(
            Register(
                customer=customer,
                at=DAY,
                person=CustomerRegistered.model_validate(fields),
                identifiers=tuple(NewIdentifier(known=each, shared=shared) for each in known),
            )
        )

    async def do(self, command: Command) -> Done:
        return await carry_out(self.writer, self.request(), command)

    async def merge(self, loser: str, into: str, request: Request | None = None) -> str:
        request = request or self.request()
        command = Merge(customer=loser, into=into, merge=merge_id(request.command_id), at=DAY)
        return (await merge(self.writer, request, command)).survivor

    async def revert(self, loser: str, request: Request | None = None) -> str:
        command = Revert(customer=loser, survivor=None, at=DAY)
        return (await revert(self.writer, request or self.request(), command)).survivor

    async def state(self, customer: str) -> Customer:
        state, _version = await self.writer.state(CUSTOMER, stream_of(customer))
        return state

    async def owner(self, known: KnownIdentifier) -> str | None:
        claims = await self.memory.claims([known.claim_id])
        return claims[known.claim_id].owner if known.claim_id in claims else None

    async def say(
        self, customer: str, evidence: Evidence, *, given: bool, contact: str | None = None
    ) -> None:
        about = {"topic": "news", "channel": "sms", "contact": contact, "evidence": evidence}
        if given:
            consent = ConsentGiven.model_validate(about)
            await self.do(GiveConsent(customer=customer, at=DAY, consent=consent))
        else:
            withdrawn = ConsentWithdrawn.model_validate(about)
            await self.do(WithdrawConsent(customer=customer, at=DAY, withdrawn=withdrawn))


async def shop() -> Shop:
    made = Shop()
    await made.register("anna", PHONE, surname="Ivanova")
    await made.register("bea", CARD, surname="Ivanowa", city="Perm")
    return made


async def refusal(doing: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as raised:
        await doing
    return raised.value


async def test_what_found_the_loser_finds_the_survivor() -> None:
    chain = await shop()
    assert await chain.merge("bea", "anna") == "anna"
    # The card was claimed at epoch 1, and has another owner at epoch 2.
    anna = await chain.state("anna")
    assert {key: each.epoch for key, each in anna.identifiers.items()} == {
        PHONE.claim_id: 1, CARD.claim_id: 2,
    }  # fmt: skip
    assert anna.identifiers[CARD.claim_id].value == "A1"
    assert await chain.owner(CARD) == "anna"


async def test_the_survivor_takes_over_what_it_lacks_and_keeps_what_it_has() -> None:
    chain = await shop()
    await chain.do(AssignResponsible(customer="bea", at=DAY, employee="eve"))
    await chain.do(SetDiscount(customer="bea", at=DAY, discount=500))
    await chain.do(SetDiscount(customer="anna", at=DAY, discount=300))
    await chain.do(Blacklist(customer="bea", at=DAY, reason="rude"))
    await chain.merge("bea", "anna")
    anna = await chain.state("anna")
    assert (anna.record.surname, anna.record.city) == ("Ivanova", "Perm")
    assert (anna.responsible, anna.discounts) == ("eve", {"person": 300})
    assert anna.blacklist is not None
    assert anna.blacklist.reason == "rude"
    await chain.revert("bea")
    anna = await chain.state("anna")
    assert (anna.record.city, anna.responsible, anna.blacklist) == (None, None, None)
    assert anna.discounts == {"person": 300}


async def test_a_withdrawal_on_either_side_wins_and_silence_gives_way() -> None:
    chain = await shop()
    await chain.say("anna", TILL, given=True)
    await chain.say("bea", WEB, given=False)
    await chain.merge("bea", "anna")
    key = ("news", "sms", "")
    assert (await chain.state("anna")).consents == {key: Standing(given=False, evidence=WEB)}
    await chain.revert("bea")
    assert (await chain.state("anna")).consents == {key: Standing(given=True, evidence=TILL)}


async def test_what_was_withdrawn_for_all_is_given_for_no_contact_point_by_a_merge() -> None:
    chain = await shop()
    await chain.say("anna", TILL, given=False)
    await chain.say("bea", WEB, given=True, contact=CARD.hash)
    await chain.merge("bea", "anna")
    anna = await chain.state("anna")
    assert anna.consents == {("news", "sms", ""): Standing(given=False, evidence=TILL)}
    # The other way round, the consent to one contact point ends with what the loser withdrew.
    other = await shop()
    await other.say("anna", TILL, given=True, contact=PHONE.hash)
    await other.say("bea", WEB, given=False)
    await other.merge("bea", "anna")
    withdrawn = Standing(given=False, evidence=WEB)
    assert (await other.state("anna")).consents == {
        ("news", "sms", ""): withdrawn, ("news", "sms", PHONE.hash): withdrawn,
    }  # fmt: skip


async def test_who_never_spoke_takes_over_the_evidence() -> None:
    chain = await shop()
    await chain.say("bea", WEB, given=True)
    await chain.merge("bea", "anna")
    given = {("news", "sms", ""): Standing(given=True, evidence=WEB)}
    assert (await chain.state("anna")).consents == given


async def test_every_word_of_all_records_of_a_person_is_evidence_oldest_first() -> None:
    chain = await shop()
    for day, (customer, given) in enumerate([("bea", True), ("anna", True), ("bea", False)]):
        said = Evidence(source=f"day {day}", at=DAY + timedelta(days=day))
        await chain.say(customer, said, given=given)
    await chain.merge("bea", "anna")
    records = Records(chain.writer)
    words = await records.consents(await records.get("bea"))
    sources = [each.evidence.source for each in words]
    assert sources == ["day 0", "day 1", "day 2"]


async def test_what_is_withdrawn_after_the_merge_is_withdrawn_at_both_when_they_part() -> None:
    chain = await shop()
    await chain.say("bea", WEB, given=True)
    await chain.merge("bea", "anna")
    await chain.say("anna", TILL, given=False)
    await chain.revert("bea")
    withdrawn = {("news", "sms", ""): Standing(given=False, evidence=TILL)}
    assert (await chain.state("bea")).consents == withdrawn
    assert (await chain.state("anna")).consents == withdrawn


async def test_a_consent_to_one_contact_point_that_was_withdrawn_since_is_so_at_the_loser() -> None:
    chain = await shop()
    await chain.say("bea", WEB, given=True)
    await chain.merge("bea", "anna")
    await chain.say("anna", TILL, given=False, contact=CARD.hash)
    await chain.revert("bea")
    bea = await chain.state("bea")
    assert bea.consents[("news", "sms", CARD.hash)] == Standing(given=False, evidence=TILL)
    assert bea.consents[("news", "sms", "")].given


async def test_a_revert_gives_back_nothing_that_came_later() -> None:
    chain = await shop()
    await chain.merge("bea", "anna")
    fields = RecordFields(city="Omsk")
    await chain.do(ChangeRecord(customer="anna", at=DAY, fields=fields))
    email = NewIdentifier(known=EMAIL)
    await chain.do(AddIdentifier(customer="anna", at=DAY, identifier=email))
    await chain.do(ChangeTags(customer="anna", at=DAY, add=frozenset({"vip"})))
    await chain.revert("bea")
    anna, bea = await chain.state("anna"), await chain.state("bea")
    assert (anna.record.city, bea.record.city) == ("Omsk", "Perm")
    assert set(anna.identifiers) == {PHONE.claim_id, EMAIL.claim_id}
    assert set(bea.identifiers) == {CARD.claim_id}
    assert (anna.tags, bea.tags) == (frozenset({"vip"}), frozenset())
    assert await chain.owner(CARD) == "bea"


async def test_a_removed_identifier_does_not_come_back_also_when_it_was_added_again() -> None:
    chain = await shop()
    await chain.merge("bea", "anna")
    gone = RemoveIdentifier(customer="anna", at=DAY, kind="card", hash=CARD.hash)
    await chain.do(gone)
    again = NewIdentifier(known=CARD)
    await chain.do(AddIdentifier(customer="anna", at=DAY, identifier=again))
    await chain.revert("bea")
    assert (await chain.state("bea")).identifiers == {}
    assert await chain.owner(CARD) == "anna"


async def test_a_contact_point_that_turned_out_bad_stays_bad() -> None:
    chain = await shop()
    await chain.merge("bea", "anna")
    bad = ChangeIdentifier(customer="anna", at=DAY, kind="card", hash=CARD.hash, state="bad")
    await chain.do(bad)
    await chain.revert("bea")
    assert (await chain.state("bea")).identifiers[CARD.claim_id].state == "bad"


async def test_a_shared_value_is_the_owners_while_they_are_one_and_shared_again_after() -> None:
    chain = Shop()
    await chain.register("anna", PHONE, shared=True)
    await chain.register("bea", PHONE)
    await chain.merge("bea", "anna")
    assert not (await chain.state("anna")).identifiers[PHONE.claim_id].shared
    assert await chain.owner(PHONE) == "anna"
    await chain.revert("bea")
    assert (await chain.state("anna")).identifiers[PHONE.claim_id].shared
    assert await chain.owner(PHONE) == "bea"


async def test_notes_stay_where_they_were_written_and_can_be_taken_away_there() -> None:
    chain = await shop()
    await chain.do(WriteNote(customer="bea", at=DAY, note="n", text="likes rye"))
    await chain.merge("bea", "anna")
    assert (await chain.state("anna")).notes == {}
    await chain.do(RemoveNote(customer="bea", at=DAY, note="n"))
    assert (await chain.state("bea")).notes == {}


async def test_commands_to_the_loser_reach_the_survivor() -> None:
    chain = await shop()
    await chain.merge("bea", "anna")
    done = await chain.do(ChangeTags(customer="bea", at=DAY, add=frozenset({"vip"})))
    assert done.stream == "customer-anna"


async def test_nobody_is_merged_into_themselves_or_twice() -> None:
    chain = await shop()
    assert (await refusal(chain.merge("anna", "anna"))).type == "invalid"
    await chain.merge("bea", "anna")
    again = await refusal(chain.merge("bea", "anna"))
    assert (again.type, again.extra) == ("already-merged", {"survivor": "anna"})
    # Who was merged into anna stands for anna: that would be herself.
    assert (await refusal(chain.merge("anna", "bea"))).type == "invalid"
    assert (await refusal(chain.merge("anna", "nobody"))).type == "not-found"
    assert (await refusal(chain.merge("nobody", "anna"))).type == "not-found"


async def test_merging_into_somebody_who_was_merged_is_merging_into_the_survivor() -> None:
    chain = await shop()
    await chain.register("carl", EMAIL)
    await chain.merge("bea", "anna")
    assert await chain.merge("carl", "bea") == "anna"
    assert await chain.owner(EMAIL) == "anna"


async def test_the_newest_merge_goes_first_and_the_outermost() -> None:
    chain = await shop()
    await chain.register("carl", EMAIL)
    await chain.merge("bea", "anna")
    await chain.merge("carl", "anna")
    later = await refusal(chain.revert("bea"))
    assert (later.type, later.extra) == ("later-merge", {"first": "carl"})
    await chain.revert("carl")
    await chain.merge("anna", "carl")
    outer = await refusal(chain.revert("bea"))
    assert (outer.type, outer.extra) == ("outer-merge", {"first": "anna"})
    await chain.revert("anna")
    assert await chain.revert("bea") == "anna"
    assert [await chain.owner(each) for each in (PHONE, CARD, EMAIL)] == ["anna", "bea", "carl"]


async def test_who_is_in_no_merge_has_nothing_to_undo() -> None:
    chain = await shop()
    assert (await refusal(chain.revert("anna"))).type == "not-merged"
    assert (await refusal(chain.revert("nobody"))).type == "not-found"


async def test_a_merge_and_a_revert_sent_again_answer_as_they_did() -> None:
    chain = await shop()
    merging, reverting = chain.request(), chain.request()
    assert await chain.merge("bea", "anna", merging) == "anna"
    assert await chain.merge("bea", "anna", merging) == "anna"
    assert await chain.revert("bea", reverting) == "anna"
    assert await chain.revert("bea", reverting) == "anna"
    # One registration, one merge and one revert each.
    assert {(await chain.state(each)).version for each in ("anna", "bea")} == {3}


async def test_of_two_merges_at_once_one_wins_and_there_is_no_cycle() -> None:
    chain = await shop()
    outcomes = await asyncio.gather(
        chain.merge("bea", "anna"), chain.merge("anna", "bea"), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Refused", "str"]
    merged = [(await chain.state(each)).merged is not None for each in ("anna", "bea")]
    assert sorted(merged) == [False, True]


def overtaken(chain: Shop, first: Callable[[], Awaitable[object]]) -> Shop:
    """The same shop, where somebody else is faster before the first append."""
    waiting = [first]

    async def before(_appends: Sequence[Append]) -> None:
        if waiting:
            await waiting.pop()()

    store = InterceptedStore(chain.memory, before=before)
    return Shop(memory=chain.memory, store=store, keyring=chain.keyring, sent=100)


async def test_a_command_on_its_way_while_its_customer_is_merged_reaches_the_survivor() -> None:
    chain = await shop()
    late = overtaken(chain, lambda: chain.merge("bea", "anna"))
    email = NewIdentifier(known=EMAIL)
    done = await late.do(AddIdentifier(customer="bea", at=DAY, identifier=email))
    assert done.stream == "customer-anna"
    assert await chain.owner(EMAIL) == "anna"


async def test_a_merge_overtaken_by_a_change_moves_what_was_added_meanwhile() -> None:
    chain = await shop()
    email = NewIdentifier(known=EMAIL)
    added = AddIdentifier(customer="bea", at=DAY, identifier=email)
    await overtaken(chain, lambda: chain.do(added)).merge("bea", "anna")
    assert [await chain.owner(each) for each in (EMAIL, CARD)] == ["anna", "anna"]


async def test_a_merge_into_somebody_who_is_merged_meanwhile_goes_to_the_survivor() -> None:
    chain = await shop()
    await chain.register("carl", EMAIL)
    late = overtaken(chain, lambda: chain.merge("anna", "bea"))
    assert await late.merge("carl", "anna") == "bea"
    assert await chain.owner(EMAIL) == "bea"


async def test_a_revert_overtaken_by_another_merge_finds_the_newest() -> None:
    chain = await shop()
    await chain.register("carl", EMAIL)
    await chain.merge("bea", "anna")

    async def elsewhere() -> None:
        await chain.revert("bea")
        await chain.merge("bea", "carl")

    assert await overtaken(chain, elsewhere).revert("bea") == "carl"
    assert await chain.owner(CARD) == "bea"


async def test_a_registration_with_a_value_that_is_being_merged_meets_an_owner() -> None:
    chain = await shop()
    free = KnownIdentifier("card", "c2", "A2")
    late = overtaken(chain, lambda: chain.merge("bea", "anna"))
    # The new value is free, so an append is tried; the merge changes the card meanwhile.
    taken = await refusal(late.register("carl", free, CARD))
    assert taken.type == "identifier-taken"
    await chain.merge("bea", "anna")
    taken = await refusal(late.register("carl", free, CARD))
    assert (taken.type, taken.extra) == ("identifier-taken", {"owner": "anna"})
    assert await chain.owner(free) is None

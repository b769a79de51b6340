"""Filled forms taken in: one customer and one gift per person, however many come at once."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from services.customer.domain.commands import NewIdentifier, Register, RemoveIdentifier
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.forms import FORMS
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.filling import Agreed, Answers
from services.customer.domain.merging import Merge
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.customers import Request, carry_out
from services.customer.handlers.form_acceptance import Acceptance, Filled
from services.customer.handlers.form_entries import FormEntries, Submission
from services.customer.handlers.forms import Forms
from services.customer.handlers.merging import merge
from services.customer.handlers.tokens import Purpose, Token, Tokens
from services.customer.queries.records import Records
from shared.clock import ManualClock
from shared.decider import Refused
from shared.events.customer import CustomerRegistered
from shared.events.forms import FormDefined, FormField, FormPromise
from shared.execute import Writer
from shared.floods import Floods
from shared.identifiers import IdentifierRules
from shared.memory import MemoryEventStore, MemoryExpiring
from shared.testing import DAY
from tests.unit.folding import KEYS

RULES = IdentifierRules(bytes(32))
FORM = FormDefined(
    form="subscribe",
    titles={"en": "News"},
    fields=(FormField(attribute="email", titles={"en": "E-mail"}, required=True),),
    confirmation="email",
    promise=FormPromise(coupon="HELLO-5", titles={"en": "5 % off"}),
    tags=("form",),
)
ANNA = Answers({"name": "Anna"}, {}, "anna@example.com", None, (Agreed("news", "email", "1"),))


class Desk:
    """The customer service in memory."""

    def __init__(self) -> None:
        self.store = MemoryEventStore()
        self.writer = Writer(self.store, KEYS, ManualClock(DAY), "customer")
        self.acceptance = Acceptance(self.writer, Records(self.writer), RULES)

    async def accept(
        self, number: int, answers: Answers = ANNA, *, confirmed: bool = True
    ) -> str | None:
        submission = Submission(f"s{number}", "subscribe", answers, "")
        email = None if answers.email is None else RULES.known("email", answers.email, "email")
        phone = None if answers.phone is None else RULES.known("phone", answers.phone, "phone")
        at = DAY + timedelta(minutes=number)
        return await self.acceptance.accept(Filled(submission, FORM, email, phone, confirmed, at))

    async def customers(self) -> list[Customer]:
        keys = {each.key for each in self.store.commits if each.stream == stream_of(each.key)}
        return [(await self.writer.state(CUSTOMER, stream_of(key)))[0] for key in sorted(keys)]

    async def known(self, *kinds: tuple[Any, str]) -> str:
        """Somebody who was registered at a till."""
        identifiers = tuple(NewIdentifier(known=RULES.known(*each, "v")) for each in kinds)
        name = f"known-{len(self.store.commits)}"
        command = Register(
            customer=name, at=DAY, person=CustomerRegistered(), identifiers=identifiers
        )
        await carry_out(self.writer, Request(f"register|{name}", "", DAY), command)
        return name


async def test_of_many_forms_of_one_person_at_once_one_gives_the_gift() -> None:
    desk = Desk()
    gifts = await asyncio.gather(*(desk.accept(number) for number in range(20)))
    assert [each for each in gifts if each] == ["HELLO-5"]
    (anna,) = await desk.customers()
    assert anna.record.name == "Anna"
    assert anna.tags == {"form"}
    # The same submission again is given what it was given.
    again = [await desk.accept(number) for number in range(20)]
    assert again == list(gifts)


async def test_who_was_two_customers_gets_one_gift() -> None:
    desk = Desk()
    boris = await desk.known(("email", "boris@example.com"))
    assert await desk.accept(1) == "HELLO-5"
    anna = RULES.known("email", "anna@example.com", "email")
    (held,) = (await desk.store.claims([anna.claim_id])).values()
    assert held.owner is not None
    command = Merge(customer=held.owner, into=boris, merge="m", at=DAY)
    await merge(desk.writer, Request("merge", "", DAY), command)
    by_the_other_address = Answers({}, {}, "boris@example.com", None, ())
    assert await desk.accept(2, by_the_other_address) is None
    # The submission that was given it is still answered with it.
    assert await desk.accept(1) == "HELLO-5"


async def test_a_submission_that_was_cut_off_is_finished_by_sending_it_again() -> None:
    desk = Desk()
    await desk.accept(1)
    registered = len(desk.store.commits)
    assert await desk.accept(1) == "HELLO-5"
    assert len(desk.store.commits) == registered
    cut = Desk()
    # As if the process had died once the customer was registered.
    await cut.acceptance._customer(  # noqa: SLF001 - the step before the gift
        Filled(Submission("s1", "subscribe", ANNA, ""), FORM,
               RULES.known("email", "anna@example.com", "e"), None, confirmed=True, at=DAY)
    )  # fmt: skip
    assert await cut.accept(1) == "HELLO-5"
    assert len(await cut.customers()) == 1


async def test_who_is_known_is_changed_and_a_phone_of_somebody_else_stays_theirs() -> None:
    desk = Desk()
    boris = await desk.known(("phone", "+4930123456"))
    anna = await desk.known(("email", "anna@example.com"))
    both = Answers(
        {"city": "Omsk"}, {"pets": 2}, "anna@example.com", "+4930123456",
        (Agreed("news", "email", "1"), Agreed("news", "sms", "1")),
    )  # fmt: skip
    assert await desk.accept(1, both) == "HELLO-5"
    state, _ = await desk.writer.state(CUSTOMER, stream_of(anna))
    assert (state.record.city, state.record.custom) == ("Omsk", {"pets": 2})
    assert [(each.kind, each.state) for each in state.identifiers.values()] == [
        ("email", "verified")
    ]
    assert [key[1] for key in state.consents] == ["email"]
    other, _ = await desk.writer.state(CUSTOMER, stream_of(boris))
    assert (other.version, other.consents) == (1, {})


async def test_who_has_proved_nothing_changes_nothing_and_withdraws_no_withdrawal() -> None:
    desk = Desk()
    await desk.known(("email", "anna@example.com"))
    assert await desk.accept(1, confirmed=False) is None
    (anna,) = await desk.customers()
    assert (anna.record.name, anna.tags) == (None, frozenset())
    assert [standing.given for standing in anna.consents.values()] == [True]
    version = anna.version
    assert await desk.accept(2, confirmed=False) is None
    assert [each.version for each in await desk.customers()] == [version]


async def test_a_submission_is_sealed_and_its_code_guessed_five_times_at_most() -> None:
    entries = MemoryExpiring()
    kept = FormEntries(entries, bytes(32))
    submission = Submission("s1", "subscribe", ANNA, kept.hash_of("s1", "123456"))
    await kept.keep(submission, DAY)
    stored = await entries.get("submission|s1", DAY)
    assert stored is not None
    assert b"anna" not in stored
    assert await kept.confirmed("s1", "123456", DAY) == submission
    for _ in range(4):
        with pytest.raises(Refused) as wrong:
            await kept.confirmed("s1", "654321", DAY)
        assert wrong.value.type == "code-wrong"
    with pytest.raises(Refused) as gone:
        await kept.confirmed("s1", "123456", DAY)
    assert gone.value.type == "code-gone"
    await kept.keep(Submission("s2", "subscribe", ANNA, ""), DAY)
    with pytest.raises(Refused) as late:
        await kept.confirmed("s2", "123456", DAY + timedelta(minutes=30))
    assert late.value.type == "code-gone"
    await kept.use("t", DAY, DAY + timedelta(hours=1))
    with pytest.raises(Refused) as used:
        await kept.use("t", DAY, DAY + timedelta(hours=1))
    assert used.value.type == "sent-already"
    assert [await kept.may_mail("a", DAY) for _ in range(4)] == [True, True, True, False]


async def test_one_address_and_one_form_take_so_much_and_no_more() -> None:
    floods = Floods(bytes(32))
    for _ in range(60):
        await floods.pass_one("subscribe", "192.0.2.1")
    with pytest.raises(Refused) as refused:
        await floods.pass_one("subscribe", "192.0.2.1")
    assert (refused.value.type, refused.value.status) == ("too-many-requests", 429)
    await floods.pass_one("subscribe", "192.0.2.2")
    # Who has an IPv6 network has all of its addresses.
    for number in range(60):
        await floods.pass_one("news", f"2001:db8::{number:x}")
    with pytest.raises(Refused):
        await floods.pass_one("news", "2001:db8::ffff")
    await floods.pass_one("news", "2001:db8:0:1::1")
    await floods.pass_one("news", "no address")


class Mails:
    """A server that keeps the codes."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    async def send(self, _id: str, _to: str, subject: str, _text: str) -> None:
        self.codes.append(subject)


class Quick(Tokens):
    """Tokens that were issued some time ago."""

    def read(self, purpose: Purpose, text: str, at: datetime) -> Token:
        token = super().read(purpose, text, at)
        return replace(token, issued=at - timedelta(minutes=1))


class OneForm(ConfigurationBook):
    """A chain with a form."""

    async def fresh(self) -> Configuration:
        return Configuration(forms=FORMS.fold([FORM]))


async def test_a_code_that_was_not_mailed_can_not_be_guessed() -> None:
    desk, mails, entries, secret = Desk(), Mails(), MemoryExpiring(), bytes(32)
    forms = Forms(
        OneForm(desk.writer), desk.acceptance, FormEntries(entries, secret), Quick(secret),
        Floods(secret), RULES, desk.writer.clock, cast("Any", mails),
    )  # fmt: skip
    for number in range(5):
        # Subaddresses are one mailbox.
        raw = {"token": [forms.token("subscribe")], "email": [f"an.na+{number}@example.com"]}
        sent = await forms.send("subscribe", raw, "192.0.2.1", lambda code: (code, code))
        assert sent.confirm is not None
    kept = [each for each in entries._entries if each.startswith("submission|")]  # noqa: SLF001 - what is kept
    assert len(mails.codes) == len(kept) == 3


async def test_a_second_try_gives_each_thing_the_same_name() -> None:
    desk = Desk()
    anna = await desk.known(("email", "anna@example.com"))
    both = Answers(
        {"name": "Anna"}, {}, "anna@example.com", "+4930123456", (Agreed("news", "email", "1"),)
    )
    await desk.accept(1, both)
    # Somebody takes the phone away, and another customer has it then.
    phone = RULES.known("phone", "+4930123456", "v")
    command = RemoveIdentifier(customer=anna, at=DAY, kind="phone", hash=phone.hash)
    done = await carry_out(desk.writer, Request("remove", "", DAY), command)
    await desk.known(("phone", "+4930123456"))
    await desk.accept(1, both)
    state, _ = await desk.writer.state(CUSTOMER, stream_of(anna))
    assert state.version == done.version

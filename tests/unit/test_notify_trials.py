"""Tests of campaigns over HTTP, on memory: to a few, once, marked, and counted nowhere."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.api.trials import TrialApi
from services.notify.channels import (
    Accepted,
    Channel,
    NotTaken,
    Outgoing,
    Receipt,
    Rejected,
    Unknown,
)
from services.notify.domain.trial import (
    MOST_A_DAY,
    TRIALS,
    BeginTest,
    EndTest,
    Trials,
)
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.requests import Request, define
from services.notify.handlers.letters.trials import TrialSending
from services.notify.projections import Recipient
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.campaign import CampaignDefined
from shared.events.single import AddressOutcome, CampaignTested, CampaignTestEnded
from shared.execute import Writer
from shared.http import build_app
from shared.identifiers import IdentifierRules
from shared.keyring import Keyring
from shared.memory import MemoryApiKeys, MemoryEventStore, MemoryKeyStore
from shared.testing import client_of, given
from shared.testing.channels import ScriptedChannel

SECRET = bytes(32)
NOW = datetime(2018, 1, 2, 23, 30, tzinfo=UTC)
PATH = "/v1/campaigns/we-miss-you/test"
DEFINITION: dict[str, Any] = {
    "campaign": "we-miss-you",
    "title": "We miss you",
    "trigger": {"kind": "on_entering", "segment": "lapsed-30"},
    "channel": "email",
    "topic": "marketing",
    "template": {"subject": "warm {{ customer.name }}", "text": "warm"},
    "start": "2018-01-01T00:00:00Z",
    "holdout_percent": 0,
    "variants": [
        {
            "name": name,
            "weight": 1,
            "template": {"subject": f"{name} {{{{ customer.name }}}}", "text": name},
        }
        for name in ("warm", "cool")
    ],
}
PEOPLE = {
    "anna": Recipient(id="anna", registered=True, name="Anna"),
    "nobody": Recipient(id="nobody", registered=True),
    "gone": Recipient(id="gone", removed=True),
}
ASKED = {"addresses": ["me@chain.example"], "customer": "anna", "variant": "warm"}
Json = dict[str, Any]


class KilledError(BaseException):
    """The process is gone."""


class Known:
    """Those who are known here."""

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        return {each: PEOPLE[each] for each in customers if each in PEOPLE}


async def _ready() -> Json:
    return {}


async def accept(_message: Outgoing) -> Receipt:
    return Accepted("r")


@dataclass
class Bench:
    """A service with one campaign that was never started."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    mail: ScriptedChannel[Outgoing, Receipt] = field(
        default_factory=lambda: ScriptedChannel(accept, None)
    )
    sms: ScriptedChannel[Outgoing, Receipt] = field(
        default_factory=lambda: ScriptedChannel(accept, None)
    )

    @asynccontextmanager
    async def client(
        self, *roles: Role, branches: tuple[str, ...] | None = None
    ) -> AsyncIterator[httpx2.AsyncClient]:
        writer = Writer(
            self.store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), self.clock, "notify"
        )
        definition = CampaignDefined.model_validate(DEFINITION)
        await define(writer, Request("define", DEFINITION, NOW), definition, lambda _v: None)
        keys = MemoryApiKeys()
        text, stored = issue(
            SECRET, title="test", roles=list(roles or (Role.OWNER,)), branches=branches
        )
        await keys.add(stored)
        sending = TrialSending(
            writer,
            CampaignBook(self.store),
            Known(),
            cast("Mapping[str, Channel]", {"email": self.mail, "sms": self.sms}),
            IdentifierRules(SECRET),
            ZoneInfo("Europe/Berlin"),
        )
        app = build_app(
            title="test",
            service="notify",
            routers=[TrialApi(sending).router()],
            authenticator=Authenticator(keys, SECRET),
            readiness=_ready,
        )
        async with client_of(app, text) as client:
            yield client

    def recorded(self) -> str:
        return "".join(text for commit in self.store.commits for text in commit.events)


async def test_a_test_goes_to_its_addresses_at_once_and_is_marked() -> None:
    bench = Bench()
    async with bench.client() as client:
        answer = await client.post(PATH, json=ASKED)
    assert answer.status_code == 200
    (outcome,) = answer.json()["outcomes"]
    assert (outcome["accepted"], outcome["code"]) == (True, None)
    (sent,) = bench.mail.taken
    assert (sent.address, sent.subject, sent.text) == (
        "me@chain.example",
        "[Test] warm Anna",
        "warm",
    )
    # Written down with the hash, under the day of the chain: it is past midnight in Berlin.
    assert outcome["contact"] in bench.recorded()
    assert "me@chain.example" not in bench.recorded()
    assert list(await bench.store.names("tests-")) == ["tests-2018-01-03"]
    # No message, no ledger: it counts nowhere.
    assert list(await bench.store.names("message-")) == []
    assert list(await bench.store.names("ledger-")) == []


async def test_the_same_key_sends_nothing_again_and_answers_as_it_did() -> None:
    bench = Bench()
    async with bench.client() as client:
        first = await client.post(PATH, json=ASKED, headers={"Idempotency-Key": "k1"})
        bench.clock.advance(timedelta(days=1))
        again = await client.post(PATH, json=ASKED, headers={"Idempotency-Key": "k1"})
        other = await client.post(
            PATH, json=ASKED | {"variant": "cool"}, headers={"Idempotency-Key": "k1"}
        )
        more = await client.post(PATH, json=ASKED, headers={"Idempotency-Key": "k2"})
    assert again.json() == first.json() | {"repeated": True}
    assert other.status_code == 422
    assert more.json()["repeated"] is False
    assert len(bench.mail.taken) == 2


async def test_of_a_test_that_was_cut_off_nobody_can_tell_and_it_is_not_sent_again() -> None:
    bench = Bench()

    async def killed(_message: Outgoing) -> Receipt:
        raise KilledError

    bench.mail.answer = killed
    async with bench.client() as client:
        with pytest.raises(KilledError):
            await client.post(PATH, json=ASKED, headers={"Idempotency-Key": "k1"})
        bench.mail.answer = accept
        again = await client.post(PATH, json=ASKED, headers={"Idempotency-Key": "k1"})
    assert (again.json()["repeated"], again.json()["outcomes"]) == (True, None)
    assert len(bench.mail.taken) == 1


@pytest.mark.parametrize(
    ("receipt", "said"),
    [
        (Accepted("r"), (True, None)),
        (Rejected("550"), (False, "550")),
        (NotTaken("away"), (False, "away")),
        (NotTaken("refused", "451"), (False, "451")),
        (Unknown(), (None, None)),
    ],
)
async def test_what_the_channel_says_is_told(
    receipt: Receipt, said: tuple[bool | None, str | None]
) -> None:
    bench = Bench()

    async def answer(_message: Outgoing) -> Receipt:
        return receipt

    bench.mail.answer = answer
    async with bench.client() as client:
        (outcome,) = (await client.post(PATH, json=ASKED)).json()["outcomes"]
    assert (outcome["accepted"], outcome["code"]) == said


async def test_a_channel_that_fails_for_one_address_does_not_hide_what_came_of_the_others() -> None:
    bench = Bench()

    async def fails_for_one(message: Outgoing) -> Receipt:
        if message.address.startswith("broken"):
            raise ZeroDivisionError
        return Accepted("r")

    bench.mail.answer = fails_for_one
    asked = ASKED | {"addresses": ["broken@chain.example", "me@chain.example"]}
    async with bench.client() as client:
        first = await client.post(PATH, json=asked, headers={"Idempotency-Key": "k1"})
        again = await client.post(PATH, json=asked, headers={"Idempotency-Key": "k1"})
    assert [each["accepted"] for each in first.json()["outcomes"]] == [None, True]
    assert again.json()["outcomes"] == first.json()["outcomes"]


async def test_where_no_subject_is_shown_the_text_is_marked() -> None:
    bench = Bench()
    async with bench.client() as client:
        phones = {"channel": "sms", "addresses": ["+49 30 123456", "+4930123456"]}
        answer = await client.post(PATH, json=ASKED | phones)
    # Both are the same phone.
    assert len(answer.json()["outcomes"]) == 1
    assert [(sent.address, sent.text) for sent in bench.sms.taken] == [
        ("+4930123456", "[Test] warm")
    ]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"addresses": []}, 422, "addresses"),
        ({"addresses": [f"a{number}@chain.example" for number in range(6)]}, 422, "addresses"),
        ({"addresses": ["nonsense"]}, 422, "addresses.0"),
        ({"channel": "push"}, 422, "channel"),
        ({"variant": "hot"}, 422, "variant"),
        ({"customer": "nobody"}, 422, "customer"),
        ({"customer": "gone"}, 404, None),
        ({"customer": "stranger"}, 404, None),
    ],
)
async def test_what_cannot_be_tested_is_named_and_nothing_is_sent(
    change: Json, status: int, field: str | None
) -> None:
    bench = Bench()
    async with bench.client() as client:
        answer = await client.post(PATH, json=ASKED | change)
    assert answer.status_code == status
    if field is not None:
        assert answer.json()["errors"][0]["field"] == field
    assert (bench.mail.taken, list(await bench.store.names("tests-"))) == ([], [])


async def test_a_campaign_that_there_is_not_cannot_be_tested() -> None:
    async with Bench().client() as client:
        assert (await client.post("/v1/campaigns/other/test", json=ASKED)).status_code == 404


@pytest.mark.parametrize(
    ("role", "branches"), [(Role.READER, None), (Role.CASHIER, None), (Role.MANAGER, ("center",))]
)
async def test_who_may_not_change_campaigns_of_the_whole_chain_tests_none(
    role: Role, branches: tuple[str, ...] | None
) -> None:
    bench = Bench()
    async with bench.client(role, branches=branches) as client:
        assert (await client.post(PATH, json=ASKED)).status_code == 403
    assert bench.mail.taken == []


async def test_the_base_cannot_be_reached_by_tests() -> None:
    bench = Bench()
    async with bench.client() as client:
        statuses = []
        for number in range(MOST_A_DAY // 5 + 1):
            addresses = [f"a{number}-{place}@chain.example" for place in range(5)]
            statuses.append(
                (await client.post(PATH, json=ASKED | {"addresses": addresses})).status_code
            )
        assert statuses == [*[200] * (MOST_A_DAY // 5), 409]
        bench.clock.advance(timedelta(days=1))
        assert (await client.post(PATH, json=ASKED)).status_code == 200
    assert len(bench.mail.taken) == MOST_A_DAY + 1


def sent_to(*contacts: str) -> CampaignTested:
    return CampaignTested(
        test="t", campaign="c", version=1, channel="email", customer="anna", contacts=contacts
    )


def test_a_test_ends_once_and_a_day_has_so_many() -> None:
    outcomes = (AddressOutcome(contact="h", accepted=True),)
    ended = CampaignTestEnded(test="t", campaign="c", outcomes=outcomes)
    begun = [sent_to("h")]
    given(TRIALS, begun).when(BeginTest(sent_to("i"), NOW)).then([NewEvent(sent_to("i"), NOW)])
    given(TRIALS, begun).when(EndTest(ended, NOW)).then([NewEvent(ended, NOW)])
    given(TRIALS, [*begun, ended]).when(EndTest(ended, NOW)).then_nothing()
    full = [sent_to(*[f"h{number}" for number in range(MOST_A_DAY)])]
    given(TRIALS, full).when(BeginTest(sent_to("i"), NOW)).then_refused("too-many-tests")
    assert TRIALS.fold([*begun, ended]).outcomes == {"t": outcomes}
    with pytest.raises(TypeError, match="no event"):
        TRIALS.evolve(Trials(), CampaignDefined.model_validate(DEFINITION))

"""Predictions over HTTP, on memory: fitted by a job, versioned in the log, made on reading."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.segment.api.predictions import PredictionApi
from services.segment.domain.predictions import PREDICTION_STREAM, PREDICTIONS
from services.segment.handlers import predicting
from services.segment.handlers.predicting import PredictionFit, sampled
from services.segment.projections.activity import Activity, BranchActivity
from services.segment.queries.activity import Activities
from services.segment.queries.predictions import Predictions
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.events.segment import SegmentArchived
from shared.execute import Writer
from shared.http import build_app
from shared.jobs import JobRunner, Jobs, kinds_by_name
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryJobs,
    MemoryKeyStore,
    MemoryLeases,
)
from shared.moments import milliseconds, with_moment
from shared.testing import client_of
from shared.testing.collections import MemoryQuestions

SECRET = bytes(32)
NOW = datetime(2026, 6, 29, tzinfo=UTC)
WEEK = timedelta(weeks=1)
Json = Any


def customer(name: str, *weeks_ago: float, each: int = 1000, **more: Json) -> dict[str, Any]:
    """A stored customer who bought so many weeks ago, for 10.00 each time."""
    packed = b""
    for weeks in weeks_ago:
        packed = with_moment(packed, milliseconds(NOW - weeks * WEEK))
    branches = [BranchActivity("12", packed, spent=each * len(weeks_ago))] if weeks_ago else []
    activity = Activity(id=name, rev=1, branches=branches, **more)
    raw: dict[str, Any] = msgspec.to_builtins(activity, builtin_types=(datetime, bytes))
    return raw


@dataclass(slots=True)
class Chain:
    """The segment service's predictions on memory; `work` is what a worker does."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    writer: Writer = field(init=False)
    jobs: Jobs = field(init=False)
    predictions: Predictions = field(init=False)

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, self.clock, "segment")
        self.jobs = Jobs(MemoryJobs(), self.clock)
        self.predictions = Predictions(self.writer, MemoryQuestions(self.documents))

    async def caller(self, role: Role = Role.OWNER, *branches: str) -> httpx2.AsyncClient:
        keys = MemoryApiKeys()
        text, key = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await keys.add(key)
        activities = Activities(MemoryQuestions(self.documents))
        app = build_app(
            title="test",
            service="segment",
            routers=[PredictionApi(self.predictions, activities, self.jobs, self.clock).router()],
            authenticator=Authenticator(keys, SECRET),
            readiness=_readiness,
        )
        return client_of(app, text)

    async def put(self, *people: dict[str, Any]) -> None:
        await self.documents.write(people)

    async def work(self) -> None:
        kind = PredictionFit(self.writer, self.predictions, self.clock)
        leases = MemoryLeases(self.clock)
        runner = JobRunner(self.jobs.store, leases, self.clock, kinds_by_name([kind]), "me")
        await runner.look()
        await runner.settle()


async def _readiness() -> Json:
    return {}


@pytest.fixture
def chain() -> Chain:
    """Nobody has bought."""
    return Chain()


@pytest.fixture
async def owner(chain: Chain) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who may do all."""
    async with await chain.caller() as client:
        yield client


async def some(chain: Chain) -> None:
    """Some who come each week, some who stopped half a year ago, some who came once."""
    weekly = [customer(f"weekly-{n}", *range(1, 30 + n), each=900 + 50 * n) for n in range(6)]
    gone = [customer(f"gone-{n}", *range(26, 40 + n), each=2000 + 90 * n) for n in range(6)]
    once = [customer(f"once-{n}", 5 + 4 * n) for n in range(6)]
    others = [
        customer("never"),
        customer("staff", *range(1, 30), internal=True),
        customer("erased", *range(1, 30), erased=True),
        customer("merged", away=True),
    ]
    await chain.put(*weekly, *gone, *once, *others)


async def fitted(chain: Chain, owner: httpx2.AsyncClient, key: str = "k") -> str:
    answer = await owner.post("/v1/predictions/fit", headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    await chain.work()
    job: str = answer.json()["job"]
    return job


async def test_a_fit_is_a_job_and_its_parameters_are_versions(
    chain: Chain, owner: httpx2.AsyncClient
) -> None:
    await some(chain)
    job = await fitted(chain, owner)
    done = await chain.jobs.store.get(job)
    assert done is not None
    assert (done.state, done.position) == ("done", 18)  # without staff, the erased and the others
    first = (await owner.get("/v1/predictions")).json()
    assert (first["parameters"], first["customers"], first["sample"]) == (1, 18, 18)
    assert first["until"] == "2026-06-29T00:00:00.000Z"
    # The same request again is the same job.
    assert await fitted(chain, owner) == job
    assert (await owner.get("/v1/predictions")).json() == first
    assert await fitted(chain, owner, "another") != job
    assert (await owner.get("/v1/predictions")).json()["parameters"] == 2


async def test_who_comes_as_ever_stays_and_who_stopped_has_left(
    chain: Chain, owner: httpx2.AsyncClient
) -> None:
    await some(chain)
    await fitted(chain, owner)

    async def of(customer: str, days: int = 90) -> Json:
        asked = {"days": days}
        answer = await owner.get(f"/v1/customers/{customer}/prediction", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    weekly, gone = await of("weekly-3"), await of("gone-3")
    assert weekly["alive"] > 0.8
    assert gone["alive"] < 0.2
    assert gone["churn_risk"] == pytest.approx(1 - gone["alive"])
    # Once a week for nearly 13 weeks, at 10.50, and somewhat less, since anybody may leave.
    assert 8 < weekly["expected_receipts"] < 13
    assert weekly["expected_turnover_minor"] == pytest.approx(
        1050 * weekly["expected_receipts"], rel=0.1
    )
    shorter = await of("weekly-3", 30)
    assert shorter["expected_receipts"] < weekly["expected_receipts"]
    assert (weekly["receipts"], weekly["parameters"], weekly["days"]) == (32, 1, 90)


@pytest.mark.parametrize(
    ("customer_id", "status", "kind"),
    [("never", 409, "never-bought"), ("nobody", 404, "not-found"), ("erased", 404, "not-found"),
     ("merged", 404, "not-found")],
)  # fmt: skip
async def test_nothing_is_said_of_who_never_bought_or_is_not_there(
    chain: Chain, owner: httpx2.AsyncClient, customer_id: str, status: int, kind: str
) -> None:
    await some(chain)
    await fitted(chain, owner)
    answer = await owner.get(f"/v1/customers/{customer_id}/prediction")
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:regulars:problem:{kind}")


async def test_before_the_first_fit_nothing_is_predicted(
    chain: Chain, owner: httpx2.AsyncClient
) -> None:
    await some(chain)
    for path in ("predictions", "customers/weekly-1/prediction"):
        answer = await owner.get(f"/v1/{path}")
        assert (answer.status_code, answer.json()["type"].split(":")[-1]) == (409, "not-fitted")


async def test_a_fit_to_nobody_fails_and_says_why(chain: Chain, owner: httpx2.AsyncClient) -> None:
    job = await chain.jobs.store.get(await fitted(chain, owner))
    assert job is not None
    assert job.state == "failed"
    assert "nobody has bought twice" in str(job.problem)


async def test_readers_see_and_do_not_fit_and_keys_of_branches_do_neither(chain: Chain) -> None:
    async with await chain.caller(Role.READER) as reader:
        answer = await reader.post("/v1/predictions/fit", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 403
    async with await chain.caller(Role.OWNER, "12") as local:
        for path in ("predictions", "customers/weekly-1/prediction"):
            assert (await local.get(f"/v1/{path}")).status_code == 403


async def test_a_sample_is_a_part_of_the_base(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some(chain)
    base = await chain.predictions.base(NOW)
    assert sampled(base) is base
    monkeypatch.setattr(predicting, "SAMPLE", 5)
    part = sampled(base)
    assert len(part.mean) == len(part.buyers.repeats) == 5
    pairs = set(zip(base.buyers.age, base.mean, strict=True))
    assert set(zip(part.buyers.age, part.mean, strict=True)) <= pairs
    assert np.array_equal(part.receipts, part.buyers.repeats + 1)


def test_a_stream_of_predictions_holds_nothing_else() -> None:
    with pytest.raises(TypeError, match="does not belong"):
        PREDICTIONS.evolve(PREDICTIONS.initial(), SegmentArchived(segment="new"))
    assert PREDICTION_STREAM == "prediction"

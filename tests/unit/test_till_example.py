"""The till of the examples: what is sold stays in the queue until it is answered for good."""

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from examples.till import LONGEST_PAUSE_SECONDS, Queue, main, send

Json = Any
PROBLEM = "urn:regulars:problem:"


def client_of(answer: Callable[[httpx2.Request], httpx2.Response]) -> httpx2.Client:
    return httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://till.example")


def answering(status: int, **more: Json) -> httpx2.Client:
    return client_of(lambda _: httpx2.Response(status, **more))


def items(*answers: int | str) -> httpx2.Client:
    """Answers a batch: per item a status that succeeds, or the type of a problem."""
    told = [
        {"index": index, "status": each}
        if isinstance(each, int)
        else {"index": index, "status": 409, "problem": {"type": PROBLEM + each}}
        for index, each in enumerate(answers)
    ]
    return answering(200, json={"items": told})


def kept(path: Path, table: str) -> list[str]:
    with sqlite3.connect(path) as found:
        facts = found.execute(f"SELECT fact FROM {table} ORDER BY number")  # noqa: S608 - one of two names
        return [json.loads(fact)["source_id"] for (fact,) in facts]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def queue(path: Path) -> Queue:
    """Three sales."""
    found = Queue(str(path))
    ids = [found.put({"lines": []}, "12", "2") for _ in range(3)]
    assert ids == ["12-2-1", "12-2-2", "12-2-3"]
    return found


def test_what_is_sold_is_there_after_a_start_and_an_id_is_never_given_twice(
    queue: Queue, path: Path
) -> None:
    assert send(queue, items(200, 200, 200)) == 0.0
    assert kept(path, "sale") == []
    again = Queue(str(path))
    assert again.put({"lines": []}, "12", "2") == "12-2-4"
    assert kept(path, "sale") == ["12-2-4"]


def test_what_is_sent_says_what_it_is_and_names_its_branch(queue: Queue) -> None:
    bodies: list[Json] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/v1/facts/batch"
        bodies.append(json.loads(request.content))
        return httpx2.Response(503)

    send(queue, client_of(answer))
    first = bodies[0]["items"][0]
    assert (first["kind"], first["source_id"], first["branch"]) == ("receipt", "12-2-1", "12")


def test_while_nothing_answers_or_there_is_too_much_to_do_all_stays(
    queue: Queue, path: Path
) -> None:
    def cut(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("the line is down")

    assert send(queue, client_of(cut)) == LONGEST_PAUSE_SECONDS
    assert send(queue, answering(503)) == LONGEST_PAUSE_SECONDS
    assert send(queue, answering(429, headers={"Retry-After": "3"})) == 3.0
    assert len(kept(path, "sale")) == 3


def test_each_sale_goes_by_its_own_answer(queue: Queue, path: Path) -> None:
    assert send(queue, items(200, "unknown-customer", "command-differs")) == 0.0
    assert (kept(path, "sale"), kept(path, "refused")) == (["12-2-2"], ["12-2-3"])
    queue.put({"lines": []}, "12", "2")
    # What must wait lets the others go first.
    assert [number for number, _ in queue.next()] == [4, 2]
    assert send(queue, items(200, "unknown-customer")) == 0.0
    # Nothing but what may come right: it is no hurry.
    assert send(queue, items("unknown-customer")) == 1.0
    assert send(queue, items(200)) == 0.0
    assert kept(path, "sale") == []


def test_a_key_that_opens_nothing_ends_the_till_and_all_stays(queue: Queue, path: Path) -> None:
    with pytest.raises(SystemExit, match="401"):
        send(queue, answering(401))
    assert len(kept(path, "sale")) == 3


def test_who_runs_the_till_is_told_that_nothing_could_be_sent(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing(httpx2.Client):
        def __init__(self, **told: Json) -> None:
            del told["timeout"]
            refusing = httpx2.MockTransport(lambda _: httpx2.Response(401, text="no such key"))
            super().__init__(transport=refusing, **told)

    monkeypatch.setattr(httpx2, "Client", Refusing)
    monkeypatch.setattr("sys.stdin", io.StringIO('{"lines": []}\n'))
    monkeypatch.setattr("sys.argv", ["till.py", str(path), "--url", "http://till", "--branch", "7"])
    monkeypatch.setenv("REGULARS_KEY", "rg_no")
    with pytest.raises(SystemExit, match="401 no such key"):
        main()
    assert capsys.readouterr().out == "7-1-1\n"
    assert kept(path, "sale") == ["7-1-1"]

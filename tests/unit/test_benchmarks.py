"""What `make bench` prints, what it reads, and how it takes turns."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from bson import SON
from pymongo.monitoring import CommandStartedEvent

from benchmarks.__main__ import arguments, chosen
from benchmarks.counting import CommandCount
from benchmarks.figures import Figure
from benchmarks.measuring import Cost, Side, in_turn
from benchmarks.ruled import DEFINED, asked, customers, receipt_rule, rule_set
from benchmarks.running import GROUPS, LIMIT_SECONDS, ROWS
from benchmarks.sample import ReceiptLog
from services.interaction.domain.facts import decide_fact
from services.interaction.handlers.incoming.hot import hot_receipt
from services.segment.engine.profile import take_view
from services.segment.engine.stepping import Engine
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.instants import instant
from shared.envelope import Placed, decode, encode
from shared.events.hot import HotReceipt
from shared.identifiers import IdentifierRules

AT = instant(DEFINED)
REPOSITORY = Path(__file__).resolve().parents[2]
FIGURE = Figure(
    value=123_456.789,
    unit="events per second",
    bare=0.000123456,
    goal="≥ 0.5 × bare",
    met=True,
    server="Kafka",
    beside={"ratio": 0.56789, "round_trips": 2},
)


def test_a_row_is_printed_with_what_it_is_held_against() -> None:
    # Four digits are as many as a measurement has; larger numbers are whole.
    assert json.loads(json.dumps(FIGURE.shown())) == {
        "value": 123_457,
        "unit": "events per second",
        "bare": 0.0001235,
        "goal": "≥ 0.5 × bare",
        "met": True,
        "server": "Kafka",
        "beside": {"ratio": 0.5679, "round_trips": 2},
    }


def test_the_rows_are_those_of_the_design_and_the_issues_so_far() -> None:
    assert set(ROWS) == {
        "consume",
        "projection",
        "append",
        "registrations",
        "import_rate",
        "import_growth",
        "relay",
        "search",
        "page",
        "receipts_http",
        "receipts_growth",
        "receipts_inbox",
        "receipts_file",
        "timeline_page",
        "latency",
        "memory",
        "workers",
        "growth",
        "projection_500_rules",
        "untouched_rules",
        "backfill",
        "timers",
        "preview",
        "rules_growth",
        "rules_memory",
        "rules_workers",
        "entered",
        "trigger",
        "broadcast",
        "broadcast_growth",
    }


def test_a_run_ends_within_five_minutes() -> None:
    # What is left is for starting and stopping the servers.
    assert LIMIT_SECONDS < 300


def test_every_group_has_its_module() -> None:
    for group in GROUPS:
        assert (REPOSITORY / "benchmarks" / "rows" / f"{group.module}.py").is_file()


def test_some_rows_can_be_asked_for() -> None:
    options = arguments(["--only", "workers", "append"])
    assert [group.module for group in chosen(options.only)] == ["append", "workers"]
    assert chosen(None) == list(GROUPS)


def test_a_row_that_is_none_is_refused() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "speed"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stdout) == (2, "")


def test_the_log_holds_what_the_kernel_would_have_written() -> None:
    logged = ReceiptLog(customers=3, per_turn=2).take(10)
    commands = ReceiptLog(customers=3, per_turn=2).commands(10)
    for event, command in zip(logged, commands, strict=True):
        read = decode(event.value)
        (decided,) = decide_fact(command.body, None)
        receipt = command.body.data
        assert isinstance(receipt, HotReceipt)
        data = receipt.with_values(fact=msgspec.json.decode(read.data)["fact"]).as_data()
        written = encode(
            Placed(
                data=data,
                service="interaction",
                stream=command.stream,
                version=read.streamversion,
                time=decided.time,
                recorded=decided.time,
                causation=command.causation,
                subject=command.subject,
                branch=decided.branch,
            )
        )
        assert event.value.decode() == written
        assert event.key.decode() == command.key


def test_what_tills_send_is_what_the_log_holds() -> None:
    items = ReceiptLog(customers=3, per_turn=2).items(10)
    commands = ReceiptLog(customers=3, per_turn=2).commands(10)
    rules = IdentifierRules(bytes(32))
    for item, command in zip(items, commands, strict=True):
        read = hot_receipt(item)
        assert read is not None
        sent = read.sent(rules, command.body.now).command
        assert isinstance(sent.data, HotReceipt)
        assert sent.data.identified_by is not None
        alone = sent.data.with_values(identified_by=None)
        assert alone.json_bytes() == command.body.data.json_bytes()
        assert (sent.id, sent.time, sent.branch) == (
            command.id, command.body.time, command.body.branch,
        )  # fmt: skip


def test_customers_take_turns_and_versions_are_dense() -> None:
    events = [decode(event.value) for event in ReceiptLog(customers=2, per_turn=2).take(8)]
    first, second = events[0].stream, events[2].stream
    assert [event.stream for event in events] == [first, first, second, second] * 2
    assert [event.streamversion for event in events] == [1, 2, 1, 2, 3, 4, 3, 4]


def test_receipts_are_as_large_as_those_of_the_demo() -> None:
    # 1,469,307 lines in 155,848 receipts are 9.4 lines each.
    commands = ReceiptLog(customers=100).commands(1_000)
    receipts = [command.body.data for command in commands]
    lines = sum(len(each.lines) for each in receipts if isinstance(each, HotReceipt))
    lines_each = lines / len(commands)
    assert lines_each == pytest.approx(9.4, abs=0.5)


def test_costs_are_medians_of_rounds() -> None:
    # 10, 20 and 90 µs of CPU each: one disturbed round decides nothing.
    side = Side([Cost(100, cpu, 2 * cpu) for cpu in (0.001, 0.009, 0.002)])
    assert side.cpu_each == pytest.approx(20)
    assert side.per_cpu_second == pytest.approx(50_000)
    assert side.per_wall_second == pytest.approx(25_000)


async def test_the_sides_take_turns_in_going_first_and_the_warm_round_does_not_count() -> None:
    went: list[str] = []

    async def ours(number: int) -> Cost:
        went.append(f"ours {number}")
        return Cost(1, number, number)

    async def bare(number: int) -> Cost:
        went.append(f"bare {number}")
        return Cost(1, number, number)

    first, second = await in_turn(2, ours, bare)
    assert went == ["ours 0", "bare 0", "bare 1", "ours 1", "ours 2", "bare 2"]
    assert [cost.cpu for cost in first.costs] == [1, 2]
    assert [cost.cpu for cost in second.costs] == [1, 2]


async def test_on_a_slow_machine_there_are_fewer_rounds_but_three() -> None:
    async def side(_number: int) -> Cost:
        return Cost(1, 1, 1)

    first, second = await in_turn(10, side, side, seconds=0)
    assert (len(first.costs), len(second.costs)) == (3, 3)


def started(name: str, command: dict[str, object]) -> CommandStartedEvent:
    return CommandStartedEvent(SON({name: "things", **command}), "database", 1, ("host", 1), 1)


def test_commands_and_written_documents_are_counted() -> None:
    count = CommandCount()
    count.started(started("find", {"filter": {}}))
    count.started(started("insert", {"documents": [{"_id": "a"}, {"_id": "b"}]}))
    count.started(started("update", {"updates": [{"q": {"_id": "a", "rev": 1}, "u": {}}]}))
    assert count.names == ["find", "insert", "update"]
    assert count.written == {"a": 2, "b": 1}
    count.clear()
    assert (count.names, count.written) == ([], {})


@pytest.mark.parametrize("count", [10, 60])
def test_rules_of_the_benchmark_are_answered_as_the_interpreter_answers(count: int) -> None:
    rules = rule_set(count, receipt_rule)
    for profile in asked(customers(8), Engine(rules)):
        view = take_view(profile)
        inside = {name for name, live in rules.rules.items() if evaluate(live.rule, view, AT).value}
        assert profile.memberships.keys() == inside


def test_some_rules_of_the_benchmark_hold_and_most_do_not() -> None:
    found = asked(customers(20), Engine(rule_set(100, receipt_rule)))
    memberships = sum(len(profile.memberships) for profile in found)
    assert 0 < memberships < 20 * 100 / 4


def test_the_time_of_the_log_moves() -> None:
    first, second = (decode(event.value).time for event in ReceiptLog(1).take(2))
    assert datetime.fromisoformat(first) < datetime.fromisoformat(second) < datetime.now(UTC)  # noqa: TID251 - whatever day it is

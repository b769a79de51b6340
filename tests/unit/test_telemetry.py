"""Logs: one JSON object a line, and nobody's personal values in it."""

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from asgi_correlation_id import correlation_id
from pydantic import TypeAdapter, ValidationError

from shared.decider import Refused
from shared.events import EVENT_TYPES
from shared.events.contract import pii_paths
from shared.settings import LogLevel, Settings
from shared.telemetry import DENIED_KEYS, FOREIGN_LEVELS, OUR_PACKAGES, configure

SECRET = "Ivanova"


@pytest.fixture(autouse=True)
def _outside_of_requests() -> Iterator[None]:
    """No request that another test has made is under way."""
    token = correlation_id.set(None)
    yield
    correlation_id.reset(token)


@contextmanager
def configured(folder: Path, level: LogLevel = "info") -> Iterator[None]:
    """Logs as in a real process; afterwards everything is as before."""
    key = folder / "key"
    key.write_bytes(base64.b64encode(bytes(32)))
    root = logging.getLogger()
    names = (*OUR_PACKAGES, *FOREIGN_LEVELS)
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in names}
    try:
        configure(
            Settings(
                kafka_url="127.0.0.1:9092",
                mongo_url="mongodb://127.0.0.1",
                master_key_file=key,
                hmac_key_file=key,
                log_level=level,
            ),
            "customer",
        )
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:], root.level = before[0], before[1]
        for name, old in before[2].items():
            logging.getLogger(name).setLevel(old)


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_one_json_object_that_says_when_who_and_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path):
        structlog.get_logger("shared.relay").info("published", topic="customer.events.v1", count=3)
    (line,) = lines_of(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "service": "customer",
        "event": "published",
        "logger": "shared.relay",
        "topic": "customer.events.v1",
        "count": 3,
    }


def test_a_line_within_a_request_carries_its_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path):
        token = correlation_id.set("request-1")
        try:
            structlog.get_logger("services.customer").info("done")
        finally:
            correlation_id.reset(token)
        structlog.get_logger("services.customer").info("done")
    inside, outside = lines_of(capsys)
    assert inside["correlation"] == "request-1"
    assert "correlation" not in outside


def test_the_level_is_that_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path, "warning"):
        log = structlog.get_logger("shared.relay")
        log.info("unheard")
        log.warning("heard")
    assert [line["event"] for line in lines_of(capsys)] == ["heard"]


def test_personal_values_under_their_own_names_are_taken_out_at_any_depth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path):
        structlog.get_logger("shared.x").info(
            "registered", surname=SECRET, data={"lines": [{"Email": SECRET, "count": 2}]}
        )
    (line,) = lines_of(capsys)
    assert line["surname"] == "[redacted]"
    assert line["data"] == {"lines": [{"Email": "[redacted]", "count": 2}]}


def test_every_personal_field_of_the_contract_is_denied() -> None:
    fields = {
        next(step for step in reversed(path) if step != "*")
        for model in EVENT_TYPES.values()
        for path in pii_paths(model)
    }
    assert "surname" in fields
    assert fields <= DENIED_KEYS


def test_of_a_foreign_exception_only_class_and_place_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def look_up() -> None:
        nothing: dict[str, str] = {}
        nothing[SECRET]

    with configured(tmp_path):
        try:
            try:
                look_up()
            except KeyError as error:
                raise RuntimeError(SECRET) from error
        except RuntimeError:
            structlog.get_logger("shared.x").exception("failed")
    (line,) = lines_of(capsys)
    assert SECRET not in json.dumps(line)
    assert [part["type"] for part in line["exception"]] == [
        "builtins.RuntimeError",
        "builtins.KeyError",
    ]
    assert line["exception"][1]["at"][-1].endswith(" look_up")


def test_a_validation_error_does_not_bring_the_input_into_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path):
        try:
            TypeAdapter(int).validate_python(SECRET)
        except ValidationError:
            logging.getLogger("uvicorn.error").exception("failed")
    (line,) = lines_of(capsys)
    assert SECRET not in json.dumps(line)


def test_of_an_exception_of_ours_the_text_is_written_but_not_the_detail_for_the_caller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path):
        structlog.get_logger("shared.x").warning(
            "refused", exc_info=Refused("not-found", 404, "There is no such thing.", SECRET)
        )
    (line,) = lines_of(capsys)
    assert line["exception"][0]["text"] == "not-found: There is no such thing."
    assert SECRET not in json.dumps(line)


def test_the_parts_of_an_exception_group_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path):
        group = ExceptionGroup("both", [OSError(111, SECRET), ValueError(SECRET)])
        structlog.get_logger("shared.x").error("failed", exc_info=group)
    (line,) = lines_of(capsys)
    assert [part["type"] for part in line["exception"]] == [
        "builtins.ExceptionGroup",
        "builtins.ConnectionRefusedError",
        "builtins.ValueError",
    ]
    assert line["exception"][1]["code"] == 111


def test_others_are_heard_only_when_they_warn_and_only_in_their_first_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path, "debug"):
        logging.getLogger("pymongo.command").debug("find %s", SECRET)
        logging.getLogger("httpx2").info("GET /customers?phone=%s", SECRET)
        logging.getLogger("uvicorn.access").warning("GET /customers?phone=%s", SECRET)
        logging.getLogger("asyncio").error(
            "Task exception was never retrieved\nexception=KeyError(%r)", SECRET
        )
        logging.getLogger("uvicorn.error").info("Started")
    lines = lines_of(capsys)
    assert [line["event"] for line in lines] == ["Task exception was never retrieved", "Started"]
    assert SECRET not in json.dumps(lines)


def test_a_value_that_is_no_json_is_named_by_its_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with configured(tmp_path):
        structlog.get_logger("shared.x").info("odd", what=object())
    (line,) = lines_of(capsys)
    assert line["what"] == "object"

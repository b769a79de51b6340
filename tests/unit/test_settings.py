"""Settings: read once, checked at the start, refused in calm words."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import Field

from shared.settings import Settings, read_settings

KEY = bytes(range(32))


def an_environment(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: str | None) -> None:
    """Set what a process needs, with changes; None takes a variable away."""
    for name in ("MASTER", "HMAC"):
        (folder / name).write_bytes(base64.b64encode(KEY) + b"\n")
    wanted = {
        "KAFKA_URL": "127.0.0.1:9092",
        "MONGO_URL": "mongodb://127.0.0.1:27017",
        "MASTER_KEY_FILE": str(folder / "MASTER"),
        "HMAC_KEY_FILE": str(folder / "HMAC"),
        **changes,
    }
    for name, value in wanted.items():
        if value is None:
            monkeypatch.delenv(f"REGULARS_{name}", raising=False)
        else:
            monkeypatch.setenv(f"REGULARS_{name}", value)


def complaints_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as exited:
        read_settings(Settings)
    assert exited.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_what_is_not_set_has_the_documented_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    an_environment(monkeypatch, tmp_path)
    settings = read_settings(Settings)
    assert (settings.partitions, settings.host, settings.topic_prefix) == (48, "127.0.0.1", "")
    assert settings.append_deadline == timedelta(seconds=2)


def test_an_empty_variable_counts_as_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    an_environment(monkeypatch, tmp_path, CLOCK_FROZEN_AT="", PARTITIONS="")
    settings = read_settings(Settings)
    assert settings.clock_frozen_at is None
    assert settings.partitions == 48


def test_the_scheme_of_the_broker_is_dropped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    an_environment(monkeypatch, tmp_path, KAFKA_URL="kafka://one:9092,two:9093")
    assert read_settings(Settings).kafka_url == "one:9092,two:9093"


def test_a_frozen_clock_stands_still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    an_environment(monkeypatch, tmp_path, CLOCK_FROZEN_AT="2018-01-02T00:00:00Z")
    assert read_settings(Settings).clock().now() == datetime(2018, 1, 2, tzinfo=UTC)


def test_a_shifted_clock_is_off_by_the_shift(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    an_environment(monkeypatch, tmp_path, CLOCK_SHIFT="-PT1H")
    moment = datetime(2018, 1, 2, 12, tzinfo=UTC)
    assert read_settings(Settings).clock().at_system(moment) == moment - timedelta(hours=1)


def test_keys_are_read_from_their_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    an_environment(monkeypatch, tmp_path)
    settings = read_settings(Settings)
    assert settings.hmac_secret() == KEY
    sealed = settings.master_key().encrypt(bytes(12), b"text", None)
    assert settings.master_key().decrypt(bytes(12), sealed, None) == b"text"


def test_every_wrong_setting_is_named_in_a_line_of_its_own_and_no_value_is_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    an_environment(
        monkeypatch,
        tmp_path,
        KAFKA_URL=None,
        MONGO_URL="postgres://user:hunter2@host",
        PARTITIONS="many",
        LOG_LEVEL="loud",
    )
    lines = complaints_of(capsys)
    assert [line.partition(":")[0] for line in lines] == [
        "REGULARS_KAFKA_URL",
        "REGULARS_MONGO_URL",
        "REGULARS_PARTITIONS",
        "REGULARS_LOG_LEVEL",
    ]
    assert lines[0] == "REGULARS_KAFKA_URL: is not set"
    assert not any(word in "".join(lines) for word in ("hunter2", "many", "loud"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "the file cannot be read: No such file or directory"),
        (b"not base64!", "the file holds no base64"),
        (b"\xff", "the file holds no base64"),
        (base64.b64encode(bytes(16)), "the file must hold 32 bytes in base64, and holds 16"),
    ],
)
def test_a_key_file_that_cannot_serve_is_refused_by_the_name_of_its_setting(
    content: bytes | None,
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "wrong"
    if content is not None:
        path.write_bytes(content)
    an_environment(monkeypatch, tmp_path, MASTER_KEY_FILE=str(path))
    assert complaints_of(capsys) == [f"REGULARS_MASTER_KEY_FILE: {complaint}"]


@pytest.mark.parametrize("url", ["http://host:9092", "host", "host:9092,", "kafka://"])
def test_a_broker_needs_host_and_port(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    an_environment(monkeypatch, tmp_path, KAFKA_URL=url)
    assert complaints_of(capsys) == [
        "REGULARS_KAFKA_URL: should be host:port, several separated by commas"
    ]


def test_a_clock_is_not_frozen_and_shifted_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    an_environment(monkeypatch, tmp_path, CLOCK_FROZEN_AT="2018-01-02T00:00:00Z", CLOCK_SHIFT="P1D")
    assert complaints_of(capsys) == [
        "REGULARS_CLOCK_SHIFT: a clock that is frozen (REGULARS_CLOCK_FROZEN_AT) cannot be shifted"
    ]


def test_passwords_in_urls_are_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    an_environment(
        monkeypatch,
        tmp_path,
        MONGO_URL="mongodb://user:hunter2@host",
        SMTP_URL="smtp://user:hunter2@host",
    )
    assert "hunter2" not in repr(read_settings(Settings))


def test_a_service_adds_settings_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class SegmentSettings(Settings):
        look_back_days: int = Field(default=400, ge=1)

    an_environment(monkeypatch, tmp_path, LOOK_BACK_DAYS="30")
    assert read_settings(SegmentSettings).look_back_days == 30

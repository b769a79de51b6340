"""`regulars key`, `keys` and `revoke`, on a database that is named to them."""

import base64
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from shared.settings import KEY_BYTES
from shared.testing import MongoSpace


@pytest.fixture(autouse=True)
def named(mongo: MongoSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database and a secret in the environment."""
    secret = tmp_path / "hmac.key"
    secret.write_text(base64.b64encode(bytes(KEY_BYTES)).decode(), encoding="ascii")
    for name, value in (
        ("HOME", str(tmp_path)),
        ("MONGO_URL", mongo.url),
        ("DATABASE_PREFIX", mongo.prefix),
        ("HMAC_KEY_FILE", str(secret)),
    ):
        monkeypatch.setenv(f"REGULARS_{name}", value)


def regulars(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_key_is_made_listed_and_revoked_once() -> None:
    text = regulars("key", "cashier", "--title", "till 4", "--branch", "12").stdout.strip()
    prefix = text.split("_")[1]
    shown = {
        "prefix": prefix,
        "title": "till 4",
        "roles": ["cashier"],
        "branches": ["12"],
        "revoked": False,
    }
    listed = regulars("keys", "--json")
    assert json.loads(listed.stdout) == {"items": [shown]}
    assert text not in listed.stdout
    # The whole key is understood too: that is what people have at hand.
    assert regulars("revoke", text).exit_code == 0
    assert json.loads(regulars("keys", "--json").stdout)["items"] == [{**shown, "revoked": True}]
    assert regulars("revoke", prefix).exit_code == 1
    assert regulars("keys").exit_code == 0

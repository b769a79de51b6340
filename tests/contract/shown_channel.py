"""The channel that docs/architecture/channels.md shows, made as the page says."""

import importlib.util
import re
import sys
import types
from pathlib import Path

from services.notify.channels import Accepted, Channel, NotTaken, Rejected
from services.notify.channels.registry import Maker
from shared.testing.provider import Says
from tests.contract.channel_cases import MISUNDERSTOOD, Case, fixed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture" / "channels.md"
_BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _module(name: str, code: str) -> types.ModuleType:
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(code, PAGE.name, "exec"), module.__dict__)  # noqa: S102 - our own page
    return module


def shown_line() -> Maker:
    """What the page adds to the registry."""
    maker: Maker = eval(SHOWN_LINE, {"pigeon": PIGEON})  # noqa: S307 - our own page
    return maker


SHOWN_FILE, SHOWN_LINE = _BLOCKS
PIGEON = _module("services.notify.channels.pigeon", SHOWN_FILE)


def _made(url: str) -> Channel:
    channel: Channel = PIGEON.Pigeon(url)
    return channel


SHOWN = Case(
    name="the page's",
    make=_made,
    address=fixed("loft-7"),
    well=Says(202),
    accepted=Accepted(),
    manners={"no loft": Says(404), "half an answer": Says(202, b"gone", cut=True)},
    receipts={
        **MISUNDERSTOOD,
        "no loft": Rejected("404", address=True),
        "half an answer": Accepted(),
        "not let in": NotTaken("away", "401"),
    },
)

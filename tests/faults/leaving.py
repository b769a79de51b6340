"""People leave by the links of their mails, and nobody can learn of it from the customer service.

Its relay stands still. A gateway that answers nobody holds a mail of each connection, so that
others are decided, are written down as being handed over, and wait for their turn. Then people say
no, and the gateway goes on: of those who said so the mails that waited stay away, and others come.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from random import Random
from typing import Any

import httpx2

from shared.eventstore import Commit
from shared.testing import eventually

Json = Any
SITE = "https://shop.example"
_WAY_OUT = re.compile(rb"List-Unsubscribe:\s*<https://shop\.example(/m/[\w-]{46})>")
HELD = 4
"""Mails that the gateway has in hand when people begin to leave: one worker's connections."""
LEAVING, TOO_LATE = 15, 2
"""All this has to be over before what notify knows of customers is too old to send by (20 s)."""
SECOND = "lapsed@2"
"""The occasion of the mail that is under way."""


@dataclass(slots=True)
class Door:
    """What a gateway does with a mail that it has: it keeps the way out, and answers once open."""

    ways_out: dict[str, str] = field(default_factory=dict)
    arrived: list[str] = field(default_factory=list)
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Open."""
        self._open.set()

    async def take(self, name: str, mail: bytes) -> None:
        """A mail has come whole."""
        found = _WAY_OUT.search(mail)
        if found is not None:
            self.ways_out[name] = found[1].decode()
        self.arrived.append(name)
        await self._open.wait()

    def shut(self) -> None:
        """Answer no mail from now on; who has come is counted anew."""
        self._open.clear()
        self.arrived.clear()

    def open(self) -> None:
        """Answer all."""
        self._open.set()


@dataclass(frozen=True, slots=True)
class Leaving:
    """A chain whose customers by name (`people`) all got a mail, and are to get another one."""

    people: Mapping[str, str]
    customers: httpx2.AsyncClient
    notify: httpx2.AsyncClient
    door: Door
    seconds: float

    async def over(
        self,
        tell: Callable[[], Awaitable[None]],
        stop_relay: Callable[[], Awaitable[None]],
        random: Random,
    ) -> "Left":
        """Some leave while the mails of all are under way, and every mail has its outcome."""
        self.door.shut()
        await tell()
        await eventually(self._some_are_held, self.seconds)
        await stop_relay()
        held = sorted(set(self.door.arrived))
        waiting = sorted(self.people.keys() - set(held))
        names = [*random.sample(waiting, LEAVING), *random.sample(held, TOO_LATE)]
        ways_out = {name: self.door.ways_out[name] for name in names}
        key = self.notify.headers.pop("Authorization")
        for way_out in ways_out.values():
            answer = await self.notify.post(way_out, data={"List-Unsubscribe": "One-Click"})
            assert answer.is_success, answer.text
        self.notify.headers["Authorization"] = key
        before = list(self.door.arrived)
        self.door.open()
        # Whoever did not leave gets it, with the relay still standing.
        await eventually(partial(self._others_came, before), self.seconds)
        said = {name: await self._evidence(name) for name in names}
        left = Left(self.people, said, before, self.door.arrived)
        for name in left.kept_back:
            await eventually(partial(self._settled, name), self.seconds)
        return left

    async def _some_are_held(self) -> bool | None:
        return True if len(self.door.arrived) >= HELD else None

    async def _settled(self, name: str) -> bool | None:
        """Whether nothing is on its way to a customer any more."""
        params = {"customer": self.people[name], "campaign": "email", "state": "suppressed"}
        return (
            True if (await self.notify.get("/v1/messages", params=params)).json()["items"] else None
        )

    async def _others_came(self, before: Collection[str]) -> bool | None:
        return True if len(set(self.door.arrived) - set(before)) >= LEAVING else None

    async def _evidence(self, name: str) -> datetime:
        """When a customer has said no, as the log of consents has it."""

        async def found() -> datetime | None:
            path = f"/v1/customers/{self.people[name]}/consents"
            last = (await self.customers.get(path)).json()["log"][-1]
            one_click = not last["given"] and last["evidence"]["source"] == "one-click"
            return datetime.fromisoformat(last["evidence"]["at"]) if one_click else None

        return await eventually(found, self.seconds)


@dataclass(frozen=True, slots=True)
class Left:
    """Who said no and when, whose mails the gateway had before it went on, and all that it had."""

    people: Mapping[str, str]
    said: Mapping[str, datetime]
    before: Sequence[str]
    arrived: Sequence[str]

    @property
    def kept_back(self) -> Collection[str]:
        """Those whose mail waited when they said no."""
        return self.said.keys() - set(self.before)

    def check(self, commits: Sequence[Commit]) -> None:
        """Nothing went out to them afterwards, by the gateway and by both logs."""
        assert len(self.kept_back) >= LEAVING // 2, "nobody's mail waited"
        assert not set(self.arrived[len(self.before) :]) & self.said.keys()
        names = {self.people[name]: name for name in self.said}
        lives: dict[str, list[Json]] = {}
        for event in (json.loads(text) for commit in commits for text in commit.events):
            name = names.get(event.get("subject"))
            if name is not None and event["data"].get("campaign") == "email":
                lives.setdefault(event["stream"], []).append((name, event))
        outcomes = {
            name: [event for _, event in life]
            for (name, first), *_ in lives.values()
            for life in [lives[first["stream"]]]
            if first["data"]["occurrence"] == SECOND
        }
        for name, at in self.said.items():
            kinds = [event["type"].split(".")[1] for event in outcomes[name]]
            if name not in self.before:
                assert kinds[-1] == "suppressed"
                assert outcomes[name][-1]["data"]["reason"] == "withdrawn"
                continue
            assert kinds[-1] in {"sent", "uncertain"}
            begun = max(e["recordedtime"] for e in outcomes[name] if ".sending." in e["type"])
            assert datetime.fromisoformat(begun) <= at

"""Kafka in: facts of people who are not known, for a chain that registers them at once.

A record that cannot be read is counted and passed over: the read models of its topic park it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.customer.handlers.registering import Registering, Stranger
from shared import telemetry
from shared.envelope import UNREADABLE, Light, decode_light, glimpse_type
from shared.events.interaction import FACTS
from shared.identifiers import KnownIdentifier
from shared.keyring import Keyring, key_ids, unseal
from shared.records import RawRecord

TOPICS = ("interaction.events.v1",)
GROUP = "customer.registering"
READER = "registering"
UNKNOWN = "unknown-"
PATHS = (("identified_by", "value"), ("also", "*", "value"))
_TYPES = frozenset(kind.type.encode() for kind in FACTS)
Json = Any


async def react(registering: Registering, keyring: Keyring, records: Sequence[RawRecord]) -> None:
    """Register whoever is to be. Raises `MissingKey`, and what the database raises."""
    facts = list(_facts(records))
    kinds = [(_kind(each), each.recordedtime) for each in facts]
    if not kinds or not await registering.wanted(kinds):
        return
    datas: list[dict[str, Json]] = [msgspec.json.decode(each.data) for each in facts]
    wanted = {key for data in datas for key in key_ids(data, PATHS)}
    keys = await keyring.get(wanted) if wanted else {}
    for data in datas:
        unseal(data, PATHS, keys)
    await registering.react(
        [_stranger(light, data) for light, data in zip(facts, datas, strict=True)]
    )


def _facts(records: Sequence[RawRecord]) -> Sequence[Light]:
    found = []
    for record in records:
        value = record.value or b""
        if glimpse_type(value) not in _TYPES:
            continue
        try:
            light = decode_light(value)
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
            continue
        if light.subject is None and light.stream.startswith(UNKNOWN):
            found.append(light)
    return found


def _kind(light: Light) -> str:
    """`receipt_recorded` of `interaction.receipt_recorded.v1`."""
    return light.type.split(".")[1]


def _stranger(light: Light, data: Mapping[str, Json]) -> Stranger:
    told = [data.get("identified_by"), *(data.get("also") or ())]
    return Stranger(
        event=light.id,
        kind=_kind(light),
        stream=light.stream,
        recorded=light.recordedtime,
        branch=light.branch,
        correlation=light.correlationid,
        depth=light.causedepth,
        # Of somebody who was erased nothing is left to register by.
        known=tuple(
            KnownIdentifier(each["kind"], each["hash"], each["value"])
            for each in told
            if each is not None and "value" in each
        ),
    )

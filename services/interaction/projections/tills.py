"""What each till has sent: a small document per number of a receipt, so that none grows.

A till has no document of its own: all customers' streams would write it, and it would have to keep
the version of each. What is told of a till is summed up by a query. Receipts that change hands were
heard once, when they were recorded.
"""

from datetime import datetime

import msgspec

from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.projection import Document, Event, Projection


class Heard(Document, kw_only=True):
    """A receipt, return or void of a till; `number` counts up at its till, where it has one.

    `recorded` is when it came, `time` when it was by the till's own clock.
    """

    branch: str
    till: str
    recorded: datetime
    time: datetime
    number: int | None = None


class Numbered(msgspec.Struct, gc=False):
    """Of `interaction.receipt_recorded`."""

    fact: str
    till: str | None = None
    number: int | None = None


class Sent(msgspec.Struct, gc=False):
    """Of `interaction.receipt_returned` and `interaction.receipt_voided`."""

    fact: str
    till: str | None = None


def heard_id(branch: str, till: str, number: int | None, fact: str) -> str:
    """The id of the document: by the number, else by the fact."""
    what = f"#{fact}" if number is None else str(number)
    return f"{branch}|{what}|{till}"


def _target(event: Event) -> str | None:
    data, branch = event.data, event.light.branch
    if data.till is None or branch is None:
        return None
    number = data.number if isinstance(data, Numbered) else None
    return heard_id(branch, data.till, number, data.fact)


def apply_heard(heard: Heard | None, event: Event) -> Heard:
    """The document after an event; of two with one number the later moments count."""
    light, data = event.light, event.data
    if heard is None:
        return Heard(
            id=_target(event) or "",
            branch=light.branch or "",
            till=data.till,
            recorded=light.recordedtime,
            time=light.time,
            number=data.number if isinstance(data, Numbered) else None,
        )
    heard.recorded = max(heard.recorded, light.recordedtime)
    heard.time = max(heard.time, light.time)
    return heard


TILLS: Projection[Heard] = Projection(
    name="tills_v1",
    topics=("interaction.events.v1",),
    reads={
        ReceiptRecorded.type: Numbered,
        ReceiptReturned.type: Sent,
        ReceiptVoided.type: Sent,
    },
    document=Heard,
    target=_target,
    apply=apply_heard,
    indexes=((("branch", 1), ("till", 1), ("number", 1)),),
)

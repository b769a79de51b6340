"""What is asked of a writer, and what it answers."""

from typing import Generic, TypeVar

import msgspec

from shared.decider import Refused
from shared.envelope import Causation
from shared.eventstore import Known

BodyT = TypeVar("BodyT")


class Command(msgspec.Struct, Generic[BodyT], frozen=True):
    """What somebody wants done on one stream.

    `id` is prefixed by its source and unique for ever; `hash` covers the body as its sender sees
    it; `key` is the Kafka key of the stream; `subject` the customer concerned, whose key seals
    personal fields, unless `sealed_by` names another.
    """

    id: str
    hash: str
    stream: str
    key: str
    body: BodyT
    causation: Causation
    subject: str | None = None
    sealed_by: str | None = None

    @property
    def sealer(self) -> str | None:
        """The id of the key that seals personal fields."""
        return self.sealed_by or self.subject


class Done(msgspec.Struct, frozen=True, gc=False):
    """The answer: the stream and its version after the command.

    `repeated`: it was recorded earlier; `changed`: it gave events (now or then).
    """

    stream: str
    version: int
    repeated: bool = False
    changed: bool = True


Outcome = Done | Refused


def answered(record: Known, sent_hash: str) -> Outcome:
    """The answer to a command that is recorded: the one of the first time, if it is the same."""
    if record.mark.hash == sent_hash:
        return Done(record.stream, record.mark.version, repeated=True)
    return differs()


def differs() -> Refused:
    """The refusal of an id that stands for something else already."""
    return Refused(
        "command-differs",
        422,
        "This id was used before for something else.",
        "send the same content again, or use another id",
    )


REDIRECTED = "redirected"
MOVED_ON = "moved-on"


def redirected(to: str) -> Refused:
    """The refusal of a stream that is closed: the same may be asked at the place it names."""
    return Refused(REDIRECTED, 409, "This goes on elsewhere.", "ask again there", extra={"to": to})

"""Facts as their sources send them: one model per kind, the same over HTTP, Kafka and files.

Strict on what is known, so that a mistake is told to who made it; a source's own fields go into
`extra`. What a model turns into does not depend on the way it came.
"""

from typing import Annotated

from pydantic import Field, TypeAdapter

from services.interaction.handlers.incoming.contacts import (
    CallInput,
    ComplaintInput,
    MeetingInput,
    MessageInput,
    SurveyInput,
)
from services.interaction.handlers.incoming.receipts import (
    ReceiptInput,
    ReturnInput,
    TakeBackInput,
    VoidInput,
)
from services.interaction.handlers.incoming.visits import (
    OrderInput,
    PageViewInput,
    ReferralInput,
    VisitInput,
)
from services.interaction.handlers.incoming.who import FactInput

__all__ = [
    "ANY",
    "KINDS",
    "AnyInput",
    "FactInput",
    "ReceiptInput",
    "ReturnInput",
    "TakeBackInput",
    "VoidInput",
]

AnyInput = Annotated[
    ReceiptInput
    | ReturnInput
    | VoidInput
    | VisitInput
    | OrderInput
    | CallInput
    | MeetingInput
    | MessageInput
    | ComplaintInput
    | SurveyInput
    | PageViewInput
    | ReferralInput,
    Field(discriminator="kind"),
]
ANY: TypeAdapter[FactInput | TakeBackInput] = TypeAdapter(AnyInput)
"""Reads a fact of any kind, which `kind` names."""
KINDS: dict[str, type[FactInput] | type[TakeBackInput]] = {
    "receipts": ReceiptInput,
    "returns": ReturnInput,
    "voids": VoidInput,
    "visits": VisitInput,
    "orders": OrderInput,
    "calls": CallInput,
    "meetings": MeetingInput,
    "messages": MessageInput,
    "complaints": ComplaintInput,
    "surveys": SurveyInput,
    "page-views": PageViewInput,
    "referrals": ReferralInput,
}
"""What collections of them are called in addresses and files."""

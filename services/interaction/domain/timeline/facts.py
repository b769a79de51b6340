"""Entries of facts, which may change hands, and of their moves."""

from collections.abc import Mapping

from services.interaction.domain.timeline.kinds import Form, Group, Kind, Saying, Shown
from shared.events import interaction, moving
from shared.events.contract import Path

SOURCE = "/v1/facts/{fact}"
TOTAL = Shown(("total",), Form.MONEY)
LINES = Shown(("lines",), Form.NUMBER, count=True)
EMPLOYEE = {"employee": Shown(("employee",))}
MINUTES = {"minutes": Shown(("minutes",), Form.MINUTES)}
DIRECTION = {"direction": Shown(("direction",))}
PHONE, WEB = "phone", "web"


def fact(
    group: Group,
    sayings: tuple[Saying, ...],
    shows: Mapping[str, Shown],
    *,
    texts: tuple[Path, ...] = (),
    channel: Path | str = "",
) -> Kind:
    """A kind of fact; its amount, if it has any, is its total."""
    return Kind(
        group,
        sayings,
        shows,
        texts=texts,
        amount="total" if "total" in shows else None,
        source=SOURCE,
        channel=channel,
        fact=True,
    )


PURCHASES: Mapping[str, Kind] = {
    interaction.ReceiptRecorded.type: fact(
        Group.PURCHASE,
        (
            Saying(
                "Receipt for {total}, {lines} line", "Receipt for {total}, {lines} lines", "lines"
            ),
            Saying("Receipt for {total}"),
        ),
        {"total": TOTAL, "lines": LINES},
        channel=("channel",),
    ),
    interaction.ReceiptReturned.type: fact(
        Group.PURCHASE,
        (
            Saying(
                "Given back: {total}, {lines} line", "Given back: {total}, {lines} lines", "lines"
            ),
            Saying("Given back: {total}"),
        ),
        {"total": TOTAL, "lines": LINES},
        texts=(("reason",),),
    ),
    interaction.ReceiptVoided.type: fact(
        Group.PURCHASE,
        (Saying("Receipt voided: {total}"),),
        {"total": TOTAL},
        texts=(("reason",),),
    ),
    interaction.OrderChanged.type: fact(
        Group.PURCHASE,
        (
            Saying("Order {order}: {state}, {total}"),
            Saying("Order {order}: {state}, due {due}"),
            Saying("Order {order}: {state}"),
        ),
        {
            "order": Shown(("order",)),
            "state": Shown(("state",), Form.WORD, "order state"),
            "total": TOTAL,
            "due": Shown(("due",), Form.MOMENT),
        },
        texts=(("note",),),
        channel=("channel",),
    ),
}

VISITS: Mapping[str, Kind] = {
    interaction.VisitRecorded.type: fact(
        Group.VISIT,
        (
            Saying("Visit on {at}, {service}: {state}"),
            Saying("Visit on {at}: {state}"),
            Saying("Visit, {service}: {state}"),
            Saying("Visit: {state}"),
        ),
        {
            "at": Shown(("at",), Form.MOMENT),
            "service": Shown(("service",)),
            "state": Shown(("state",), Form.WORD, "visit state"),
        },
        texts=(("note",),),
    ),
}

CONTACTS: Mapping[str, Kind] = {
    interaction.CallRecorded.type: fact(
        Group.CONTACT,
        (
            Saying("Call from the customer, missed", when={"direction": "in", "answered": False}),
            Saying("Call from the customer, {seconds}", when={"direction": "in"}),
            Saying("Call from the customer", when={"direction": "in"}),
            Saying("Call to the customer, not answered", when={"answered": False}),
            Saying("Call to the customer, {seconds}"),
            Saying("Call to the customer"),
        ),
        {
            **DIRECTION,
            "answered": Shown(("answered",)),
            "seconds": Shown(("seconds",), Form.SECONDS),
        },
        texts=(("text",),),
        channel=PHONE,
    ),
    interaction.MeetingRecorded.type: fact(
        Group.CONTACT,
        (
            Saying("Meeting with {employee}, {minutes}"),
            Saying("Meeting with {employee}"),
            Saying("Meeting, {minutes}"),
            Saying("Meeting"),
        ),
        {**EMPLOYEE, **MINUTES},
        texts=(("place",), ("text",)),
    ),
    interaction.MessageRecorded.type: fact(
        Group.CONTACT,
        (
            Saying("Message from the customer ({channel})", when={"direction": "in"}),
            Saying("Message to the customer ({channel})"),
        ),
        {**DIRECTION, "channel": Shown(("channel",), Form.WORD, "channel")},
        texts=(("headline",), ("text",)),
        channel=("channel",),
    ),
    interaction.ComplaintRecorded.type: fact(
        Group.CONTACT,
        (
            Saying("Complaint about {about}, to be settled by {due}"),
            Saying("Complaint about {about}"),
            Saying("Complaint, to be settled by {due}"),
            Saying("Complaint"),
        ),
        {"about": Shown(("about",)), "due": Shown(("due",), Form.MOMENT)},
        texts=(("text",),),
        channel=("channel",),
    ),
    interaction.SurveyAnswered.type: fact(
        Group.CONTACT,
        (
            Saying("Survey {survey} answered: {score} of {scale}"),
            Saying("Survey {survey} answered: {score}"),
            Saying("Survey {survey} answered"),
        ),
        {
            "survey": Shown(("survey",)),
            "score": Shown(("score",), Form.NUMBER),
            "scale": Shown(("scale",), Form.NUMBER),
        },
        texts=(("text",), ("answers", "*", "answer")),
        channel=("channel",),
    ),
}

WEB_VISITS: Mapping[str, Kind] = {
    interaction.PageViewed.type: fact(
        Group.WEB,
        (
            Saying("Looked at {product} for {seconds}"),
            Saying("Looked at {product}"),
            Saying("Looked at the page {page} for {seconds}"),
            Saying("Looked at the page {page}"),
        ),
        {
            "page": Shown(("page",)),
            "product": Shown(("product",)),
            "seconds": Shown(("seconds",), Form.SECONDS),
        },
        channel=WEB,
    ),
    interaction.Referred.type: fact(
        Group.CONTACT,
        (
            Saying("Recommended us to somebody (code {code})", when={"direction": "in"}),
            Saying("Recommended us to somebody", when={"direction": "in"}),
            Saying("Came on a recommendation (code {code})"),
            Saying("Came on a recommendation"),
        ),
        {**DIRECTION, "code": Shown(("code",))},
    ),
}

SUSPICIONS: Mapping[str, Kind] = {
    "interaction.misuse_suspected.v1": Kind(
        Group.PURCHASE,
        (
            Saying(
                "Misuse suspected on {day}: {count} receipt, {limit} allowed",
                "Misuse suspected on {day}: {count} receipts, {limit} allowed",
                "count",
            ),
        ),
        {
            "day": Shown(("day",), Form.DAY),
            "count": Shown(("count",), Form.NUMBER),
            "limit": Shown(("limit",), Form.NUMBER),
        },
    ),
    "interaction.misuse_lifted.v1": Kind(
        Group.PURCHASE,
        (Saying("No misuse after all: {days}"),),
        {"days": Shown(("days", "*"), Form.DAY)},
    ),
}

MOVES: Mapping[str, Kind] = {
    moving.MoveEnded.type: Kind(
        Group.IDENTITY,
        (
            Saying("Earlier facts were found to be this customer's", when={"reason": "adopted"}),
            Saying("Facts came from a merged record", when={"reason": "merged", "direction": "in"}),
            Saying("Facts went to the record that lives on", when={"reason": "merged"}),
            Saying("Facts came back with a merge undone",
                   when={"reason": "reverted", "direction": "in"}),
            Saying("Facts went back with a merge undone", when={"reason": "reverted"}),
            Saying("Facts were moved here by hand", when={"direction": "in"}),
            Saying("Facts were moved away by hand"),
        ),
        {"reason": Shown(("reason",)), **DIRECTION},
    ),
}  # fmt: skip

FACTS: Mapping[str, Kind] = {**PURCHASES, **VISITS, **CONTACTS, **WEB_VISITS}

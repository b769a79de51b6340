"""Entries of deals."""

from collections.abc import Mapping

from services.interaction.domain.timeline.kinds import Form, Group, Kind, Saying, Shown
from shared.events import deal

AMOUNT = Shown(("amount",), Form.MONEY)
TERMS = Shown(("terms", "amount"), Form.MONEY)
PIPELINE = {"pipeline": Shown(("pipeline",))}
STAGE = {"stage": Shown(("stage",))}
ROBOT = {"robot": Shown(("robot",))}
WORDS = (("words", "title"), ("words", "comment"))
SOURCE = "/v1/deals/{deal}"

DEALS: Mapping[str, Kind] = {
    deal.DealOpened.type: Kind(
        Group.DEAL,
        (Saying("Deal opened in {pipeline}: {amount}"),),
        {**PIPELINE, "amount": TERMS},
        texts=WORDS,
        amount="amount",
        source=SOURCE,
    ),
    deal.DealChanged.type: Kind(
        Group.DEAL,
        (Saying("Deal changed: {amount}"), Saying("Deal changed")),
        {"amount": TERMS},
        texts=WORDS,
        amount="amount",
        source=SOURCE,
    ),
    deal.DealStageMoved.type: Kind(
        Group.DEAL,
        (Saying("Deal moved from {before} to {stage}"),),
        {**STAGE, "before": Shown(("before",))},
        source=SOURCE,
    ),
    deal.DealWon.type: Kind(
        Group.DEAL,
        (Saying("Deal won: {amount}"),),
        {"amount": AMOUNT},
        amount="amount",
        source=SOURCE,
    ),
    deal.DealLost.type: Kind(
        Group.DEAL,
        (Saying("Deal lost: {reason}"),),
        {"reason": Shown(("reason",))},
        texts=(("comment",),),
        source=SOURCE,
    ),
    deal.DealReopened.type: Kind(
        Group.DEAL, (Saying("Deal reopened in {stage}"),), STAGE, source=SOURCE
    ),
    deal.DealResponsibleAssigned.type: Kind(
        Group.DEAL,
        (
            Saying("{responsible} answers for the deal"),
            Saying("Nobody answers for the deal any more"),
        ),
        {"responsible": Shown(("responsible",))},
        source=SOURCE,
    ),
    deal.DealTransferred.type: Kind(
        Group.DEAL,
        (Saying("The deal went to {other}"),),
        {"other": Shown(("customer",))},
        source=SOURCE,
    ),
    deal.DealContinued.type: Kind(
        Group.DEAL,
        (Saying("The deal goes on here: {amount}"),),
        {"amount": TERMS},
        texts=(*WORDS, ("lost_comment",)),
        amount="amount",
        source=SOURCE,
    ),
    deal.DealTaskRequested.type: Kind(
        Group.DEAL,
        (Saying("The robot {robot} asks for a task: {title}"),),
        {**ROBOT, "title": Shown(("title",))},
        source=SOURCE,
    ),
    deal.DealMessageRequested.type: Kind(
        Group.DEAL,
        (Saying("The robot {robot} asks for a message: {template} ({channel})"),),
        {
            **ROBOT,
            "template": Shown(("template",)),
            "channel": Shown(("channel",), Form.WORD, "channel"),
        },
        source=SOURCE,
        channel=("channel",),
    ),
    deal.DealChangeRequested.type: Kind(
        Group.DEAL,
        (Saying("The robot {robot} changes the deal: {field}"),),
        {**ROBOT, "field": Shown(("field",), Form.WORD, "deal field")},
        source=SOURCE,
    ),
    deal.DealWebhookRequested.type: Kind(
        Group.DEAL,
        (Saying("The robot {robot} tells another system"),),
        ROBOT,
        source=SOURCE,
    ),
    deal.DealWebhookGivenUp.type: Kind(
        Group.DEAL,
        (
            Saying(
                "Another system could not be told, after {attempts} attempt",
                "Another system could not be told, after {attempts} attempts",
                "attempts",
            ),
        ),
        {"attempts": Shown(("attempts",), Form.NUMBER)},
        source=SOURCE,
    ),
}

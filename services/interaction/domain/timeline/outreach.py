"""Entries of segments, lists and messages: what a customer is counted among, and what was sent."""

from collections.abc import Mapping

from services.interaction.domain.timeline.kinds import Form, Group, Kind, Saying, Shown
from shared.events import lists, notification, segment
from shared.events.contract import Path

SEGMENT = {"segment": Shown(("segment",))}
LIST = {"list": Shown(("list",))}
CAMPAIGN = {"campaign": Shown(("campaign",))}


def _membership(sentence: str) -> Kind:
    return Kind(
        Group.SEGMENT,
        (Saying(sentence),),
        SEGMENT,
        source="/v1/customers/{customer}/memberships",
    )


def _list(sentence: str) -> Kind:
    return Kind(Group.SEGMENT, (Saying(sentence),), LIST, source="/v1/customers/{customer}/lists")


def _message(
    *sayings: Saying, shows: Mapping[str, Shown] | None = None, channel: Path | str = ""
) -> Kind:
    return Kind(
        Group.MESSAGE,
        sayings,
        {**CAMPAIGN, **(shows or {})},
        source="/v1/campaigns/{campaign}",
        channel=channel,
    )


OUTREACH: Mapping[str, Kind] = {
    segment.SegmentEntered.type: _membership("Entered the segment {segment}"),
    segment.SegmentExited.type: _membership("Left the segment {segment}"),
    lists.ListEntered.type: _list("Put on the list {list}"),
    lists.ListLeft.type: _list("Taken off the list {list}"),
    notification.MessageScheduled.type: _message(
        Saying("Message of {campaign} planned ({channel})"),
        shows={"channel": Shown(("channel",), Form.WORD, "channel")},
        channel=("channel",),
    ),
    notification.MessageSuppressed.type: _message(
        Saying("Message of {campaign} not sent: {reason}"),
        shows={"reason": Shown(("reason",), Form.WORD, "suppression")},
    ),
    notification.MessageHeldOut.type: _message(
        Saying("Message of {campaign} not sent: the customer is in the group for comparison")
    ),
    notification.MessageSending.type: _message(Saying("Message of {campaign} is being sent")),
    notification.MessagePostponed.type: _message(
        Saying("Message of {campaign} waits until {until}: {reason}"),
        shows={
            "until": Shown(("until",), Form.MOMENT),
            "reason": Shown(("reason",), Form.WORD, "postponement"),
        },
    ),
    notification.MessageFellBack.type: _message(
        Saying("Message of {campaign} did not arrive ({channel}), the next channel is tried"),
        shows={"channel": Shown(("channel",), Form.WORD, "channel")},
        channel=("channel",),
    ),
    notification.MessageDeferred.type: _message(
        Saying("Message of {campaign} put off: {reason}"),
        shows={"reason": Shown(("reason",), Form.WORD, "deferral")},
    ),
    notification.MessageSent.type: _message(Saying("Message of {campaign} sent")),
    notification.MessageDelivered.type: _message(Saying("Message of {campaign} delivered")),
    notification.MessageOpened.type: _message(Saying("Message of {campaign} opened")),
    notification.MessageClicked.type: _message(
        Saying("Link {link} in a message of {campaign} followed"),
        Saying("A link in a message of {campaign} followed"),
        shows={"link": Shown(("link",))},
    ),
    notification.MessageFailed.type: _message(
        Saying("Message of {campaign} refused by the channel ({code})"),
        shows={"code": Shown(("code",))},
    ),
    notification.MessageUncertain.type: _message(
        Saying("Nobody can tell whether the message of {campaign} went out")
    ),
}

"""Entries of segments, lists and messages: what a customer is counted among, and what was sent."""

from collections.abc import Mapping

from services.interaction.domain.timeline.kinds import Form, Group, Kind, Saying, Shown
from shared.events import (
    coupons,
    lists,
    notification,
    preferences,
    reports,
    segment,
    series,
    single,
)
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


def _preference(*sayings: Saying) -> Kind:
    return Kind(
        Group.MESSAGE,
        sayings,
        {
            "topic": Shown(("topic",)),
            "channel": Shown(("channel",), Form.WORD, "channel"),
            "source": Shown(("source",)),
        },
        source="/v1/customers/{customer}/consents",
        channel=("channel",),
    )


def _coupon(sentence: str) -> Kind:
    return Kind(
        Group.MESSAGE,
        (Saying(sentence),),
        {"code": Shown(("code",)), "pool": Shown(("pool",))},
        source="/v1/coupons/{code}",
    )


def _journey(*sayings: Saying, shows: Mapping[str, Shown] | None = None) -> Kind:
    return Kind(
        Group.MESSAGE,
        sayings,
        {"series": Shown(("series",)), **(shows or {})},
        source="/v1/series/{series}/journeys/{customer}",
    )


OUTREACH: Mapping[str, Kind] = {
    segment.SegmentEntered.type: _membership("Entered the segment {segment}"),
    segment.SegmentExited.type: _membership("Left the segment {segment}"),
    lists.ListEntered.type: _list("Put on the list {list}"),
    lists.ListLeft.type: _list("Taken off the list {list}"),
    series.JourneyEntered.type: _journey(Saying("Entered the series {series}")),
    series.JourneyEnded.type: _journey(
        Saying("Went through the series {series} to its end", when={"reason": "finished"}),
        Saying("Left the series {series}: {reason}"),
        shows={"reason": Shown(("reason",), Form.WORD, "journey end")},
    ),
    notification.MessageScheduled.type: _message(
        Saying("Message of {campaign} planned ({channel})"),
        shows={"channel": Shown(("channel",), Form.WORD, "channel")},
        channel=("channel",),
    ),
    single.MessageWritten.type: _message(Saying("An employee wrote to the customer")),
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
    coupons.CouponIssued.type: _coupon("Got the coupon {code} ({pool})"),
    coupons.CouponRedeemed.type: _coupon("The coupon {code} ({pool}) was redeemed"),
    coupons.CouponRedemptionReturned.type: _coupon(
        "The coupon {code} ({pool}) is good again: the receipt came back"
    ),
    coupons.ReferralBrought.type: _coupon("Somebody came by the code {code} ({pool})"),
    coupons.ReferralCame.type: _coupon("Came by the code {code} of another customer ({pool})"),
    preferences.PreferenceWithdrawn.type: _preference(
        Saying(
            "Wants no more messages about {topic} ({channel}), by a word in an answer",
            when={"source": "reply"},
        ),
        Saying("Wants no more messages about {topic} ({channel}), by a link in a message"),
    ),
    preferences.PreferenceGiven.type: _preference(
        Saying("Agreed to messages about {topic} ({channel}), by a link in a message")
    ),
    preferences.PreferredChannelChosen.type: Kind(
        Group.MESSAGE,
        (Saying("Would rather be written to by {channel}, by a link in a message"),),
        {"channel": Shown(("channel",), Form.WORD, "channel")},
        source="/v1/customers/{customer}",
        channel=("channel",),
    ),
    notification.MessageFailed.type: _message(
        Saying("Message of {campaign} refused by the channel ({code})"),
        shows={"code": Shown(("code",))},
    ),
    notification.MessageUncertain.type: _message(
        Saying("Nobody can tell whether the message of {campaign} went out")
    ),
    reports.MessageBounced.type: _message(
        Saying(
            "Message of {campaign} came back ({channel}): the address is bad",
            when={"permanent": True},
        ),
        Saying("Message of {campaign} came back ({channel})"),
        shows={
            "channel": Shown(("channel",), Form.WORD, "channel"),
            "permanent": Shown(("permanent",)),
        },
        channel=("channel",),
    ),
    reports.MessageComplained.type: _message(
        Saying("The customer complained about the message of {campaign} ({channel})"),
        shows={"channel": Shown(("channel",), Form.WORD, "channel")},
        channel=("channel",),
    ),
    reports.MessageGivenUp.type: _message(
        Saying("Message of {campaign} did not arrive ({channel}), and there is no other channel"),
        shows={"channel": Shown(("channel",), Form.WORD, "channel")},
        channel=("channel",),
    ),
}

"""What facts of each kind, their numbers and the things in them are called; English, as in code."""

from collections.abc import Mapping

DONE: Mapping[str, tuple[str, str, str]] = {
    "receipts": ("bought", "did not buy", "never bought"),
    "visits": ("visited", "did not visit", "never visited"),
    "orders": ("ordered", "did not order", "never ordered"),
    "calls": ("had a call", "had no call", "never had a call"),
    "meetings": ("had a meeting", "had no meeting", "never had a meeting"),
    "messages": ("had a letter", "had no letter", "never had a letter"),
    "complaints": ("complained", "did not complain", "never complained"),
    "surveys": ("answered a survey", "answered no survey", "never answered a survey"),
    "page_views": ("looked at a page", "looked at no page", "never looked at a page"),
    "referrals": ("had a referral", "had no referral", "never had a referral"),
    "notifications": (
        "got a message of a campaign",
        "got no message of a campaign",
        "never got a message of a campaign",
    ),
}
"""Kind → that it happened, that it did not, and that it never did."""

CAME_TO: Mapping[tuple[str, str], tuple[str, str, str]] = {
    ("notifications", "delivered"): (
        "had a message of a campaign delivered",
        "had no message of a campaign delivered",
        "never had a message of a campaign delivered",
    ),
    ("notifications", "opened"): (
        "opened a message of a campaign",
        "opened no message of a campaign",
        "never opened a message of a campaign",
    ),
    ("notifications", "clicked"): (
        "followed a link in a message of a campaign",
        "followed no link in a message of a campaign",
        "never followed a link in a message of a campaign",
    ),
}
"""The same of a kind in one state, where that has words of its own."""

NUMBERS: Mapping[tuple[str, str], str] = {
    ("receipts", "total"): "receipts",
    ("receipts", "amount"): "lines of receipts",
    ("receipts", "quantity"): "quantities bought",
    ("orders", "total"): "orders",
    ("orders", "amount"): "lines of orders",
    ("orders", "quantity"): "quantities ordered",
    ("visits", "minutes"): "minutes of visits",
    ("calls", "seconds"): "seconds of calls",
    ("meetings", "minutes"): "minutes of meetings",
    ("surveys", "score"): "scores of surveys",
    ("page_views", "seconds"): "seconds on pages",
    ("page_views", "scroll"): "percent of pages seen",
}
MONEY = frozenset({"total", "amount"})

AGGREGATES: Mapping[str, str] = {
    "sum": "{numbers}{when}{which} sum to {value}",
    "average": "the average of {numbers}{when}{which} is {value}",
    "min": "the least of {numbers}{when}{which} is {value}",
    "max": "the greatest of {numbers}{when}{which} is {value}",
}

THINGS: Mapping[str, tuple[str, str]] = {
    "day": (" on {sign} {number} different day", " on {sign} {number} different days"),
    "branch": (" in {sign} {number} different branch", " in {sign} {number} different branches"),
    "source": (" by {sign} {number} different source", " by {sign} {number} different sources"),
    "product": (
        " with {sign} {number} different product",
        " with {sign} {number} different products",
    ),
    "channel": (" by {sign} {number} different channel", " by {sign} {number} different channels"),
    "employee": (
        " with {sign} {number} different employee",
        " with {sign} {number} different employees",
    ),
    "till": (" at {sign} {number} different till", " at {sign} {number} different tills"),
    "visit": (" on {sign} {number} different visit", " on {sign} {number} different visits"),
    "order": (" in {sign} {number} different order", " in {sign} {number} different orders"),
    "state": (" in {sign} {number} different state", " in {sign} {number} different states"),
    "service": (
        " for {sign} {number} different service",
        " for {sign} {number} different services",
    ),
    "carrier": (
        " with {sign} {number} different carrier",
        " with {sign} {number} different carriers",
    ),
    "about": (" about {sign} {number} different thing", " about {sign} {number} different things"),
    "department": (
        " for {sign} {number} different department",
        " for {sign} {number} different departments",
    ),
    "survey": (" in {sign} {number} different survey", " in {sign} {number} different surveys"),
    "page": (" of {sign} {number} different page", " of {sign} {number} different pages"),
    "session": (" in {sign} {number} different session", " in {sign} {number} different sessions"),
    "message": (" in {sign} {number} different message", " in {sign} {number} different messages"),
    "campaign": (
        " of {sign} {number} different campaign",
        " of {sign} {number} different campaigns",
    ),
    "link": (" by {sign} {number} different link", " by {sign} {number} different links"),
}

NAMED: Mapping[str, str] = {
    "branch": " in branch {names}",
    "source": " reported by {names}",
    "state": " ({names})",
    "channel": " by {names}",
    "employee": " with employee {names}",
    "till": " at till {names}",
    "service": " for {names}",
    "carrier": " with carrier {names}",
    "about": " about {names}",
    "department": " for department {names}",
    "survey": " in survey {names}",
    "page": " on page {names}",
    "session": " in session {names}",
    "code": " with code {names}",
    "campaign": " of campaign {names}",
    "link": " by link {names}",
    "product": " of product {names}",
    "category": " of category {names}",
}

COMPARED: Mapping[str, str] = {
    "total": " of {value} each",
    "minutes": " of {value} minutes each",
    "seconds": " of {value} seconds each",
    "score": " with score {value}",
    "scroll": " seen to {value} percent",
}

STATES: Mapping[str, str] = {
    "booked": "booked",
    "kept": "kept",
    "missed": "missed",
    "cancelled": "cancelled",
    "walked_in": "walked in",
    "placed": "placed",
    "paid": "paid",
    "packed": "packed",
    "shipped": "shipped",
    "ready": "ready",
    "delivered": "delivered",
    "not_delivered": "not delivered",
    "sent_back": "sent back",
    "sent": "sent",
    "opened": "opened",
    "clicked": "clicked",
}

"""All routes of coupons and senders, on what they need of the service."""

from collections.abc import Sequence
from datetime import tzinfo

from fastapi import APIRouter

from services.notify.api.coupons import CouponApi
from services.notify.api.printing import PrintingApi
from services.notify.api.recommending import RecommendingApi
from services.notify.api.senders import SenderApi
from services.notify.handlers.books.coupon_pools import PoolBook, Stock
from services.notify.handlers.books.senders import SenderBook
from services.notify.handlers.coupons.printing import Members, Printing
from services.notify.handlers.coupons.recommending import Recommending
from services.notify.queries.coupons import GivenCoupons
from shared.execute import Writer
from shared.mongo import Collection

PRINTER = "printing"
"""Who goes through the codes that were brought in, beside the dispatchers."""


def coupon_routers(
    writer: Writer, given: Collection, members: Members, zone: tzinfo, secret: bytes
) -> Sequence[APIRouter]:
    """The routers; `given` holds the codes that were given, `zone` is the chain's."""
    pools, clock = PoolBook(writer), writer.clock
    printing = Printing(pools, Stock(writer, PRINTER), members, zone, secret)
    return (
        SenderApi(SenderBook(writer), clock).router(),
        CouponApi(pools, GivenCoupons(given), clock).router(),
        PrintingApi(printing, clock).router(),
        RecommendingApi(Recommending(pools, secret), members, clock).router(),
    )

"""The code that a customer recommends by, for an app or a till that shows it."""

from dataclasses import dataclass, field
from datetime import datetime

from services.notify.domain.coupons import COUPON, IssueCoupon, generated
from services.notify.handlers.books.coupon_pools import PoolBook, referring_of
from services.notify.handlers.coupons.issuing import issue_all
from shared.decider import Refused, not_found
from shared.events.coupons import CouponIssued

MOST_TURNS = 10


@dataclass(frozen=True, slots=True)
class Recommending:
    """Gives customers their codes: the same that messages say."""

    pools: PoolBook
    secret: bytes = field(repr=False)

    async def code_of(self, customer: str, at: datetime) -> CouponIssued:
        """The code of a customer, given now if there was none. Raises `Refused`."""
        pools = await self.pools.now()
        name = referring_of(pools)
        pool = None if name is None else pools[name].definition
        if pool is None:
            kind = "coupon pool"
            raise not_found(kind, "of codes to recommend by")
        for turn in range(MOST_TURNS):
            code = generated(
                self.secret, pool.pool, customer, pool.letters, prefix=pool.prefix, turn=turn
            )
            issued = CouponIssued(
                pool=pool.pool, code=code, customer=customer, occasion=customer, referring=True
            )
            command = IssueCoupon(issued, at)
            (outcome,) = await issue_all(self.pools.writer, [command])
            if not isinstance(outcome, Refused):
                state, _ = await self.pools.writer.state(COUPON, command.stream)
                return state.issued or issued
        raise Refused("coupon-taken", 409, "No code is free.", "their letters are too few")

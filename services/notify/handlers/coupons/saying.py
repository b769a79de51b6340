"""Which code a message says: found when its words ask for one, recorded as it begins to go out.

The same message has the same code however often it is tried, and by whomever: a generated one
follows from the message, one that was brought in is kept for it by a claim. A message that does not
go out in the end has burnt none, since nothing is written before its hand-over begins.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from services.notify.content import script_of
from services.notify.domain.coupons import (
    IssueCoupon,
    Pool,
    generated,
    kept_claim,
    valid_until,
)
from services.notify.domain.measuring import templates_of
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.books.coupon_pools import PoolBook, Stock, referring_of
from services.notify.projections import QueuedMessage
from shared.events.campaign import CampaignDefined
from shared.events.coupons import CouponIssued, CouponPoolDefined

CODE, VALID, REFERRAL = "coupon.code", "coupon.valid_until", "referral.code"
MOST_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Saying:
    """What words may say of coupons, by path, and what is recorded if they go out.

    `lacking`: no code of the pool is left.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    issues: tuple[IssueCoupon, ...] = ()
    lacking: bool = False


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a batch may say: the pools, and for each message a code that was brought in.

    `turns` are how often the code for an occasion turned out to be another's.
    """

    pools: Mapping[str, Pool] = field(default_factory=dict)
    secret: bytes = field(default=b"", repr=False)
    zone: tzinfo | None = None
    at: datetime | None = None
    codes: Mapping[str, str] = field(default_factory=dict, repr=False)
    turns: Mapping[str, int] = field(default_factory=dict)

    def saying(
        self, definition: CampaignDefined, message: QueuedMessage, asks: Collection[str]
    ) -> Saying:
        """What the words of a message that ask for these variables are told."""
        found = [Saying()]
        if CODE in asks or VALID in asks:
            found.append(self._coupon(definition, message))
        if REFERRAL in asks:
            found.append(self._referral(definition, message))
        return Saying(
            {path: value for each in found for path, value in each.values.items()},
            tuple(issue for each in found for issue in each.issues),
            any(each.lacking for each in found),
        )

    def _coupon(self, campaign: CampaignDefined, message: QueuedMessage) -> Saying:
        pool = self._pool(campaign.coupon)
        if pool is None or self.zone is None or self.at is None:
            return Saying()
        until = valid_until(pool, message.scheduled_at, self.zone)
        if until is not None and until <= self.at:
            return Saying()
        kept = pool.codes != "generated"
        code = self.codes.get(message.id) if kept else self._generated(pool, message.id)
        if code is None:
            return Saying(lacking=True)
        issued = CouponIssued(
            pool=pool.pool,
            code=code,
            customer=message.customer,
            occasion=message.id,
            message=message.id,
            campaign=message.campaign,
            valid_until=until,
            uses=pool.uses,
        )
        values = {CODE: code}
        if until is not None:
            # The last day on which it is good.
            values[VALID] = (
                (until - timedelta(milliseconds=1)).astimezone(self.zone).date().isoformat()
            )
        return Saying(values, (IssueCoupon(issued, self.at, kept),))

    def _referral(self, campaign: CampaignDefined, message: QueuedMessage) -> Saying:
        pool = self._pool(referring_of(self.pools))
        if pool is None or self.at is None:
            return Saying()
        # One for each customer, whatever says it first.
        code = self._generated(pool, message.customer)
        issued = CouponIssued(
            pool=pool.pool,
            code=code,
            customer=message.customer,
            occasion=message.customer,
            message=message.id,
            campaign=campaign.campaign,
            referring=True,
        )
        return Saying({REFERRAL: code}, (IssueCoupon(issued, self.at),))

    def _pool(self, name: str | None) -> CouponPoolDefined | None:
        found = None if name is None else self.pools.get(name)
        return None if found is None else found.definition

    def _generated(self, pool: CouponPoolDefined, occasion: str) -> str:
        return generated(
            self.secret,
            pool.pool,
            occasion,
            pool.letters,
            prefix=pool.prefix,
            turn=self.turns.get(occasion, 0),
        )


NOTHING = Allotment()


@dataclass(slots=True)
class Coupons:
    """Allots codes to the messages of a dispatcher; `zone` is the chain's."""

    pools: PoolBook
    stock: Stock
    zone: tzinfo
    secret: bytes = field(repr=False)
    _assigned: dict[str, str] = field(default_factory=dict, repr=False)
    _turns: dict[str, int] = field(default_factory=dict)

    async def of(
        self, campaigns: Mapping[str, Entry], found: Sequence[QueuedMessage], at: datetime
    ) -> Allotment:
        """What these messages may say. Raises `StoreUnavailable`."""
        if not any(_says_codes(campaigns.get(name)) for name in {each.campaign for each in found}):
            return NOTHING
        pools = await self.pools.fresh()
        wanted = {
            message.id: pool
            for message in found
            if (pool := _brought_in(campaigns, pools, message)) is not None
        }
        await self._assign(wanted)
        codes = {message: code for message in wanted if (code := self._assigned.get(message))}
        return Allotment(pools, self.secret, self.zone, at, codes, self._turns)

    def is_taken(self, occasion: str) -> None:
        """Note that the code for a message, or of a customer, is another's."""
        self._assigned.pop(occasion, None)
        if len(self._turns) >= MOST_REMEMBERED:
            # Forgotten, it is found out again by the stream of the code.
            self._turns.clear()
        self._turns[occasion] = self._turns.get(occasion, 0) + 1

    async def _assign(self, wanted: Mapping[str, str]) -> None:
        """Give each message the code that it keeps, else one that nobody has."""
        if not wanted:
            return
        if len(self._assigned) >= MOST_REMEMBERED:
            self._assigned.clear()
        kept = await self.pools.writer.store.claims([kept_claim(message) for message in wanted])
        lacking: dict[str, list[str]] = {}
        for message, pool in wanted.items():
            held = kept.get(kept_claim(message))
            if held is not None and held.owner is not None:
                self._assigned[message] = held.owner
            elif message not in self._assigned:
                lacking.setdefault(pool, []).append(message)
        for pool, messages in lacking.items():
            codes = await self.stock.take(pool, len(messages))
            self._assigned |= dict(zip(messages, codes, strict=False))


def _says_codes(entry: Entry | None) -> bool:
    definition = None if entry is None else entry.campaign.definition
    if definition is None or definition.coupon is not None:
        return definition is not None
    return any(
        REFERRAL in words.asks
        for _path, template in templates_of(definition)
        for words in script_of(template).versions
    )


def _brought_in(
    campaigns: Mapping[str, Entry], pools: Mapping[str, Pool], message: QueuedMessage
) -> str | None:
    """The pool of the message's codes, where they were brought in."""
    entry = campaigns.get(message.campaign)
    definition = None if entry is None else entry.campaign.definition
    name = None if definition is None else definition.coupon
    pool = None if name is None else pools.get(name)
    if pool is None or pool.definition is None or pool.definition.codes == "generated":
        return None
    return name

"""Codes for a printed mailing: one for each customer of an area, the same however often it is run.

A row is written once its code is recorded. What was cut off is asked for again by the same name,
and gives the same codes.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Protocol

from services.notify.domain.coupons import (
    COUPON,
    TAKEN,
    IssueCoupon,
    generated,
    kept_claim,
    valid_until,
)
from services.notify.handlers.books.coupon_pools import PoolBook, Stock
from services.notify.handlers.coupons.issuing import issue_all
from services.notify.projections import Recipient
from shared.decider import Refused
from shared.events.coupons import CouponIssued, CouponPoolDefined

PIECE = 500
MOST_TURNS = 10
"""How often a code may turn out to be another's, before its customer is left without one."""


class Members(Protocol):
    """Who is in segments and on lists, and what is known of them."""

    async def members(self, segment: str, after: str, limit: int) -> Sequence[str]:
        """Who is in a segment, by id, after one."""
        ...

    async def listed(self, name: str, after: str, limit: int) -> Sequence[str]:
        """Who is on a list, by id, after one."""
        ...

    async def load(self, customers: Collection[str]) -> Mapping[str, Recipient]:
        """What is known of them."""
        ...


@dataclass(frozen=True, slots=True)
class Mailing:
    """A mailing: its name, and whom it is for; without a city or branch everybody of them."""

    name: str
    segment: str | None = None
    listed: str | None = None
    city: str | None = None
    branch: str | None = None

    def occasion(self, customer: str) -> str:
        """For what a customer gets the code."""
        return f"print-{self.name}-{customer}"

    def is_for(self, recipient: Recipient) -> bool:
        """Whether a customer of the segment or list gets it."""
        there = recipient.registered and not recipient.removed and recipient.merged is None
        meant = there and not recipient.internal and not recipient.blacklisted
        near = self.city is None or (recipient.city or "").casefold() == self.city.casefold()
        return meant and near and self.branch in (None, recipient.home_branch)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list; without a code where none is left."""

    customer: str
    city: str | None
    branch: str | None
    issued: CouponIssued | None


@dataclass(frozen=True, slots=True)
class Printing:
    """Gives codes to mailings; `zone` is the chain's."""

    pools: PoolBook
    stock: Stock
    members: Members
    zone: tzinfo
    secret: bytes = field(repr=False)

    async def rows(
        self, pool: CouponPoolDefined, mailing: Mailing, at: datetime
    ) -> AsyncIterator[Sequence[Row]]:
        """The list by customer, some at a time. Raises `StoreUnavailable`."""
        after = ""
        while True:
            ids = await self._page(mailing, after)
            if not ids:
                return
            after = ids[-1]
            known = await self.members.load(ids)
            people = [each for who in ids if (each := known.get(who)) and mailing.is_for(each)]
            given = await self._given(pool, mailing, [each.id for each in people], at)
            yield [Row(each.id, each.city, each.home_branch, given.get(each.id)) for each in people]

    async def _page(self, mailing: Mailing, after: str) -> Sequence[str]:
        if mailing.segment is not None:
            return await self.members.members(mailing.segment, after, PIECE)
        return await self.members.listed(mailing.listed or "", after, PIECE)

    async def _given(
        self, pool: CouponPoolDefined, mailing: Mailing, customers: Sequence[str], at: datetime
    ) -> Mapping[str, CouponIssued]:
        """What each customer has by now; who has nothing yet gets it."""
        until = valid_until(pool, at, self.zone)
        given: dict[str, CouponIssued] = {}
        for turn in range(MOST_TURNS):
            left = [each for each in customers if each not in given]
            codes = await self._codes(pool, mailing, left, turn)
            commands = [
                IssueCoupon(
                    CouponIssued(
                        pool=pool.pool,
                        code=code,
                        customer=customer,
                        occasion=mailing.occasion(customer),
                        valid_until=until,
                        uses=pool.uses,
                    ),
                    at,
                    pool.codes != "generated",
                )
                for customer, code in codes.items()
            ]
            if not commands:
                break
            given |= await self._issued(commands)
        return given

    async def _codes(
        self,
        pool: CouponPoolDefined,
        mailing: Mailing,
        customers: Sequence[str],
        turn: int,
    ) -> Mapping[str, str]:
        if pool.codes == "generated":
            return {
                each: generated(
                    self.secret,
                    pool.pool,
                    mailing.occasion(each),
                    pool.letters,
                    prefix=pool.prefix,
                    turn=turn,
                )
                for each in customers
            }
        kept = await self._kept([mailing.occasion(each) for each in customers])
        found = {
            each: code
            for each in customers
            if (code := kept.get(mailing.occasion(each))) is not None
        }
        lacking = [each for each in customers if each not in found]
        free = await self.stock.take(pool.pool, len(lacking))
        return {**found, **dict(zip(lacking, free, strict=False))}

    async def _kept(self, occasions: Sequence[str]) -> Mapping[str, str]:
        """The codes that were brought in, and that the occasions have already."""
        names = {kept_claim(each): each for each in occasions}
        claims = await self.pools.writer.store.claims(list(names)) if names else {}
        return {names[name]: claim.owner for name, claim in claims.items() if claim.owner}

    async def _issued(self, commands: Sequence[IssueCoupon]) -> Mapping[str, CouponIssued]:
        """What is recorded of the codes, by customer; those that are another's are left out."""
        writer = self.pools.writer
        outcomes = await issue_all(writer, commands)
        mine = [
            command
            for command, outcome in zip(commands, outcomes, strict=True)
            if not (isinstance(outcome, Refused) and outcome.type == TAKEN)
        ]
        histories = await writer.histories([command.stream for command in mine]) if mine else {}
        states = [COUPON.fold(events) for events, _ in histories.values()]
        wanted = {command.issued.occasion for command in mine}
        return {
            state.issued.customer: state.issued
            for state in states
            if state.issued is not None and state.issued.occasion in wanted
        }

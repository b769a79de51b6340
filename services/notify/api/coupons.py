"""HTTP of coupons: pools, the codes that are brought in, figures, and one code at the till."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StringConstraints

from services.notify.api.access import Reader, Writing, whole_chain
from services.notify.api.campaign_input import Input, Instant
from services.notify.domain.coupons import Pool, is_mistyped, normal
from services.notify.domain.coupons.pool import MOST_CODES
from services.notify.handlers.books.coupon_pools import PoolBook
from services.notify.projections.coupons import GivenCoupon
from services.notify.queries.coupons import GivenCoupons
from shared.access import Kind, Scope, scope
from shared.clock import Clock
from shared.decider import not_found
from shared.events.contract import show_moment
from shared.events.coupons import AnyCodes, CouponPoolDefined, Referring
from shared.http import CommandId, etag
from shared.http.preconditions import IfMatchUnlessNew

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Reward = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Code = Annotated[str, StringConstraints(max_length=100)]


class ReferringInput(Input):
    """What both sides of a recommendation get."""

    reward: Reward | None = None
    welcome: Reward | None = None


class PoolInput(Input):
    """The definition of a pool."""

    title: Title
    codes: AnyCodes = "generated"
    letters: int = Field(default=8, ge=6, le=16)
    prefix: str | None = Field(default=None, description="1 to 12 capital letters and digits")
    valid_for: str | None = Field(default=None, max_length=30, description="P14D: whole days")
    valid_until: Instant | None = Field(default=None, description="not included")
    uses: int = Field(default=1, ge=1, description="how often one code can be redeemed")
    referring: ReferringInput | None = Field(
        default=None, description="each customer has one code of it, which others redeem"
    )

    def definition(self, name: str) -> CouponPoolDefined:
        """The event that says so."""
        return CouponPoolDefined.model_validate(
            {"pool": name, **self.model_dump(exclude_none=True)}
        )


class PoolView(BaseModel):
    """A pool, and how many of its codes are left."""

    name: str
    version: int
    title: str
    codes: str
    letters: int
    prefix: str | None
    valid_for: str | None
    valid_until: str | None
    uses: int
    referring: Referring | None
    issued: int
    left: int | None = Field(description="of codes that were brought in; null: without end")


class PoolList(BaseModel):
    """All pools by name."""

    items: list[PoolView]


class CodesInput(Input):
    """Codes that were made elsewhere."""

    codes: tuple[Code, ...] = Field(min_length=1, max_length=MOST_CODES)


class CodesAdded(BaseModel):
    """What became of them."""

    added: int
    known: int = Field(description="that were there already, in whatever pool")


class CountsView(BaseModel):
    """Codes that a campaign gave, and what they brought."""

    campaign: str | None = Field(description="null: given beside any campaign")
    issued: int
    redeemed: int = Field(description="codes that were redeemed at least once")
    receipts: int = Field(description="how often, less what came back whole")
    turnover: int = Field(description="of these receipts, in minor units")


class PoolFigures(BaseModel):
    """What a pool brought, by campaign."""

    pool: str
    items: list[CountsView]


class UseView(BaseModel):
    """A receipt by which a code was redeemed."""

    receipt: str
    at: str
    branch: str | None
    by: str | None = Field(description="who bought, where that is known")
    total: int
    late: bool = Field(description="its time was over")


class CouponView(BaseModel):
    """A code: whose it is, whether it is good, and where it was redeemed."""

    code: str
    pool: str
    title: str
    customer: str | None = Field(description="for callers of the whole chain")
    campaign: str | None
    referring: bool
    issued_at: str | None
    valid_until: str | None = Field(description="not included")
    good: bool = Field(description="it can be redeemed now")
    redeemed: int
    uses: list[UseView] = Field(description="those in the caller's branches")


class CouponList(BaseModel):
    """The codes of a customer, the latest first."""

    items: list[CouponView]


@dataclass(frozen=True, slots=True)
class CouponApi:
    """The endpoints, on what they need."""

    pools: PoolBook
    coupons: GivenCoupons
    clock: Clock

    def router(self) -> APIRouter:
        """The routes of pools, codes, and the codes of a customer."""
        router = APIRouter(tags=["coupons"])
        pools = "/v1/coupon-pools"
        router.add_api_route(pools, self.page, methods=["GET"])
        router.add_api_route(f"{pools}/{{name}}", self.get, methods=["GET"])
        router.add_api_route(f"{pools}/{{name}}", self.define, methods=["PUT"])
        router.add_api_route(f"{pools}/{{name}}/codes", self.add, methods=["POST"])
        router.add_api_route(f"{pools}/{{name}}/figures", self.figures, methods=["GET"])
        router.add_api_route("/v1/coupons/{code}", self.coupon, methods=["GET"])
        router.add_api_route("/v1/customers/{customer}/coupons", self.of_customer, methods=["GET"])
        return router

    async def page(self, calling: Reader) -> PoolList:
        """All pools by name."""
        whole_chain(calling)
        return PoolList(items=[await self._view(name) for name in sorted(await self.pools.now())])

    async def get(self, name: str, calling: Reader, response: Response) -> PoolView:
        """One pool, and how many of its codes are left."""
        whole_chain(calling)
        view = await self._view(name)
        response.headers["ETag"] = etag(view.version)
        return view

    async def define(
        self,
        name: str,
        body: PoolInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> PoolView:
        """Give a pool its (new) definition; another one needs `If-Match`."""
        whole_chain(calling)
        unused = await self.coupons.issued(name) == 0
        await self.pools.define(
            command_id, body.definition(name), self.clock.now(), rests_on, unused=unused
        )
        return await self.get(name, calling, response)

    async def add(
        self, name: str, body: CodesInput, calling: Writing, command_id: CommandId
    ) -> CodesAdded:
        """Bring codes in; those that are there already are left out."""
        whole_chain(calling)
        added = await self.pools.add(command_id, name, body.codes, self.clock.now())
        return CodesAdded(added=added, known=len(body.codes) - added)

    async def figures(self, name: str, calling: Reader) -> PoolFigures:
        """What the codes of a pool brought, by campaign."""
        whole_chain(calling)
        await self.pools.require(name)
        return PoolFigures(
            pool=name,
            items=[
                CountsView(
                    campaign=each.campaign,
                    issued=each.issued,
                    redeemed=each.redeemed,
                    receipts=each.receipts,
                    turnover=each.turnover,
                )
                for each in await self.coupons.figures(name)
            ],
        )

    async def coupon(self, code: str, calling: Reader) -> CouponView:
        """One code, however it is written: whether it is good, and where it was redeemed."""
        found = normal(code)
        coupon = None if found is None else await self.coupons.of(found)
        if coupon is None or not coupon.code:
            kind = "coupon"
            raise not_found(kind, "a letter is wrong" if is_mistyped(found or "") else "no such")
        pools = await self.pools.fresh()
        return self._coupon(coupon, pools, scope(calling, Kind.MESSAGE))

    async def of_customer(self, customer: str, calling: Reader) -> CouponList:
        """The codes that a customer was given."""
        whole_chain(calling)
        narrow, pools = scope(calling, Kind.MESSAGE), await self.pools.fresh()
        found = await self.coupons.of_customer(customer)
        return CouponList(items=[self._coupon(each, pools, narrow) for each in found])

    async def _view(self, name: str) -> PoolView:
        version, pool = await self.pools.require(name)
        issued = await self.coupons.issued(name)
        until = pool.valid_until
        brought_in = None if pool.codes == "generated" else await self.pools.count(name)
        return PoolView(
            **pool.model_dump(exclude={"pool", "valid_until", "referring"}),
            name=name,
            version=version,
            valid_until=None if until is None else show_moment(until),
            referring=pool.referring,
            issued=issued,
            left=None if brought_in is None else max(0, brought_in - issued),
        )

    def _coupon(self, coupon: GivenCoupon, pools: Mapping[str, Pool], sees: Scope) -> CouponView:
        pool = pools.get(coupon.pool, Pool()).definition
        until, issued_at = coupon.valid_until, coupon.issued_at
        uses = coupon.most or (1 if pool is None else pool.uses)
        in_time = until is None or self.clock.now() < until
        return CouponView(
            code=coupon.code,
            pool=coupon.pool,
            title="" if pool is None else pool.title,
            customer=coupon.customer if sees.everything else None,
            campaign=coupon.campaign,
            referring=coupon.referring,
            issued_at=None if issued_at is None else show_moment(issued_at),
            valid_until=None if until is None else show_moment(until),
            good=in_time and (coupon.referring or coupon.redeemed < uses),
            redeemed=coupon.redeemed,
            uses=[
                UseView(
                    receipt=use.receipt,
                    at=show_moment(use.at),
                    branch=use.branch,
                    by=use.by if sees.everything else None,
                    total=use.total,
                    late=use.late,
                )
                for use in coupon.uses
                if sees.allows(use.branch)
            ],
        )

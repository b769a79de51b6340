"""What is asked of coupons: one code, those of a customer, and the figures of a pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.notify.projections.coupons import GivenCoupon
from shared.mongo import Collection

MOST = 500


@dataclass(frozen=True, slots=True)
class CouponCounts:
    """Codes of a pool that a campaign gave (None: beside any), and what they brought.

    `redeemed` counts codes, `receipts` how often they were redeemed, `turnover` is in minor units.
    """

    campaign: str | None
    issued: int
    redeemed: int
    receipts: int
    turnover: int


@dataclass(frozen=True, slots=True)
class GivenCoupons:
    """Questions to the codes that were given to somebody."""

    collection: Collection

    async def of(self, code: str) -> GivenCoupon | None:
        """One code in its normal form."""
        found = await self.collection.get(code)
        return None if found is None else msgspec.convert(found, GivenCoupon)

    async def of_customer(self, customer: str) -> Sequence[GivenCoupon]:
        """Those of a customer, the latest first."""
        found = await self.collection.find(
            {"customer": customer}, sort=[("issued_at", -1)], limit=MOST
        )
        return [msgspec.convert(each, GivenCoupon) for each in found]

    async def issued(self, pool: str) -> int:
        """How many codes of a pool were given."""
        return await self.collection.count({"pool": pool})

    async def figures(self, pool: str) -> Sequence[CouponCounts]:
        """The figures of a pool, by campaign."""
        once: dict[str, Any] = {"$cond": [{"$gt": ["$redeemed", 0]}, 1, 0]}
        group = {
            "_id": "$campaign",
            "issued": {"$sum": 1},
            "redeemed": {"$sum": once},
            "receipts": {"$sum": "$redeemed"},
            "turnover": {"$sum": "$turnover"},
        }
        rows = await self.collection.aggregate([{"$match": {"pool": pool}}, {"$group": group}])
        counts = [
            CouponCounts(
                row["_id"],
                row["issued"],
                row["redeemed"] or 0,
                row["receipts"] or 0,
                row["turnover"] or 0,
            )
            for row in rows
        ]
        return sorted(counts, key=lambda each: each.campaign or "")

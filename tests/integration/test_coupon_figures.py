"""The figures of a pool of coupons on the database: sums over the codes, by campaign."""

from services.notify.projections.coupons import COUPONS
from services.notify.queries.coupons import CouponCounts, GivenCoupons
from shared.memory import MemoryParking
from shared.mongo import MongoDocuments
from shared.projector import Folder
from shared.testing import MongoSpace
from shared.testing.facts import records_of
from tests.unit.test_coupon_receipts import KEYRING, Shop, receipt, returned


async def test_the_figures_of_a_pool_are_what_its_codes_brought(mongo: MongoSpace) -> None:
    shop = Shop()
    await shop.given("AAAA", "anna", campaign="c1")
    await shop.given("BBBB", "boris", campaign="c1")
    await shop.given("CCCC", "clara")
    await shop.given("DDDD", "dora", campaign="c2", pool="another")
    await shop.told("anna", receipt("r1", "AAAA", total=700))
    await shop.told("clara", receipt("r2", "CCCC", total=300))
    await shop.told("boris", receipt("r3", "BBBB", total=500), returned("r3", 500))
    documents = MongoDocuments(mongo.database("notify"), COUPONS.name)
    await documents.create_indexes(COUPONS.indexes)
    coupons = [each for each in shop.store.commits if each.stream.startswith("coupon-")]
    folder = Folder(COUPONS, documents, MemoryParking(), KEYRING)
    await folder.fold(records_of(coupons, shop.clock.moment))
    asked = GivenCoupons(documents.collection)
    # Of the two codes of c1 one came back whole.
    assert await asked.figures("spring") == [
        CouponCounts(None, 1, 1, 1, 300),
        CouponCounts("c1", 2, 1, 1, 700),
    ]
    assert await asked.issued("spring") == 3
    assert await asked.figures("unknown") == []

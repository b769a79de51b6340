"""A person is told what read models add to the log: deals with their sums, and companies."""

from services.customer.projections.deals import DEALS
from services.customer.queries.access import Access
from shared.memory import MemoryDocuments, MemoryParking
from shared.projector import Folder
from shared.testing.collections import MemoryQuestions
from tests.unit.dealing import Office


async def test_a_deal_is_told_with_its_amount_and_lines() -> None:
    office, documents = Office(), MemoryDocuments()
    await office.customer("anna")
    deal = await office.open("anna", amount=1900, branch="12")
    folder = Folder(DEALS, documents, MemoryParking())
    for log in office.logs():
        await folder.fold(log)
    nothing = MemoryQuestions(MemoryDocuments())
    told = await Access(office.writer, MemoryQuestions(documents), nothing).of("anna")
    (shown,) = told.deals
    assert (shown["_id"], shown["status"], shown["branch"]) == (deal, "open", "12")
    assert shown["terms"]["amount"] == 1900

"""Read models of the customer service, as pure folds."""

from services.customer.projections.care import CARE, care_v1
from services.customer.projections.deal_owners import DEAL_OWNERS, DealOwner
from services.customer.projections.deals import DEALS, DealDocument
from services.customer.projections.directory import DIRECTORY, DirectoryEntry

__all__ = [
    "CARE",
    "DEALS",
    "DEAL_OWNERS",
    "DIRECTORY",
    "DealDocument",
    "DealOwner",
    "DirectoryEntry",
    "care_v1",
]

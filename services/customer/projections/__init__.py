"""Read models of the customer service, as pure folds."""

from services.customer.projections.care import CARE, care_v1
from services.customer.projections.deal_owners import DEAL_OWNERS, DealOwner
from services.customer.projections.deals import DEALS, DealDocument
from services.customer.projections.directory import DIRECTORY, DirectoryEntry
from services.customer.projections.robots import ROBOTS

__all__ = [
    "CARE",
    "DEALS",
    "DEAL_OWNERS",
    "DIRECTORY",
    "ROBOTS",
    "DealDocument",
    "DealOwner",
    "DirectoryEntry",
    "care_v1",
]

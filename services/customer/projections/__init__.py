"""Read models of the customer service, as pure folds."""

from services.customer.projections.deals import DEALS, DealDocument
from services.customer.projections.directory import DIRECTORY, DirectoryEntry

__all__ = ["DEALS", "DIRECTORY", "DealDocument", "DirectoryEntry"]

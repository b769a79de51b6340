"""Imports of customers: from an upload to a job, and back."""

from services.customer.handlers.imports.drafts import CustomerFiles
from services.customer.handlers.imports.reverting import Reverting
from services.customer.handlers.imports.running import CustomerImport, DryRun

__all__ = ["CustomerFiles", "CustomerImport", "DryRun", "Reverting"]

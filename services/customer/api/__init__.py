"""HTTP of the customer service."""

from services.customer.api.customers import CustomerApi

__all__ = ["CustomerApi"]

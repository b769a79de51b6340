"""HTTP of the customer service."""

from services.customer.api.caring import CareApi
from services.customer.api.contacts import ContactApi
from services.customer.api.customers import CustomerApi
from services.customer.api.desk import Desk
from services.customer.api.documents import DocumentApi

__all__ = ["CareApi", "ContactApi", "CustomerApi", "Desk", "DocumentApi"]

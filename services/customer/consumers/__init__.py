"""Kafka in: which read models this service keeps."""

from typing import Any

from services.customer.projections.companies import COMPANIES
from services.customer.projections.deal_owners import DEAL_OWNERS
from services.customer.projections.deals import DEALS
from services.customer.projections.directory import DIRECTORY
from shared.projection import Projection

PROJECTIONS: tuple[Projection[Any], ...] = (DIRECTORY, COMPANIES, DEALS, DEAL_OWNERS)

"""Kafka in: which read models this service keeps."""

from services.customer.projections import DIRECTORY

PROJECTIONS = (DIRECTORY,)

"""Kafka in: which read models this service keeps."""

from services.customer.projections.directory import DIRECTORY

PROJECTIONS = (DIRECTORY,)

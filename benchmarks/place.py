"""Where a row is measured: servers, and names of its own on them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses and names of the servers; `prefix` is the row's own; `folder` is there for it."""

    kafka_url: str
    kafka_server: str
    mongo_url: str
    mongo_server: str
    prefix: str
    folder: Path

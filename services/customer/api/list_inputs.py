"""What is asked of the list, and cursors that tell nothing."""

import base64
import binascii
import os
from dataclasses import dataclass
from typing import Annotated, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field, StringConstraints

from services.customer.domain.filters import Column, Filter, Sorting
from services.customer.domain.views import MOST_COLUMNS
from services.customer.queries.quick import MOST_FOUND
from shared.decider import invalid
from shared.keyring import keyed_hash

LARGEST_LIST = 200
"""A page of customers is smaller than other pages: there is no bulk way out but the export."""
NONCE_BYTES = 12
Contacts = Literal["masked", "clear"]
DEFAULT_COLUMNS = (
    "name",
    "contacts",
    "spent",
    "discount",
    "visits",
    "first_visit",
    "last_visit",
    "status",
)


class Search(Filter):
    """A page of the list."""

    sort: Sorting = Sorting()
    columns: tuple[Column, ...] = Field(default=DEFAULT_COLUMNS, max_length=MOST_COLUMNS)
    limit: int = Field(default=50, ge=1, le=LARGEST_LIST)
    cursor: Annotated[str, StringConstraints(max_length=2000)] | None = None
    contacts: Contacts = "masked"

    def filter(self) -> Filter:
        """Whom it is about."""
        return Filter(where=self.where, archived=self.archived)


class Quick(Filter):
    """A quick search; the filter is that of the shelf alone."""

    where: tuple[()] = ()
    q: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    columns: tuple[Column, ...] = Field(default=DEFAULT_COLUMNS, max_length=MOST_COLUMNS)
    limit: int = Field(default=20, ge=1, le=MOST_FOUND)
    contacts: Contacts = "masked"


@dataclass(frozen=True, slots=True)
class SealedCursors:
    """Cursors hold the key at which a page ends, which may be a name: so they are encrypted.

    One is good for the order of the list that it came from, in every process of the chain.
    """

    cipher: AESGCM

    @classmethod
    def of(cls, secret: bytes) -> "SealedCursors":
        """Cursors under a key of their own, made from the chain's secret of keyed hashes."""
        return cls(AESGCM(bytes.fromhex(keyed_hash(secret, "list-cursor", "1"))))

    def seal(self, key: str, sorting: Sorting) -> str:
        """The cursor of a key."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self.cipher.encrypt(nonce, key.encode(), _about(sorting))
        return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def open(self, cursor: str | None, sorting: Sorting) -> str | None:
        """The key in a cursor; None for the first page. Raises `Refused` (422)."""
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            opened = self.cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _about(sorting))
        except (binascii.Error, ValueError, InvalidTag) as failure:
            raise invalid("cursor", "is not a cursor of this list in this order") from failure
        return opened.decode()


def _about(sorting: Sorting) -> bytes:
    return f"{sorting.column}|{sorting.descending}".encode()

"""Who calls, and what they may do: API keys, roles, and the one place that narrows by branch.

A key is `rg_<prefix>_<secret>`. The prefix finds it and may be shown; of the whole text only a
keyed hash is stored, so that a copy of the database opens nothing. A role is a closed set of
permissions, and nobody gets one by accident: unknown roles in a stored key give nothing.
"""

import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from shared.decider import Refused
from shared.keyring import keyed_hash

CACHE_SECONDS = 30.0
CACHE_KEYS = 10_000
PREFIX_BYTES = 6
SECRET_BYTES = 32
_FORM = re.compile(r"rg_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class Permission(StrEnum):
    """One thing that a caller may do; its value is shown when it is missing."""

    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    CUSTOMERS_MERGE = "customers:merge"
    CUSTOMERS_ERASE = "customers:erase"
    CUSTOMERS_DISCLOSE = "customers:disclose"
    CUSTOMERS_EXPORT = "customers:export"
    CONFIGURATION_WRITE = "configuration:write"
    COMPANIES_READ = "companies:read"
    COMPANIES_WRITE = "companies:write"
    EMPLOYEES_READ = "employees:read"
    EMPLOYEES_WRITE = "employees:write"
    DEALS_READ = "deals:read"
    DEALS_WRITE = "deals:write"
    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    FACTS_READ = "facts:read"
    FACTS_WRITE = "facts:write"
    POINTS_WRITE = "points:write"
    MISUSE_LIFT = "misuse:lift"
    PRODUCTS_READ = "products:read"
    PRODUCTS_WRITE = "products:write"
    IMPORTS_RUN = "imports:run"
    SEGMENTS_READ = "segments:read"
    SEGMENTS_WRITE = "segments:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    PROGRESS_READ = "progress:read"
    JOBS_READ = "jobs:read"
    OPERATIONS_RUN = "operations:run"


class Role(StrEnum):
    """What a caller is in the chain."""

    OWNER = "owner"
    MANAGER = "manager"
    CASHIER = "cashier"
    SERVICE = "service"
    READER = "reader"


_READING = frozenset(permission for permission in Permission if permission.endswith(":read"))

GRANTS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.OWNER: frozenset(Permission),
        # Runs marketing and looks after customers; facts come from tills and imports, not from him.
        # Whom the chain employs, and which keys are theirs, is the owner's to say, as is erasing,
        # which nobody can undo.
        Role.MANAGER: _READING
        | {
            Permission.CUSTOMERS_WRITE,
            Permission.CUSTOMERS_MERGE,
            Permission.CUSTOMERS_DISCLOSE,
            Permission.CONFIGURATION_WRITE,
            Permission.COMPANIES_WRITE,
            Permission.DEALS_WRITE,
            Permission.POINTS_WRITE,
            Permission.TASKS_WRITE,
            Permission.MISUSE_LIFT,
            Permission.PRODUCTS_WRITE,
            Permission.SEGMENTS_WRITE,
            Permission.CAMPAIGNS_WRITE,
        },
        Role.CASHIER: frozenset(
            {
                Permission.COMPANIES_READ,
                Permission.EMPLOYEES_READ,
                Permission.CUSTOMERS_READ,
                Permission.CUSTOMERS_WRITE,
                Permission.DEALS_READ,
                Permission.DEALS_WRITE,
                Permission.TASKS_READ,
                Permission.TASKS_WRITE,
                Permission.FACTS_READ,
                Permission.FACTS_WRITE,
                Permission.PRODUCTS_READ,
                Permission.JOBS_READ,
            }
        ),
        # Another system: a till, a web shop, a job that imports.
        Role.SERVICE: frozenset(
            {
                Permission.COMPANIES_READ,
                Permission.COMPANIES_WRITE,
                Permission.CUSTOMERS_READ,
                Permission.CUSTOMERS_WRITE,
                Permission.DEALS_READ,
                Permission.DEALS_WRITE,
                Permission.TASKS_READ,
                Permission.TASKS_WRITE,
                Permission.FACTS_READ,
                Permission.FACTS_WRITE,
                Permission.PRODUCTS_READ,
                Permission.PRODUCTS_WRITE,
                Permission.IMPORTS_RUN,
                Permission.SEGMENTS_READ,
                Permission.PROGRESS_READ,
                Permission.JOBS_READ,
            }
        ),
        Role.READER: _READING,
    }
)
"""What each role may do."""


@dataclass(frozen=True, slots=True)
class StoredApiKey:
    """A key as the database holds it; `branches` is None for the whole chain.

    A revoked one opens nothing, for ever: whoever wants to call again is given another.
    """

    prefix: str
    hash: str
    roles: tuple[str, ...]
    branches: tuple[str, ...] | None
    title: str
    revoked: bool = False


class ApiKeys(Protocol):
    """Where keys live."""

    async def find(self, prefix: str) -> StoredApiKey | None:
        """The key with the prefix."""
        ...

    async def add(self, key: StoredApiKey) -> bool:
        """Store a key; False, and nothing stored, when the prefix is taken."""
        ...

    async def all(self) -> Sequence[StoredApiKey]:
        """Every key by its prefix, revoked ones too."""
        ...

    async def revoke(self, prefix: str) -> bool:
        """Revoke a key; False when there is none, or none that is not revoked already."""
        ...


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller who proved who they are; `branches` is None for the whole chain."""

    id: str
    roles: frozenset[Role]
    branches: frozenset[str] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether one of the roles grants it."""
        return any(permission in GRANTS[role] for role in self.roles)

    def require(self, permission: Permission) -> None:
        """Raise `Refused` (403) without the permission."""
        if not self.may(permission):
            raise Refused(
                "forbidden",
                403,
                "This key may not do that.",
                f"it needs the permission {permission}",
            )


class Kind(StrEnum):
    """A kind of resource, for which a caller's scope is asked."""

    CUSTOMER = "customer"
    COMPANY = "company"
    CONFIGURATION = "configuration"
    BRANCH = "branch"
    EMPLOYEE = "employee"
    DEAL = "deal"
    TASK = "task"
    FACT = "fact"
    POINTS = "points"
    PRODUCT = "product"
    IMPORT = "import"
    SEGMENT = "segment"
    CAMPAIGN = "campaign"
    MESSAGE = "message"
    JOB = "job"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a kind of resource that a caller may see and touch: all, or some branches."""

    kind: Kind
    branches: frozenset[str] | None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.branches is None

    def allows(self, branch: str | None) -> bool:
        """Whether a thing of the branch is inside; a thing of no branch belongs to the chain."""
        return self.branches is None or branch in self.branches

    def require(self, branch: str | None) -> None:
        """Raise `Refused` (403) for a thing outside."""
        if not self.allows(branch):
            raise Refused(
                "out-of-scope",
                403,
                "This key is for other branches.",
                f"the {self.kind} is not of a branch of this key",
            )


def scope(principal: Principal, kind: Kind) -> Scope:
    """What of the kind the caller may see and touch: every query and command asks here."""
    return Scope(kind, principal.branches)


def stored_key(
    text: str,
    secret: bytes,
    *,
    title: str,
    roles: Iterable[Role],
    branches: Iterable[str] | None = None,
) -> StoredApiKey:
    """What is stored of a key's text, the same each time. Raises ValueError for another text."""
    form = _FORM.fullmatch(text)
    if form is None:
        message = "an API key is rg_<12 hex digits>_<43 characters of base64url>"
        raise ValueError(message)
    return StoredApiKey(
        prefix=form[1],
        hash=_hash(secret, text),
        roles=tuple(str(role) for role in roles),
        branches=None if branches is None else tuple(branches),
        title=title,
    )


def issue(
    secret: bytes, *, title: str, roles: Sequence[Role], branches: Sequence[str] | None = None
) -> tuple[str, StoredApiKey]:
    """A new key: its text, to be shown once, and what is stored of it."""
    text = f"rg_{secrets.token_hex(PREFIX_BYTES)}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return text, stored_key(text, secret, title=title, roles=roles, branches=branches)


def _hash(secret: bytes, text: str) -> str:
    return keyed_hash(secret, "api-key", text)


@dataclass(slots=True)
class Authenticator:
    """Turns a key's text into a principal.

    A verified key is remembered under its hash for `CACHE_SECONDS`, which is also how long a key
    that was taken away may still work. `secret` is the chain's secret of keyed hashes.
    """

    keys: ApiKeys
    secret: bytes
    monotonic: Callable[[], float] = time.monotonic
    _verified: dict[str, tuple[float, Principal]] = field(default_factory=dict)

    async def authenticate(self, text: str | None) -> Principal:
        """Whose key it is. Raises `Refused` (401), which does not tell why."""
        form = None if text is None else _FORM.fullmatch(text)
        if text is None or form is None:
            raise _unauthenticated()
        presented = _hash(self.secret, text)
        remembered = self._verified.get(presented)
        if remembered is not None and remembered[0] > self.monotonic():
            return remembered[1]
        stored = await self.keys.find(form[1])
        if stored is None or not hmac.compare_digest(stored.hash, presented) or stored.revoked:
            raise _unauthenticated()
        principal = _principal(stored)
        if len(self._verified) >= CACHE_KEYS:
            self._verified.clear()
        self._verified[presented] = (self.monotonic() + CACHE_SECONDS, principal)
        return principal

    def command_id(self, principal: Principal, idempotency_key: str) -> str:
        """The id of a command that a caller names himself.

        It stays in the log for ever, so it holds a keyed hash: callers make keys of phone numbers.
        """
        hashed = keyed_hash(self.secret, "idempotency-key", f"{principal.id}|{idempotency_key}")
        return f"http|{principal.id}|{hashed}"


PRINCIPAL_OF_KEY = "key:"


def prefix_of(principal_id: str) -> str | None:
    """The prefix of the key that a principal calls by; None when it is no key."""
    prefix = principal_id.removeprefix(PRINCIPAL_OF_KEY)
    return None if prefix == principal_id else prefix


def _principal(stored: StoredApiKey) -> Principal:
    return Principal(
        id=PRINCIPAL_OF_KEY + stored.prefix,
        roles=frozenset(role for role in Role if role in stored.roles),
        branches=None if stored.branches is None else frozenset(stored.branches),
    )


def _unauthenticated() -> Refused:
    return Refused(
        "unauthenticated",
        401,
        "A valid API key is needed.",
        "send it as `Authorization: Bearer rg_…` or `X-API-Key: rg_…`",
    )

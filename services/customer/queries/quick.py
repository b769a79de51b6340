"""Quick search: what somebody types at the till finds at once, or they type more.

A whole phone number, e-mail or card finds anyone in the chain. Everything else finds only customers
of the caller's branches: names by the beginnings of their words in any order, e-mails and cards by
their beginning, phones by their last four to seven digits. At most a page is found; there is no
next one.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.customer.domain.writing_forms import digits_of, folded, words_of
from services.customer.projections.directory import DirectoryEntry
from services.customer.projections.directory.keys import (
    ARCHIVED,
    CARD_SLOT,
    EMAIL_SLOT,
    HIGHEST,
    IN_SIGHT,
    LONGEST_PREFIX,
    LONGEST_TAIL,
    NAME_SLOTS,
    SHORTEST_TAIL,
)
from services.customer.queries.clauses import Begins, Between, Clause, OneOf, flat, in_branches
from services.customer.queries.directory import Directory
from services.customer.queries.estimating import Walk, leading, walk_cost
from services.customer.queries.sampling import Sample, everything
from services.customer.queries.walking import Walker
from shared.access import Scope
from shared.decider import Refused
from shared.events.customer import IdentifierKind
from shared.identifiers import IdentifierRules
from shared.readmodel import RawDocument

MOST_FOUND = 50
PLENTY = 4
"""A slot is read first and alone if it is thought to hold so many times what is wanted."""
SHORTEST_EMAIL = 3
"""Fewer letters mean a name: too many e-mails begin so."""
LONGEST_NATIONAL = 10
"""Digits of a number that are compared from its end: what stands before them is a prefix."""
PHONE_SIGNS = frozenset("+-()./ 0123456789")
WHOLE_KINDS: tuple[IdentifierKind, ...] = ("phone", "email", "card")


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a search found; `more` says that there are others."""

    entries: list[DirectoryEntry]
    more: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way in which a text may be meant: spans of slots, or words found exactly, and the rest.

    `clauses` say all of it, `beside` only what the spans do not say already. `ending` are the
    digits with which one of the phones has to end.
    """

    shelf: str
    spans: tuple[Between, ...] = ()
    words: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()
    beside: tuple[Clause, ...] = ()
    email: str | None = None
    card: str | None = None
    ending: str | None = None

    def holds(self, entry: DirectoryEntry) -> bool:
        """Whether an entry that an index gave is meant indeed."""
        return (
            (self.ending is None or _any(entry, "phone", lambda v: _ends(v, self.ending or "")))
            and (self.email is None or _any(entry, "email", lambda v: _begins(v, self.email or "")))
            and (self.card is None or _any(entry, "card", lambda v: _begins(v, self.card or "")))
        )


def _any(entry: DirectoryEntry, kind: IdentifierKind, check: Callable[[str], bool]) -> bool:
    return any(each.kind == kind and each.value and check(each.value) for each in entry.contacts)


def _begins(value: str, beginning: str) -> bool:
    return folded(value).startswith(beginning)


def _ends(value: str, digits: str) -> bool:
    return digits_of(value).endswith(digits)


@dataclass(frozen=True, slots=True)
class QuickSearch:
    """Searches the list."""

    directory: Directory
    rules: IdentifierRules

    async def find(self, text: str, scope: Scope, limit: int, *, archived: bool = False) -> Found:
        """Whom the text finds, those by a whole identifier first."""
        shelf = ARCHIVED if archived else IN_SIGHT
        narrow: list[Clause] = [OneOf("shelf", frozenset({shelf}))]
        if scope.branches is not None:
            narrow.append(in_branches(scope.branches))
        sample = await self.directory.sampler.sample()
        whole, *lists = await asyncio.gather(
            self._whole(text),
            *(
                self._attempt(attempt, narrow, sample, limit + 1)
                for attempt in attempts(text, shelf, sample)
            ),
        )
        entries = {entry.id: entry for found in (whole, *lists) for entry in found}
        return Found(list(entries.values())[:limit], len(entries) > limit)

    async def _whole(self, text: str) -> list[DirectoryEntry]:
        """Whom the text finds as a whole phone, e-mail or card, in whatever branch."""
        known = []
        # No phone and no card is without a digit, and no e-mail without its sign.
        for kind in WHOLE_KINDS if digits_of(text) or "@" in text else ():
            try:
                known.append(self.rules.known(kind, text, "q"))
            except Refused:
                # It is none of this kind; it may be of another, or a part.
                continue
        found = await asyncio.gather(*(self.directory.find(each) for each in known))
        return [entry for entry in found if entry is not None and entry.shelf is not None]

    async def _attempt(
        self, attempt: Attempt, narrow: Sequence[Clause], sample: Sample, limit: int
    ) -> list[DirectoryEntry]:
        walker = Walker(self.directory.collection)
        clauses = [*narrow, *attempt.clauses]
        walks = [Walk([*narrow, *attempt.beside], span) for span in attempt.spans]
        by_name = Walk(clauses, everything("sort.name", attempt.shelf))
        effort = sum(walk_cost(sample, walk, limit) for walk in walks)
        if attempt.clauses and leading(sample, by_name, limit, effort) is not None:
            # The caller's few customers are looked through at once.
            walks = [by_name]
        plenty = [walk for walk in walks if _found(sample, walk) >= PLENTY * limit]
        if plenty and len(walks) > 1:
            # A page is full from one slot alone: the others need not be read.
            raws = await walker.page(sample, plenty[0], limit)
            if len(raws) >= limit:
                return [msgspec.convert(raw, DirectoryEntry) for raw in raws]
        reads: list[Any] = [walker.page(sample, walk, limit) for walk in walks]
        if attempt.words and by_name not in walks:
            reads.append(self._exactly(attempt.words, clauses, limit))
        parts: Sequence[list[RawDocument]] = await asyncio.gather(*reads)
        entries = [msgspec.convert(raw, DirectoryEntry) for part in parts for raw in part]
        return [entry for entry in entries if attempt.holds(entry)]

    async def _exactly(
        self, words: Sequence[str], clauses: Sequence[Clause], limit: int
    ) -> list[RawDocument]:
        # What does not hold is sorted out afterwards, so more are read than are wanted.
        where = {"words": {"$in": list(words)}, **flat(clauses)}
        return await self.directory.collection.find(where, limit=limit * 4)


def _found(sample: Sample, walk: Walk) -> float:
    return sum(sample.hits(walk.span, walk.clauses)) * sample.weight


def attempts(text: str, shelf: str, sample: Sample) -> Iterator[Attempt]:
    """The ways in which the text may be meant."""
    plain = folded(text.strip())
    digits = digits_of(text)
    if "@" in plain:
        yield Attempt(
            shelf,
            spans=(beginning(EMAIL_SLOT, shelf, plain),),
            words=(f"e:{plain[:LONGEST_PREFIX]}",),
            email=plain,
        )
        return
    if len(digits) >= SHORTEST_TAIL and set(text) <= PHONE_SIGNS:
        tail = digits[-LONGEST_TAIL:]
        yield Attempt(shelf, words=(f"p:{tail}",), ending=digits[-LONGEST_NATIONAL:])
    card = plain.replace(" ", "").replace("-", "")
    if len(card) >= SHORTEST_TAIL and any(each.isdigit() for each in card):
        yield Attempt(
            shelf,
            spans=(beginning(CARD_SLOT, shelf, card),),
            words=(f"c:{card[:LONGEST_PREFIX]}",),
            card=card,
        )
    words = tuple(dict.fromkeys(words_of(text)))
    if words and not set(text) <= PHONE_SIGNS:
        yield named(words, shelf, sample)
        if len(words) == 1 and len(plain) >= SHORTEST_EMAIL:
            yield Attempt(
                shelf,
                spans=(beginning(EMAIL_SLOT, shelf, plain),),
                words=(f"e:{plain[:LONGEST_PREFIX]}",),
                email=plain,
            )


def named(words: Sequence[str], shelf: str, sample: Sample) -> Attempt:
    """Names of which some words begin so; the word leads that begins the fewest."""

    def spans(word: str) -> tuple[Between, ...]:
        return tuple(beginning(slot, shelf, word) for slot in NAME_SLOTS)

    def how_many(word: str) -> tuple[int, int]:
        return sum(len(sample.within(span)) for span in spans(word)), -len(word)

    leader = min(words, key=how_many)
    others = tuple(word for word in words if word != leader)
    return Attempt(
        shelf,
        spans=spans(leader),
        words=(f"n:{leader[:LONGEST_PREFIX]}",),
        clauses=(Begins("names", tuple(words)),),
        beside=(Begins("names", others),) if others else (),
    )


def beginning(slot: str, shelf: str, text: str) -> Between:
    """What begins so in a search slot."""
    return Between(f"slots.{slot}", shelf + text, shelf + text + HIGHEST)

"""What an entry is found and sorted by: texts that compare as the values do.

A key of a column is `<shelf><0 or 1><value>|<customer>`: unique, so that a page goes on from it
alone; 0 stands where there is no value, so that those come first. One range of keys is one range of
values on one shelf. Search slots are keys of single words, for what begins with some letters; what
finds no slot, and the ends of phone numbers, are `words`, found exactly.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b

from services.customer.domain.writing_forms import digits_of, folded, words_of
from services.customer.projections.directory.entry import DirectoryEntry

IN_SIGHT = "-"
ARCHIVED = "~"
HIGHEST = "\U0010ffff"
"""Above every character that a key holds."""
NUMBER_OFFSET = 10**16
NUMBER_WIDTH = 17
LONGEST_TEXT = 60
NAME_SLOTS = ("n0", "n1", "n2")
EMAIL_SLOT = "e0"
CARD_SLOT = "c0"
SLOTS = (*NAME_SLOTS, EMAIL_SLOT, CARD_SLOT)
SHORTEST_TAIL, LONGEST_TAIL = 4, 7
LONGEST_PREFIX = 12
"""Of what finds no slot of its own: longer beginnings are looked at one by one."""
COLUMNS = (
    "name",
    "spent",
    "visits",
    "average",
    "first_visit",
    "last_visit",
    "registered_at",
    "birthday",
    "granted_discount",
    "status",
    "responsible",
    "home_branch",
    "city",
)
"""Columns with a key, and an index on it."""
CUSTOM_KEY = "custom_"


def number_text(value: int) -> str:
    """A whole number below 10^16 of either sign, as a text of one width."""
    return f"{value + NUMBER_OFFSET:0{NUMBER_WIDTH}d}"


def moment_text(value: datetime) -> str:
    """A moment in UTC, to the millisecond."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")


def value_text(value: object) -> str | None:
    """The text of a column's value; None for what has no order of its own."""
    match value:
        case bool():
            return str(int(value))
        case int():
            return number_text(value)
        case datetime():
            return moment_text(value)
        case str():
            return folded(value)[:LONGEST_TEXT]
        case _:
            return None


def key_of(shelf: str, value: object, customer: str) -> str:
    """The key of a value in a column."""
    text = value_text(value)
    return f"{shelf}0|{customer}" if text is None else f"{shelf}1{text}|{customer}"


def refresh(entry: DirectoryEntry) -> None:
    """Derive all of it anew."""
    entry.shelf = _shelf_of(entry)
    entry.branches = _branches_of(entry)
    entry.consents = _given(entry)
    entry.dice = None if entry.shelf is None else dice_of(entry.id)
    if entry.shelf is None:
        entry.found_by, entry.has, entry.names = [], [], []
        entry.sort, entry.slots, entry.words, entry.marks = {}, {}, [], []
        return
    entry.found_by = [f"{each.kind}|{each.hash}" for each in entry.contacts if not each.shared]
    entry.has = sorted({each.kind for each in entry.contacts if each.value is not None})
    full = " ".join(part for part in (entry.surname, entry.name, entry.patronymic) if part)
    entry.names = words_of(full)
    entry.sort = _sort_of(entry, folded(full) or None)
    entry.slots, entry.words = _search_of(entry)
    entry.marks = list(_marks_of(entry))


def dice_of(customer: str) -> str:
    """Eight hexadecimal digits that have nothing to do with the order of any column."""
    return blake2b(customer.encode(), digest_size=4).hexdigest()


def refresh_totals(entry: DirectoryEntry) -> None:
    """Derive anew what receipts change."""
    entry.branches = _branches_of(entry)
    if entry.shelf is not None:
        for name, value in _totals_of(entry).items():
            entry.sort[name] = key_of(entry.shelf, value, entry.id)
        others = [each for each in entry.marks if not each.startswith("in:")]
        entry.marks = [*(f"in:{branch}" for branch in entry.branches), *others]


def refresh_segments(entry: DirectoryEntry) -> None:
    """Derive anew what memberships change."""
    if entry.shelf is not None:
        entry.marks = list(_marks_of(entry))


def _shelf_of(entry: DirectoryEntry) -> str | None:
    if entry.registered_at is None or entry.merged_into is not None or entry.erased:
        return None
    return ARCHIVED if entry.archived else IN_SIGHT


def _branches_of(entry: DirectoryEntry) -> list[str]:
    found = {each.branch for each in entry.at_branches if each.visits}
    if entry.home_branch is not None:
        found.add(entry.home_branch)
    return sorted(found)


def _given(entry: DirectoryEntry) -> list[str]:
    """Topics and channels with a consent for any contact point, or for one that is there."""
    hashes = {each.hash for each in entry.contacts} | {""}
    return sorted(
        {
            key.rpartition("|")[0]
            for key, given in entry.consent_states.items()
            if given and key.rpartition("|")[2] in hashes
        }
    )


def _totals_of(entry: DirectoryEntry) -> dict[str, object]:
    return {
        "spent": entry.spent,
        "visits": entry.visits,
        "average": entry.average,
        "first_visit": entry.first_visit,
        "last_visit": entry.last_visit,
    }


def _sort_of(entry: DirectoryEntry, name: str | None) -> dict[str, str]:
    born = entry.birth_date
    values: dict[str, object] = {
        "name": name,
        **_totals_of(entry),
        "registered_at": entry.registered_at,
        "birthday": None if born is None else f"{born[5:]}-{born[:4]}",
        "granted_discount": max(entry.discounts.values(), default=None),
        "status": entry.status,
        "responsible": entry.responsible,
        "home_branch": entry.home_branch,
        "city": entry.city,
        **{CUSTOM_KEY + name: value for name, value in entry.custom.items()},
    }
    shelf = entry.shelf or ""
    return {column: key_of(shelf, value, entry.id) for column, value in values.items()}


def _search_of(entry: DirectoryEntry) -> tuple[dict[str, str], list[str]]:
    """The search slots, and what is found exactly."""
    slots: dict[str, str] = {}
    words: set[str] = set()
    _place(entry, entry.names, NAME_SLOTS, "n", slots, words)
    for kind, slot in (("email", EMAIL_SLOT), ("card", CARD_SLOT)):
        values = [folded(each.value) for each in entry.contacts if each.kind == kind and each.value]
        _place(entry, values, (slot,), kind[0], slots, words)
    for contact in entry.contacts:
        if contact.kind == "phone" and contact.value:
            words |= {f"p:{tail}" for tail in tails_of(contact.value)}
    return slots, sorted(words)


def _place(  # noqa: PLR0917 - what is filled, and with what
    entry: DirectoryEntry,
    values: Sequence[str],
    names: Sequence[str],
    letter: str,
    slots: dict[str, str],
    words: set[str],
) -> None:
    """One value for each slot; the beginnings of those that are left over become words."""
    for name, value in zip(names, values, strict=False):
        slots[name] = f"{entry.shelf}{value}|{entry.id}"
    for value in values[len(names) :]:
        words |= {f"{letter}:{value[:length]}" for length in range(1, LONGEST_PREFIX + 1)}


def tails_of(phone: str) -> Iterator[str]:
    """The last four to seven digits of a number."""
    digits = digits_of(phone)
    for length in range(SHORTEST_TAIL, LONGEST_TAIL + 1):
        if len(digits) >= length:
            yield digits[-length:]


def _marks_of(entry: DirectoryEntry) -> Iterator[str]:
    for branch in entry.branches:
        yield f"in:{branch}"
    for kind, value in (
        ("home", entry.home_branch),
        ("status", entry.status),
        ("responsible", entry.responsible),
        ("city", None if entry.city is None else folded(entry.city)),
    ):
        if value is not None:
            yield f"{kind}:{value}"
    for category in sorted({each.category for each in entry.categories}):
        yield f"category:{category}"
    for tag in entry.tags:
        yield f"tag:{tag}"
    for segment in entry.segments:
        yield f"segment:{segment}"

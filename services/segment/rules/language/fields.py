"""The fields of a customer that rules may ask for, and what kind of value each holds."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.events.customer import Channel, IdentifierKind

Holds = Literal["text", "choice", "yes_no", "number", "several", "date"]

CUSTOM = "custom."
"""What the name of a custom field begins with in a rule."""
LONGEST_CUSTOM = 100

TAGS, CATEGORIES, LINKED = "tags", "categories", "linked"
DISCOUNT, MISUSE = "discount", "misuse"
REGISTERED = "registered"
"""The instant of the registration; only dates ask for it."""

FIELDS: Mapping[str, Holds] = {
    **dict.fromkeys(
        (
            "surname", "name", "patronymic", "address", "city", "region", "workplace",
            "home_branch", "language", "time_zone", "acquisition", "customer_type", "status",
            "responsible",
        ),
        "text",
    ),
    **dict.fromkeys(("gender", "preferred_channel"), "choice"),
    **dict.fromkeys(("internal", "archived", "blacklisted"), "yes_no"),
    **dict.fromkeys((DISCOUNT, MISUSE), "number"),
    **dict.fromkeys((TAGS, CATEGORIES, LINKED), "several"),
    "birth_date": "date",
}  # fmt: skip
"""Field → what it holds; a custom field may hold anything.

`categories` and `tags` are those of the customer, `linked` says how others belong to the customer
(`household`, …); `discount` is the highest that is granted, in hundredths of a percent, and
`misuse` on how many days misuse is suspected: these are 0 where there is nothing, as yes-or-no
fields are no.
"""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "gender": ("female", "male"),
    "preferred_channel": get_args(Channel),
}
DATES = ("birth_date", REGISTERED, "first_receipt", "last_receipt")
IDENTIFIERS: tuple[str, ...] = get_args(IdentifierKind)


def is_custom(name: str) -> bool:
    """Whether it is the name of a custom field."""
    return name.startswith(CUSTOM) and len(CUSTOM) < len(name) <= len(CUSTOM) + LONGEST_CUSTOM


def _among(names: tuple[str, ...]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names and not is_custom(name):
            sentence = f"must be {', '.join(names)}, or `custom.` and the name of a custom field"
            raise PydanticCustomError("rule", "{sentence}", {"sentence": sentence})
        return name

    return AfterValidator(check)


def _schema(names: tuple[str, ...]) -> WithJsonSchema:
    pattern = rf"^({'|'.join(names)}|custom\..{{1,{LONGEST_CUSTOM}}})$"
    description = "`custom.` and a name for a custom field"
    return WithJsonSchema({"type": "string", "pattern": pattern, "description": description})


FieldName = Annotated[str, _among(tuple(FIELDS)), _schema(tuple(FIELDS))]
DateName = Annotated[str, _among(DATES), _schema(DATES)]

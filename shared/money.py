"""Money is a whole number of minor units (cents); the currency belongs to the chain.

No float ever holds money: amounts enter as whole numbers, or as decimals that are rounded once.
"""

from decimal import ROUND_HALF_UP, Decimal

MINOR_PER_MAJOR = 100


def to_minor(amount: Decimal) -> int:
    """Major units to minor ones, half a unit rounded away from zero."""
    return int((amount * MINOR_PER_MAJOR).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def show(minor: int) -> str:
    """Minor units for people: `-1,234.05`."""
    sign = "-" if minor < 0 else ""
    major, rest = divmod(abs(minor), MINOR_PER_MAJOR)
    return f"{sign}{major:,}.{rest:02d}"

"""Which stream a fact is in: its customer's, or that of somebody who is not known yet.

A stream never changes its key, so a fact that changes hands is told again in another stream. The
stream of an unknown person is named by what was known of them; once it was adopted and what it
is named by finds nobody any more, another one of that name with a number begins.
"""

CUSTOMER_STREAM = "interaction-"
UNKNOWN_STREAM = "unknown-"


def stream_of(customer: str) -> str:
    """The stream of what a customer did."""
    return CUSTOMER_STREAM + customer


def customer_of(stream: str) -> str | None:
    """The customer whose stream it is; None for somebody unknown."""
    if stream.startswith(CUSTOMER_STREAM):
        return stream.removeprefix(CUSTOMER_STREAM)
    return None


def unknown_stream(name: str, number: int = 1) -> str:
    """The stream of somebody unknown: by the hash of an identifier, or by a lone fact's id."""
    first = UNKNOWN_STREAM + name
    return first if number == 1 else f"{first}-{number}"

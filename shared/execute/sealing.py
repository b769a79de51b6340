"""An event's text, its personal fields sealed."""

from collections.abc import Callable

from shared.decider import Refused
from shared.envelope import Placed, encode
from shared.events.contract import pii_paths
from shared.keyring import Erased, Keys, has_values, nothing, seal


def encode_event(placed: Placed, keys: Keys, passing: Callable[[str], bool] = nothing) -> str:
    """The event's text with its personal fields sealed by its subject's key, but those `passing`.

    Raises `Refused` when the subject was erased: nothing personal is recorded any more; and
    ValueError for personal fields of an event without a subject.
    """
    paths = pii_paths(type(placed.data))
    if not paths:
        return encode(placed)
    data = placed.data.model_dump(mode="json", exclude_none=True)
    if placed.subject is None:
        if has_values(data, paths):
            raise ValueError(f"{placed.data.type} needs a subject, whose key seals it")
        return encode(placed, data)
    key = keys[placed.subject]
    if isinstance(key, Erased):
        raise Refused("erased", 410, "The customer was erased.")
    seal(data, paths, placed.subject, key, placed.stream, passing=passing)
    return encode(placed, data)

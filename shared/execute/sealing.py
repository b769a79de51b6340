"""An event's text, its personal fields sealed."""

from collections.abc import Callable

from shared.decider import Refused
from shared.envelope import Placed, encode
from shared.events.contract import pii_paths
from shared.keyring import Erased, Keys, has_values, nothing, seal


def encode_event(placed: Placed, keys: Keys, passing: Callable[[str], bool] = nothing) -> str:
    """The event's text with its personal fields sealed by its sealer's key, but those `passing`.

    Raises `Refused` when that key was erased: nothing personal is recorded any more; and
    ValueError for personal fields of an event without a sealer.
    """
    if not placed.data.holds_personal():
        return encode(placed)
    paths = pii_paths(placed.data.contract_model)
    data = placed.data.json_values()
    if placed.sealer is None:
        if has_values(data, paths):
            raise ValueError(f"{placed.data.type} needs somebody whose key seals it")
        return encode(placed, data)
    key = keys[placed.sealer]
    if isinstance(key, Erased):
        raise Refused("erased", 410, "The customer was erased.")
    seal(data, paths, placed.sealer, key, placed.stream, passing=passing)
    return encode(placed, data)

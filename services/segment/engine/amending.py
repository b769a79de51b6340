"""What happens to receipts that are known: they are given back, never happened, or change hands.

A return lowers the net of its receipt, and so of the windows in which that lies; it is no receipt.
A void leaves nothing of its receipt. Facts of a move count, or count no more, once it has ended.
What happens to a receipt of an import that has not ended stays as unseen as the receipt.
"""

from collections.abc import Sequence

import msgspec

from services.segment.engine.facts import FACTS, Recorded, Returned, Voided, key_of, receipt_of
from services.segment.engine.life import Life
from services.segment.engine.profile import InMotion, Profile, Waiting
from services.segment.rules.instants import instant
from services.segment.rules.view import Receipt
from shared.moves import Ended, MovedFacts, Moving
from shared.projection import Event

Amendment = Returned | Voided | Ended
_MOVED = MovedFacts(FACTS)


def put_in_motion(known: Profile, event: Event) -> Profile:
    """Keep the facts of a move until it has ended."""
    moving: Moving = event.data
    held = {each.move: each for each in known.moving}
    motion = held.get(moving.move, InMotion(moving.move, [], [], []))
    receipts, returned, voided = [*motion.receipts], [*motion.returned], [*motion.voided]
    for fact in _MOVED.of(moving):
        match fact.data:
            case Recorded() as data:
                time = min(instant(fact.time), instant(fact.recorded))
                version = event.light.streamversion
                receipts.append(receipt_of(data, time, version, fact.branch))
            case Returned(receipt=receipt, total=total):
                returned.append((key_of(receipt), total))
            case Voided(receipt=receipt):
                voided.append(key_of(receipt))
    held[moving.move] = InMotion(moving.move, receipts, returned, voided)
    return msgspec.structs.replace(known, moving=list(held.values()))


def amend_unseen(known: Profile, data: object) -> Profile | None:
    """The profile where the receipt waits for the end of its import; else None."""
    match data:
        case Returned(receipt=receipt, total=total):
            return _waiting_without(known, key_of(receipt), total)
        case Voided(receipt=receipt):
            return _waiting_without(known, key_of(receipt), None)
        case _:
            return None


def amend(life: Life, data: Amendment) -> None:
    """Change the receipts of a life, and evaluate nothing."""
    if life.crowded:
        return
    match data:
        case Returned(receipt=receipt, total=total):
            _lower(life, key_of(receipt), total)
        case Voided(receipt=receipt, bought=bought, total=total):
            _void(life, key_of(receipt), instant(bought), total)
        case Ended():
            _take_over(life, data)


def _lower(life: Life, key: int, total: int) -> None:
    if life.view.lower(key, total):
        return
    motion = _motion_of(life, key)
    if motion is None:
        life.view.total -= total
    else:
        _keep(life, msgspec.structs.replace(motion, returned=[*motion.returned, (key, total)]))


def _void(life: Life, key: int, bought: int, total: int) -> None:
    if life.view.remove(key):
        return
    motion = _motion_of(life, key)
    if motion is None:
        life.view.forget(bought, total)
    else:
        _keep(life, msgspec.structs.replace(motion, voided=[*motion.voided, key]))


def _take_over(life: Life, ended: Ended) -> None:
    motion = next((each for each in life.moving if each.move == ended.move), None)
    if motion is None:
        return
    life.moving = [each for each in life.moving if each is not motion]
    voided = set(motion.voided)
    there = {receipt.key for receipt in motion.receipts}
    for receipt in motion.receipts:
        if receipt.key in voided:
            continue
        back = sum(total for key, total in motion.returned if key == receipt.key)
        net = msgspec.structs.replace(receipt, total=receipt.total - back)
        if ended.comes:
            life.take(net)
        elif not life.view.remove(net.key) and not _leave_waiting(life, net.key):
            life.view.forget(net.time, net.total)
    for key, total in motion.returned:
        if key not in there:
            _lower(life, key, total if ended.comes else -total)


def _motion_of(life: Life, key: int) -> InMotion | None:
    for motion in life.moving:
        if any(receipt.key == key for receipt in motion.receipts):
            return motion
    return None


def _keep(life: Life, motion: InMotion) -> None:
    life.moving = [motion if each.move == motion.move else each for each in life.moving]


def _leave_waiting(life: Life, key: int) -> bool:
    known = msgspec.structs.replace(life.known, waiting=life.waiting)
    after = _waiting_without(known, key, None)
    if after is not None:
        life.waiting = after.waiting
    return after is not None


def _waiting_without(known: Profile, key: int, total: int | None) -> Profile | None:
    """The profile with so much less of a receipt that waits, or without it; None without one."""
    for waiting in known.waiting:
        if any(receipt.key == key for receipt in waiting.receipts):
            left = Waiting(waiting.import_id, _less(waiting.receipts, key, total), waiting.told)
            rest = [left if each is waiting else each for each in known.waiting]
            return msgspec.structs.replace(known, waiting=rest)
    return None


def _less(receipts: Sequence[Receipt], key: int, total: int | None) -> list[Receipt]:
    if total is None:
        return [each for each in receipts if each.key != key]
    return [
        msgspec.structs.replace(each, total=each.total - total) if each.key == key else each
        for each in receipts
    ]

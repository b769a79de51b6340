"""What happens to facts that are known: they are given back, never happened, or change hands.

A return lowers the net of its receipt and of its lines, and so of the windows in which that lies;
it is no receipt. A void leaves nothing of its receipt, a withdrawal nothing of its fact. Facts of a
move count, or count no more, once it has ended. What happens to a fact of an import that has not
ended stays as unseen as the fact.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from services.segment.engine.happening import given_back, happened, key_of
from services.segment.engine.life import Life
from services.segment.engine.profile import InMotion, Profile, Waiting, names_of
from services.segment.engine.reported import MOVING_FACTS, Returned, Voided
from services.segment.rules.happened import Happened, Names
from services.segment.rules.instants import instant
from services.segment.rules.language.kinds import FACT_NAMES, RECEIPTS
from services.segment.rules.view import GivenBack, lowered
from shared.moves import Ended, MovedFacts, Moving, Withdrawn
from shared.projection import Event

AMENDMENTS = (Returned, Voided, Ended, Withdrawn)
Amendment = Returned | Voided | Ended | Withdrawn
_MOVED = MovedFacts(MOVING_FACTS)


def put_in_motion(known: Profile, event: Event) -> Profile:
    """Keep the facts of a move until it has ended."""
    moving: Moving = event.data
    held = {each.move: each for each in known.moving}
    motion = held.get(moving.move, InMotion(moving.move, [], [], []))
    facts, returned, gone = [*motion.facts], [*motion.returned], [*motion.gone]
    names = names_of(known)
    version = event.light.streamversion
    for fact in _MOVED.of(moving):
        match fact.data:
            case Returned() as data:
                returned.append((key_of(data.receipt), data.total, given_back(data)))
            case Voided(receipt=receipt):
                gone.append(key_of(receipt))
            case data:
                time = min(instant(fact.time), instant(fact.recorded))
                facts += _kept(happened(data, time, version, fact.branch, lambda: names))
    held[moving.move] = InMotion(moving.move, facts, returned, gone)
    return msgspec.structs.replace(known, moving=list(held.values()), names=names.all.copy())


def amend_unseen(known: Profile, data: object) -> Profile | None:
    """The profile where the fact waits for the end of its import; else None."""
    match data:
        case Returned(receipt=receipt, total=total):
            return _waiting_with(known, key_of(receipt), (total, given_back(data)))
        case Voided(receipt=receipt):
            return _waiting_with(known, key_of(receipt), None)
        case Withdrawn(withdrawn=withdrawn):
            return _waiting_with(known, key_of(withdrawn.fact), None)
        case _:
            return None


def amend(life: Life, data: Amendment) -> Iterable[str]:
    """Change the facts of a life, and evaluate nothing; gives the kinds that are touched."""
    if life.crowded:
        return ()
    match data:
        case Returned(receipt=receipt, total=total):
            _lower(life, key_of(receipt), total, given_back(data))
        case Voided(receipt=receipt, bought=bought, total=total):
            key = key_of(receipt)
            if not _remove(life, RECEIPTS, key):
                life.view.forget(RECEIPTS, instant(bought), total)
        case Withdrawn():
            return [_withdraw(life, fact) for fact in _told(data)]
        case Ended():
            return _take_over(life, data)
    return (RECEIPTS,)


def _told(withdrawn: Withdrawn) -> Iterator[Happened]:
    for fact in _MOVED.of(withdrawn):
        time = min(instant(fact.time), instant(fact.recorded))
        # The names that it is told in are thrown away with it.
        yield from _kept(happened(fact.data, time, 0, fact.branch, Names))


def _kept(fact: Happened | None) -> Iterator[Happened]:
    if fact is not None:
        yield fact


def _withdraw(life: Life, fact: Happened) -> str:
    kind = FACT_NAMES[fact.kind]
    if not _remove(life, kind, fact.key):
        _forget(life, fact)
    return kind


def _forget(life: Life, fact: Happened) -> None:
    if life.view.counts(fact):
        life.view.forget(FACT_NAMES[fact.kind], fact.time, fact.number or 0)


def _lower(life: Life, key: int, total: int, lines: tuple[GivenBack, ...]) -> None:
    if life.view.lower(key, total, lines):
        return
    motion = _motion_of(life, key)
    if motion is None:
        life.view.counting(RECEIPTS).total -= total
    else:
        returned = [*motion.returned, (key, total, lines)]
        _keep(life, msgspec.structs.replace(motion, returned=returned))


def _remove(life: Life, kind: str, key: int) -> bool:
    """Let a fact never have happened; whether it was here, or on its way."""
    if life.view.remove(kind, key):
        return True
    motion = _motion_of(life, key)
    if motion is not None:
        _keep(life, msgspec.structs.replace(motion, gone=[*motion.gone, key]))
    return motion is not None


def _take_over(life: Life, ended: Ended) -> Iterable[str]:
    motion = next((each for each in life.moving if each.move == ended.move), None)
    if motion is None:
        return ()
    life.moving = [each for each in life.moving if each is not motion]
    there = {fact.key for fact in motion.facts}
    touched = set()
    for fact in motion.facts:
        kind = FACT_NAMES[fact.kind]
        touched.add(kind)
        if fact.key in motion.gone:
            continue
        net = fact
        for key, total, lines in motion.returned:
            net = lowered(net, total, lines) if key == fact.key else net
        if ended.comes:
            life.take(net)
        elif not life.view.remove(kind, net.key) and not _leave_waiting(life, net.key):
            _forget(life, net)
    for key, total, lines in motion.returned:
        if key not in there:
            touched.add(RECEIPTS)
            back = (total, lines) if ended.comes else (-total, _turned(lines))
            _lower(life, key, *back)
    return touched


def _turned(lines: Iterable[GivenBack]) -> tuple[GivenBack, ...]:
    return tuple((position, -amount, -quantity) for position, amount, quantity in lines)


def _motion_of(life: Life, key: int) -> InMotion | None:
    for motion in life.moving:
        if any(fact.key == key for fact in motion.facts):
            return motion
    return None


def _keep(life: Life, motion: InMotion) -> None:
    life.moving = [motion if each.move == motion.move else each for each in life.moving]


def _leave_waiting(life: Life, key: int) -> bool:
    known = msgspec.structs.replace(life.known, waiting=life.waiting)
    after = _waiting_with(known, key, None)
    if after is not None:
        life.waiting = after.waiting
    return after is not None


_Back = tuple[int, tuple[GivenBack, ...]]


def _waiting_with(known: Profile, key: int, back: _Back | None) -> Profile | None:
    """The profile with so much less of a fact that waits, or without it; None without one."""
    for waiting in known.waiting:
        if any(fact.key == key for fact in waiting.facts):
            left = Waiting(waiting.import_id, _less(waiting.facts, key, back), waiting.told)
            rest = [left if each is waiting else each for each in known.waiting]
            return msgspec.structs.replace(known, waiting=rest)
    return None


def _less(facts: Sequence[Happened], key: int, back: _Back | None) -> list[Happened]:
    if back is None:
        return [each for each in facts if each.key != key]
    return [lowered(each, *back) if each.key == key else each for each in facts]

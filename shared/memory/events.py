"""An event store in a dict."""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.eventstore import (
    Append,
    Claim,
    ClaimChange,
    Commit,
    Head,
    Known,
    StoreUnavailable,
    check_one_commit_per_stream,
    first_expiry,
)


@dataclass(slots=True)
class MemoryEventStore:
    """An event store in a dict."""

    commits: list[Commit] = field(default_factory=list)
    _streams: dict[str, list[Commit]] = field(default_factory=dict)
    _commands: dict[str, Known] = field(default_factory=dict)
    _claims: dict[str, Claim] = field(default_factory=dict)

    async def known(self, command_ids: Sequence[str]) -> Mapping[str, Known]:
        """Those of the commands that are recorded."""
        return {name: self._commands[name] for name in command_ids if name in self._commands}

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        """The heads of the streams that exist."""
        return {
            name: Head(commits[-1].seq, commits[-1].version, commits[-1].redirect)
            for name in streams
            if (commits := self._streams.get(name))
        }

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        """All commits of the streams that exist."""
        return {name: list(self._streams[name]) for name in streams if name in self._streams}

    async def names(self, prefix: str) -> Sequence[str]:
        """The names of all streams that begin with the prefix, sorted."""
        return sorted(name for name in self._streams if name.startswith(prefix))

    async def claims(self, ids: Sequence[str]) -> Mapping[str, Claim]:
        """The claims on the values that were ever claimed."""
        return {name: self._claims[name] for name in ids if name in self._claims}

    async def claims_of(self, owners: Sequence[str]) -> Sequence[Claim]:
        """The claims that the owners hold now, by id."""
        return sorted(
            (claim for claim in self._claims.values() if claim.owner in owners),
            key=lambda claim: claim.id,
        )

    async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
        """Append at most one commit per stream; says for each whether it was."""
        check_one_commit_per_stream(appends)
        await asyncio.sleep(0)
        check_in_time(commit for append in appends for commit in append.commits)
        return [self.append_now(append) for append in appends]

    async def append_together(self, appends: Sequence[Append]) -> bool:
        """Append all of them with their claims, or nothing."""
        check_one_commit_per_stream(appends)
        await asyncio.sleep(0)
        check_in_time(commit for append in appends for commit in append.commits)
        return self._append_all(appends)

    def append_now(self, append: Append) -> bool:
        """Append one commit with its claims and what is beside it, or nothing."""
        return self._append_all([append])

    def _append_all(self, appends: Sequence[Append]) -> bool:
        commits = [commit for append in appends for commit in append.commits]
        ids = [mark.id for commit in commits for mark in commit.commands]
        free = all(
            commit.seq == len(self._streams.get(commit.stream, ())) + 1 for commit in commits
        )
        unknown = self._commands.keys().isdisjoint(ids) and len(set(ids)) == len(ids)
        claims = self._changed([change for append in appends for change in append.claims])
        if not (free and unknown) or claims is None:
            return False
        for commit in commits:
            self._streams[commit.stream] = [*self._streams.get(commit.stream, ()), commit]
            self.commits.append(commit)
            self._commands.update({mark.id: Known(commit.stream, mark) for mark in commit.commands})
        self._claims.update(claims)
        return True

    def _changed(self, changes: Sequence[ClaimChange]) -> dict[str, Claim] | None:
        """The claims after all changes, each resting on the one before; None if one cannot."""
        changed: dict[str, Claim] = {}
        for change in changes:
            present = changed.get(change.id) or self._claims.get(change.id)
            if change.expected != (present.epoch if present else 0):
                return None
            changed[change.id] = Claim(change.id, change.owner, change.epoch)
        return changed


def check_in_time(commits: Iterable[Commit]) -> None:
    """Raise `StoreUnavailable` where it is too late to write one of them."""
    if first_expiry(commits, math.inf) <= asyncio.get_running_loop().time():
        raise StoreUnavailable("too late to be written")

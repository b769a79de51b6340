"""Forgetting a person everywhere, whatever is killed on the way.

The wish is recorded first, and a reaction to it (`consumers/erasing.py`) repeats all steps until
they are done: keys become tombstones, files go, then `customer.erased` on each customer of the
merge tree together with their claims. Each step done twice is done once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.customer.domain.customer import CUSTOMER
from services.customer.domain.erasing import (
    CHANGED,
    WISH,
    Erase,
    RequestErase,
    claims_of_tree,
    decide_erase,
    erase_changes,
    files_of,
    stream_of_erase,
)
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers.customers import MAX_REDIRECTS, Request
from services.customer.handlers.documents import owner_of
from services.customer.queries.records import once_related, tree_of
from shared.decider import Refused, not_found
from shared.envelope import Causation
from shared.events.merging import EraseRequested
from shared.execute import Command, Done, Joint, JointDecider, Writer
from shared.ids import derived_id

ERASING: JointDecider[Erase, Customer] = JointDecider(
    of=CUSTOMER, decide=decide_erase, claim_ids=claims_of_tree, changes=erase_changes
)


class Files(Protocol):
    """Where the content of documents is kept."""

    async def delete_of(self, owner: str) -> None:
        """Remove all files of an owner."""
        ...


@dataclass(frozen=True, slots=True)
class Eraser:
    """Erases, on what it needs."""

    writer: Writer
    files: Files

    async def request(
        self, request: Request, customer: str, reason: str, by: str | None
    ) -> EraseRequested:
        """Record the wish. Raises `Refused` (404) where nobody was registered."""
        tree = await tree_of(self.writer, customer, sealed=True)
        if not tree[customer].registered:
            kind = "customer"
            raise not_found(kind, customer)
        erase = derived_id("erase", request.command_id)
        wish = EraseRequested.model_validate(
            {"erase": erase, "customer": customer, "reason": reason, "by": by}
        )
        stream = stream_of_erase(erase)
        await self.writer.one(
            WISH,
            Command(
                id=request.command_id,
                hash=request.hash,
                stream=stream,
                key=stream,
                body=RequestErase(wish, request.at),
                causation=Causation(correlation=request.command_id),
            ),
        )
        return wish

    async def carry_out(self, wish: EraseRequested, at: datetime, why: Causation) -> Done:
        """Do what the wish says, or what is left of it."""
        for _ in range(MAX_REDIRECTS):
            tree = await self._tree(wish)
            await self.writer.keyring.erase(tree, wish.erase)
            files = frozenset[str]().union(*map(files_of, tree.values()))
            for each in sorted(tree):
                await self.files.delete_of(owner_of(each))
            held = await self.writer.store.claims_of(sorted(tree))
            body = Erase(wish, at, files, tuple(claim.id for claim in held))
            try:
                return await self.writer.together(
                    ERASING,
                    Joint(
                        id=f"erase|{wish.erase}",
                        hash=wish.erase,
                        streams={stream_of(customer): customer for customer in tree},
                        body=body,
                        causation=why,
                    ),
                    sealed=True,
                )
            except Refused as refusal:
                if refusal.type != CHANGED:
                    raise
        raise Refused(CHANGED, 409, "The customer is being changed all the time.", "try again")

    async def _tree(self, wish: EraseRequested) -> Mapping[str, Customer]:
        """The customers to be forgotten: the tree, and who left it after losing the key to this.

        A process may part two customers by the keys in its cache, between a step that was cut off
        and its repetition.
        """
        tree = await tree_of(self.writer, wish.customer, sealed=True)
        while True:
            others = await once_related(self.writer, tree) - tree.keys()
            erased = await self.writer.keyring.erased(others)
            left = sorted(each for each, erase in erased.items() if erase == wish.erase)
            if not left:
                return tree
            for each in left:
                tree |= await tree_of(self.writer, each, sealed=True)

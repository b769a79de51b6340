"""What limits a batch, read anew: the policy, ledgers, shared addresses, and where branches are.

What the policy does not ask for is not read: without caps there are no ledgers, and only broadcasts
ask who shares an address.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from zoneinfo import ZoneInfo

from services.notify.channels.doors import Door
from services.notify.domain.ledger import LEDGER, Ledger, ledger_stream
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.books.policies import PolicyBook
from services.notify.handlers.books.suppression import suppressed
from services.notify.handlers.deciding.choosing import SERVICE, Limits, Zones
from services.notify.projections import QueuedMessage, Recipient
from shared.events.campaign import AnyBroadcast

MOST_DUPLICATES = 50_000

SharedAddresses = Callable[[Collection[str]], Awaitable[set[str]]]
BranchZones = Callable[[], Awaitable[Mapping[str, str]]]


async def nowhere() -> Mapping[str, str]:
    """No branch is anywhere."""
    return {}


@dataclass(slots=True)
class Limiting:
    """Reads the limits of a batch; `branches` gives the zones of branches, `zone` is the chain's.

    It remembers the messages whose address turned out to have got their broadcast.
    """

    policies: PolicyBook
    doors: Mapping[str, Door]
    branches: BranchZones = nowhere
    zone: tzinfo = field(default_factory=lambda: ZoneInfo("UTC"))
    duplicates: set[str] = field(default_factory=set)

    async def capped(self) -> bool:
        """Whether there are caps, so that the order of a customer's messages matters."""
        return bool((await self.policies.fresh()).caps)

    def is_duplicate(self, message: str) -> None:
        """Note that the address of a message has got its broadcast."""
        if len(self.duplicates) >= MOST_DUPLICATES:
            # Forgotten, they are found out again by the claim.
            self.duplicates.clear()
        self.duplicates.add(message)

    async def of(
        self,
        campaigns: Mapping[str, Entry],
        found: Sequence[QueuedMessage],
        recipients: Mapping[str, Recipient],
        shared: SharedAddresses,
    ) -> Limits:
        """The limits of these messages. Raises `StoreUnavailable`."""
        policy = await self.policies.fresh()
        return Limits(
            self.doors,
            policy,
            Zones(self.zone, await self.branches() if policy.quiet else {}),
            await self._ledgers(campaigns, found) if policy.caps else {},
            shared=await self._shared(campaigns, found, recipients, shared),
            duplicates=self.duplicates,
            suppressed=await suppressed(
                self.policies.writer.store,
                {each.hash for recipient in recipients.values() for each in recipient.contacts},
            ),
        )

    async def _ledgers(
        self, campaigns: Mapping[str, Entry], found: Sequence[QueuedMessage]
    ) -> dict[str, Ledger]:
        customers = {
            message.customer
            for message in found
            if (entry := campaigns.get(message.campaign)) is not None
            and entry.campaign.definition is not None
            and entry.campaign.definition.purpose != SERVICE
        }
        names = {ledger_stream(customer): customer for customer in sorted(customers)}
        histories = await self.policies.writer.histories(list(names)) if names else {}
        return {names[name]: LEDGER.fold(events) for name, (events, _) in histories.items()}

    async def _shared(
        self,
        campaigns: Mapping[str, Entry],
        found: Sequence[QueuedMessage],
        recipients: Mapping[str, Recipient],
        shared: SharedAddresses,
    ) -> set[str]:
        hashes = {
            contact.hash
            for message in found
            if (entry := campaigns.get(message.campaign)) is not None
            and entry.campaign.definition is not None
            and isinstance(entry.campaign.definition.trigger, AnyBroadcast)
            and (recipient := recipients.get(message.customer)) is not None
            for contact in recipient.contacts
        }
        return await shared(hashes) if hashes else set()

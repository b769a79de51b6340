"""Generations of profiles on the real servers."""

from dataclasses import dataclass

from services.segment.consumers.rebuilding import BATCH, Unhurried
from services.segment.engine.profile import Profile
from shared.mongo import MongoDocuments, MongoParking
from shared.process import Kernel
from shared.projection import Projection
from shared.projector import Projector


@dataclass(frozen=True, slots=True)
class KernelGenerations:
    """Implements `Generations` on what a service stands on."""

    kernel: Kernel

    def documents(self, name: str) -> MongoDocuments:
        """The documents of a generation."""
        return MongoDocuments(self.kernel.database, name)

    async def projector(self, projection: Projection[Profile]) -> Projector:
        """What folds a generation."""
        kernel = self.kernel
        await kernel.prepare(projection)
        parking = MongoParking(kernel.database, projection.name)
        folder = Unhurried(projection, self.documents(projection.name), parking, kernel.keyring)
        return Projector(folder, kernel.kafka, kernel.service, max_records=BATCH)

    async def drop(self, name: str) -> None:
        """Let go of a generation; what it has parked is parked by the live profiles, too."""
        await self.documents(name).drop()
        parking = MongoParking(self.kernel.database, name)
        await parking.release(await parking.parked(range(self.kernel.settings.partitions)))

"""Runs projections: batches in, one guarded write per document, offsets after it.

`Folder` does a batch and knows no Kafka; `SteppedFolder` is its second shape, which also appends;
`Projector` is the loop over a consumer; `Errands` are what a stepped one does beside its batches,
`Histories` those of them that concern imports.
"""

from shared.projector.errands import Errands
from shared.projector.folder import Folder, ParkingFull
from shared.projector.loop import Projector
from shared.projector.stepped import SteppedFolder

__all__ = ["Errands", "Folder", "ParkingFull", "Projector", "SteppedFolder"]

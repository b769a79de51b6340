"""Imports of facts from files: from an upload to a job, and back."""

from services.interaction.handlers.importing.columns import SHAPES, FactReading
from services.interaction.handlers.importing.drafts import FactFiles
from services.interaction.handlers.importing.reverting import Reverting
from services.interaction.handlers.importing.running import DryRun, FactImport
from services.interaction.handlers.importing.source import Source

__all__ = [
    "SHAPES",
    "DryRun",
    "FactFiles",
    "FactImport",
    "FactReading",
    "Reverting",
    "Source",
]

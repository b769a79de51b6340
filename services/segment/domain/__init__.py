"""Decisions of the segment service: one file for each kind of stream. Pure."""

from services.segment.domain.brake import Brake
from services.segment.domain.definitions import (
    ArchiveSegment,
    Command,
    DefineSegment,
    HoldWave,
    Release,
    RestoreDefinition,
    SettleTrial,
    TakeBack,
    rule_of,
    segment_stream,
    segments,
)
from services.segment.domain.references import References
from services.segment.domain.segment import Segment, Toll, Version, Wave, evolve
from services.segment.domain.standing import rule_set

__all__ = [
    "ArchiveSegment",
    "Brake",
    "Command",
    "DefineSegment",
    "HoldWave",
    "References",
    "Release",
    "RestoreDefinition",
    "Segment",
    "SettleTrial",
    "TakeBack",
    "Toll",
    "Version",
    "Wave",
    "evolve",
    "rule_of",
    "rule_set",
    "segment_stream",
    "segments",
]

"""Decisions of the segment service: one file for each kind of stream. Pure."""

from services.segment.domain.definitions import (
    ArchiveSegment,
    Command,
    DefineSegment,
    Segment,
    evolve,
    rule_set,
    segment_stream,
    segments,
)

__all__ = [
    "ArchiveSegment",
    "Command",
    "DefineSegment",
    "Segment",
    "evolve",
    "rule_set",
    "segment_stream",
    "segments",
]

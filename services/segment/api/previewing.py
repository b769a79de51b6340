"""HTTP of previews: what a rule that is not saved would give, told while it is being counted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from services.segment.api.access import Reader, whole_chain
from services.segment.api.speaking import Accepted, Language, Speech
from services.segment.domain import rule_of
from services.segment.engine.previewing import Preview, month_starts, preview_at
from services.segment.queries.definitions import Definitions
from services.segment.queries.profiles import Profiles
from services.segment.queries.rules import PresentRules
from services.segment.rules.language.tree import Rule
from services.segment.rules.sentences.tree import describe
from shared.clock import Clock
from shared.decider import not_found
from shared.events.contract import show_moment

LINES = "application/x-ndjson"
SLICE = 250
AT_ONCE = 2
"""Previews that are counted at the same time; others wait for their turn."""


class PreviewInput(BaseModel):
    """A rule that is not saved, and the segments to put beside it."""

    model_config = ConfigDict(extra="forbid")

    rule: dict[str, Any]
    beside: list[str] = Field(default_factory=list, max_length=20, description="names of segments")


class OverlapView(BaseModel):
    """How the rule's members and a segment's overlap."""

    segment: str
    members: int
    both: int


class CountView(BaseModel):
    """Members at a moment of the past, by what is known now."""

    at: str
    members: int


class PreviewView(BaseModel):
    """One line of the answer: what has been counted so far, exact in the last line."""

    sentence: str
    exact: bool = Field(description="everybody has been looked at")
    done: int = Field(description="customers looked at")
    of: int
    at: str
    count: int
    sample: list[str] = Field(description="ids of some members, each as likely as any other")
    overlaps: list[OverlapView]
    months: list[CountView] = Field(description="at the beginnings of the last twelve months")


@dataclass(frozen=True, slots=True)
class PreviewApi:
    """The endpoint, on what it needs; `zone` is the chain's."""

    definitions: Definitions
    profiles: Profiles
    rules: PresentRules
    speech: Speech
    clock: Clock
    horizon: timedelta
    zone: tzinfo
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        router.add_api_route(
            "/segments/preview",
            self.preview,
            methods=["POST"],
            response_class=StreamingResponse,
            responses={200: {"model": PreviewView, "content": {LINES: {}}}},
        )
        return router

    async def preview(
        self,
        body: PreviewInput,
        calling: Reader,
        language: Language = None,
        accepted: Accepted = "",
    ) -> StreamingResponse:
        """A line of JSON now and again while customers are counted; the last one is exact."""
        whole_chain(calling)
        rule = rule_of(body.rule, self.horizon, self.clock.now())
        await self.rules.require_named(rule)
        known = {each.name for each in await self.definitions.all()}
        for name in body.beside:
            if name not in known:
                raise not_found("segment", name)
        sentence = describe(rule, self.speech.wording(language, accepted))
        return StreamingResponse(self._lines(rule, sentence, body.beside), media_type=LINES)

    async def _lines(self, rule: Rule, sentence: str, beside: list[str]) -> AsyncIterator[str]:
        now = self.clock.now()
        preview = preview_at(rule, now, self.zone, beside, await self.rules.get())
        done, of = 0, await self.profiles.estimate()
        yield self._line(preview, sentence, now, done, of)
        async with self.turns:
            async for profiles in self.profiles.ranges(None, SLICE):
                # A slice at a time, so that others are answered meanwhile.
                await asyncio.to_thread(preview.take, profiles)
                done += len(profiles)
                yield self._line(preview, sentence, now, done, max(of, done))
        yield self._line(preview, sentence, now, done, done, exact=True)

    def _line(
        self,
        preview: Preview,
        sentence: str,
        now: datetime,
        done: int,
        of: int,
        *,
        exact: bool = False,
    ) -> str:
        view = PreviewView(
            sentence=sentence,
            exact=exact,
            done=done,
            of=of,
            at=show_moment(now),
            count=preview.count,
            sample=preview.sample,
            overlaps=[
                OverlapView(segment=name, members=overlap.members, both=overlap.both)
                for name, overlap in preview.overlaps.items()
            ],
            months=[
                CountView(at=show_moment(start), members=members)
                for start, members in zip(
                    month_starts(now, self.zone), preview.counts[:-1], strict=True
                )
            ],
        )
        return view.model_dump_json() + "\n"

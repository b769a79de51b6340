"""HTTP of the ready segments: rules to begin with, said in words."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.segment.api.access import Reader, whole_chain
from services.segment.api.speaking import Accepted, Language, Speech
from services.segment.rules.reading import parse_rule
from services.segment.rules.ready import READY
from services.segment.rules.sentences.tree import describe


class ReadyView(BaseModel):
    """A ready segment: define one of this rule to have it."""

    name: str = Field(description="a name that it may be given")
    title: str
    sentence: str = Field(description="the rule in words")
    rule: dict[str, Any]


class ReadyList(BaseModel):
    """All ready segments."""

    items: list[ReadyView]


@dataclass(frozen=True, slots=True)
class ReadyApi:
    """The endpoint, on what it needs."""

    speech: Speech

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        router.add_api_route("/ready-segments", self.all, methods=["GET"])
        return router

    async def all(
        self,
        calling: Reader,
        response: Response,
        language: Language = None,
        accepted: Accepted = "",
    ) -> ReadyList:
        """Rules that most chains begin with."""
        whole_chain(calling)
        wording = self.speech.wording(language, accepted)
        response.headers["Content-Language"] = wording.language
        return ReadyList(
            items=[
                ReadyView(
                    name=each.name,
                    title=wording.text(each.title),
                    sentence=describe(parse_rule(dict(each.rule)), wording),
                    rule=dict(each.rule),
                )
                for each in READY
            ]
        )

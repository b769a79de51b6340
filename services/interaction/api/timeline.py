"""The timeline out: everything of every service that concerns a person, in words for people."""

from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, Literal

from babel.dates import get_timezone
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from services.interaction.domain.timeline import KINDS, Group, kind_name
from services.interaction.projections.timeline import TimelineEntry
from services.interaction.queries.sentences import sentence_of
from services.interaction.queries.timeline import Asked, Timeline
from services.interaction.queries.trees import Tree, Trees
from shared.access import Kind, Permission, Principal, Scope, scope
from shared.clock import to_milliseconds
from shared.decider import Refused, invalid, not_found
from shared.events.contract import Moment
from shared.http import Cursor, MinVersion, Page, principal, until
from shared.http.pages import page_of, position_of
from shared.wording import Languages, Wording

LARGEST_PAGE = 200
At = Annotated[AwareDatetime, AfterValidator(to_milliseconds)]
Reader = Annotated[Principal, Depends(principal(Permission.FACTS_READ))]

NEEDED = {
    Group.PROFILE: Permission.CUSTOMERS_READ,
    Group.CONSENT: Permission.CUSTOMERS_READ,
    Group.NOTE: Permission.CUSTOMERS_READ,
    Group.IDENTITY: Permission.CUSTOMERS_READ,
    Group.DEAL: Permission.DEALS_READ,
    Group.SEGMENT: Permission.SEGMENTS_READ,
    Group.MESSAGE: Permission.CAMPAIGNS_READ,
}
"""What is needed to see a group, beside the facts."""

OF_THE_WHOLE_CHAIN = frozenset({Group.SEGMENT, Group.MESSAGE})
"""What callers of some branches see nothing of anywhere."""


class EntryView(BaseModel):
    """An entry."""

    id: str = Field(description="for ever; of a fact the same wherever it is")
    kind: str = Field(description="the type of its event without the version")
    group: Group
    time: Moment = Field(description="when it happened")
    recorded_time: Moment
    customer: str = Field(description="whose record it is in, of those who were merged")
    branch: str | None
    channel: str | None
    sentence: str
    text: str | None = Field(description="what somebody wrote; absent once the person was erased")
    amount_minor: int | None
    source: str = Field(description="the path of the API that leads to what it is about")


class TimelinePage(Page[EntryView]):
    """Entries, newest first."""

    customer: str = Field(description="who answers: the survivor of merges")
    language: str


class Telling(BaseModel):
    """How entries are told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: Literal["en", "ru"] | None = Field(
        default=None, description="else what `Accept-Language` likes best"
    )
    zone: str | None = Field(
        default=None, max_length=100, description="IANA name; of moments in sentences"
    )


class Wishes(Telling):
    """Which entries, and how they are told."""

    kind: list[str] = Field(default=[], max_length=50, description="as in the entries; repeated")
    group: list[Group] = Field(default=[], max_length=50, description="repeated")
    branch: str | None = Field(default=None, min_length=1, max_length=100)
    channel: str | None = Field(default=None, min_length=1, max_length=200)
    since: At | None = Field(default=None, description="included")
    until: At | None = Field(default=None, description="not included")
    min_version: MinVersion = None
    cursor: Cursor = None
    limit: int = Field(default=50, ge=1, le=LARGEST_PAGE)


Accepted = Annotated[str, Header(alias="accept-language", max_length=1_000)]


@dataclass(frozen=True, slots=True)
class TimelineApi:
    """The endpoints, on what it needs; `currency` and `zone` are the chain's."""

    trees: Trees
    timeline: Timeline
    languages: Languages
    currency: str | None
    zone: tzinfo

    def router(self) -> APIRouter:
        """The routes `/v1/customers/{customer}/timeline` and `/v1/facts/{fact}`."""
        router = APIRouter(prefix="/v1", tags=["timeline"])
        router.add_api_route("/customers/{customer}/timeline", self.read, methods=["GET"])
        router.add_api_route("/facts/{fact}", self.fact, methods=["GET"])
        return router

    async def read(
        self,
        customer: str,
        calling: Reader,
        response: Response,
        wishes: Annotated[Wishes, Query()],
        accepted: Accepted = "",
    ) -> TimelinePage:
        """What happened with a customer, those who were merged into them included."""
        narrow = scope(calling, Kind.FACT)
        asked = _asked(wishes, calling, narrow)
        wording = self._wording(wishes, accepted)
        tree = await self._tree(customer, narrow)
        if (version := wishes.min_version) is not None:
            await until(lambda: self.timeline.has(tree.living, version))
        found = await self.timeline.page(
            tree, asked, narrow, position_of(wishes.cursor, str), wishes.limit + 1
        )
        page = page_of(found, wishes.limit, lambda entry: entry.place)
        # Caches may keep a key for some seconds after it was destroyed.
        texts = {} if tree.erased else await self.timeline.texts(page.items)
        response.headers["Content-Language"] = wording.language
        return TimelinePage(
            items=[_view(entry, texts.get(entry.id), wording) for entry in page.items],
            next_cursor=page.next_cursor,
            customer=tree.living,
            language=wording.language,
        )

    async def fact(
        self,
        fact: str,
        calling: Reader,
        response: Response,
        telling: Annotated[Telling, Query()],
        accepted: Accepted = "",
    ) -> EntryView:
        """One fact, whosever it is by now."""
        entry = await self.timeline.fact(fact)
        if entry is None:
            raise not_found("fact", fact)
        scope(calling, Kind.FACT).require(entry.branch or None)
        wording = self._wording(telling, accepted)
        tree = await self.trees.of(entry.customer) if entry.sealed else None
        erased = tree is not None and tree.erased
        texts = {} if erased else await self.timeline.texts([entry])
        response.headers["Content-Language"] = wording.language
        return _view(entry, texts.get(entry.id), wording)

    def _wording(self, telling: Telling, accepted: str) -> Wording:
        language = telling.language or self.languages.accepted(accepted)
        zone = self.zone if telling.zone is None else _zone(telling.zone)
        return self.languages.wording(language, self.currency, zone)

    async def _tree(self, customer: str, narrow: Scope) -> Tree:
        tree = await self.trees.of(customer)
        if tree is None:
            raise not_found("customer", customer)
        if tree.erased and not narrow.everything:
            raise Refused("erased", 410, "The customer was erased.")
        return tree


def _asked(wishes: Wishes, calling: Principal, narrow: Scope) -> Asked:
    """What is asked for, within what the caller may see. Raises `Refused` (403, 422)."""
    if wishes.branch is not None:
        narrow.require(wishes.branch)
    groups = frozenset(
        group
        for group in Group
        if calling.may(NEEDED.get(group, Permission.FACTS_READ))
        and (narrow.everything or group not in OF_THE_WHOLE_CHAIN)
    )
    if wishes.group:
        groups &= frozenset(wishes.group)
    types = None
    if wishes.kind:
        wanted = frozenset(wishes.kind)
        if unknown := wanted - {kind_name(name) for name in KINDS}:
            raise invalid("kind", f"there is none like {min(unknown)}")
        types = frozenset(name for name in KINDS if kind_name(name) in wanted)
        groups &= frozenset(KINDS[name].group for name in types)
    return Asked(groups, types, wishes.branch, wishes.channel, wishes.since, wishes.until)


def _zone(name: str) -> tzinfo:
    try:
        return get_timezone(name)
    except (LookupError, ValueError) as error:
        raise invalid("zone", "should be an IANA name, like Europe/Moscow") from error


def _view(entry: TimelineEntry, text: str | None, wording: Wording) -> EntryView:
    return EntryView(
        id=entry.id,
        kind=kind_name(entry.type),
        group=Group(entry.group),
        time=entry.time,
        recorded_time=entry.recorded,
        customer=entry.customer,
        branch=entry.branch or None,
        channel=entry.channel or None,
        sentence=sentence_of(entry.type, entry.said, wording),
        text=text,
        amount_minor=entry.amount,
        source=entry.source,
    )

"""Links of messages as they are followed, read and answered: without a key, without a script."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest
from limits import RateLimitItem, RateLimitItemPerMinute

import services.notify
from services.notify.api.link_pages import masked_contact
from services.notify.api.link_words import CHANNELS, TOPICS, WORDS, topic_of
from services.notify.api.links import PER_ADDRESS, PER_LINK, PIXEL, LinkApi
from services.notify.channels import Channel, Outgoing
from services.notify.channels.doors import doors_of
from services.notify.content import Link, LinkKind, LinkTokens
from services.notify.content.links import LIFETIME
from services.notify.domain import Stage
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.campaigns.requests import Request, define, stop
from services.notify.handlers.letters.writing import Stationery
from services.notify.handlers.returns.choices import Choices
from services.notify.handlers.returns.links import Links
from services.notify.projections import Contact
from services.notify.queries import Recipients
from shared.access import Authenticator
from shared.decider import NewEvent
from shared.envelope import Envelope, decode
from shared.events.campaign import Template
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    CustomerChanged,
    Evidence,
    Identifier,
    IdentifierAdded,
)
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.notification import MessageScheduled, MessageSending
from shared.events.single import MessageWritten
from shared.eventstore import Append, Commit, EventStore, StoreUnavailable
from shared.floods import Floods
from shared.http import build_app
from shared.memory import MemoryApiKeys
from shared.testing import InterceptedStore, client_of
from shared.testing.collections import MemoryQuestions
from shared.testing.facts import tell
from shared.wording import Languages
from tests.unit.test_notify_dispatcher import CAMPAIGN, DEFINED, GIVEN, NOW, SECRET, Desk

SITE = "https://shop.example"
TOKENS = LinkTokens(SECRET)
LANGUAGES = Languages.read(Path(services.notify.__file__).parent / "locales")
TARGET = "https://shop.example/coats?size=m"
PAGE = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ customer.name }}</mj-text>"
    f'<mj-button href="{TARGET}">Coats</mj-button></mj-column></mj-section></mj-body></mjml>'
)
WITH_LINKS = DEFINED.model_copy(
    update={
        "template": Template(
            subject="Coats", text=f"See {TARGET} or leave: {{{{ links.unsubscribe }}}}", mjml=PAGE
        )
    }
)


async def _ready() -> dict[str, Any]:
    return {}


class Away(InterceptedStore):
    """A store that takes nothing any more, or answers no more, once it is said so."""

    away = False
    full = False

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        if self.away:
            raise StoreUnavailable
        return await super().read(streams)

    async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
        if self.away or self.full:
            raise StoreUnavailable
        return await super().append(appends)


@dataclass(slots=True)
class Post:
    """A message that has arrived, and the pages behind its links."""

    desk: Desk
    client: httpx2.AsyncClient
    mail: Outgoing
    store: Away

    def token(self, kind: LinkKind, number: int = 0) -> str:
        link = Link(kind, self.mail.id, 1, number)
        return TOKENS.issue(link, self.desk.clock.system_now())

    async def get(self, kind: LinkKind, **more: Any) -> httpx2.Response:  # noqa: ANN401 - of httpx
        return await self.client.get(f"/m/{self.token(kind)}", **more)

    async def post(self, kind: LinkKind, data: Any = None, **more: Any) -> httpx2.Response:  # noqa: ANN401 - of httpx
        return await self.client.post(f"/m/{self.token(kind)}", data=data, **more)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The data of events of the kinds, in their order."""
        return [_data(each) for each in self._log() if each.type in kinds]

    def said(self) -> list[tuple[str, str, str]]:
        """What was decided: yes or no, topic, channel."""
        return [
            (each.type.split(".")[1], _data(each)["topic"], _data(each)["channel"])
            for each in self._log()
            if each.type.startswith("preference.")
        ]

    def _log(self) -> list[Envelope]:
        return [decode(text) for commit in self.desk.store.commits for text in commit.events]


def _data(envelope: Envelope) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.json.decode(envelope.data)
    return data


@asynccontextmanager
async def arrived(
    *events: EventData,
    per_link: RateLimitItem = PER_LINK,
    language: str | None = None,
) -> AsyncIterator[Post]:
    """A mail that anna has got, and the pages."""
    desk = await Desk.opened(definition=WITH_LINKS)
    more = [CustomerChanged(language=language)] if language else []
    await desk.customer("anna", GIVEN, *more, *events)
    await desk.schedule("anna")
    desk.know_all()
    stationery = Stationery(TOKENS, SITE)
    await (await desk.dispatcher(stationery=stationery)).step()
    (mail,) = desk.channel.taken
    intercepted = Away(desk.store)
    links = links_of(desk, intercepted)
    app = build_app(
        title="test",
        service="notify",
        routers=[LinkApi(links, LANGUAGES, Floods(SECRET, PER_ADDRESS, per_link)).router()],
        authenticator=Authenticator(MemoryApiKeys(), SECRET),
        readiness=_ready,
    )
    async with client_of(app, "") as client:
        del client.headers["Authorization"]
        yield Post(desk, client, mail, intercepted)


def links_of(desk: Desk, store: EventStore) -> Links:
    people = Recipients(MemoryQuestions(desk.people), MemoryQuestions(desk.parked))
    doors = doors_of(cast("Mapping[str, Channel]", {"email": desk.channel, "sms": desk.channel}))
    return Links(desk.writer(store), CampaignBook(store), TOKENS, people, Choices(doors))


class Body(HTMLParser):
    """What a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def form(self) -> list[tuple[str, str]]:
        """What the browser sends if nothing is touched, but for buttons."""
        return [
            (str(each["name"]), str(each["value"]))
            for each in self.all("input")
            if each.get("type") == "hidden" or "checked" in each
        ]


# --- Following and reading -----------------------------------------------------------------------


async def test_links_of_a_mail_lead_here_and_on_to_where_the_definition_leads() -> None:
    async with arrived() as post:
        tracked = re.findall(r"https://shop\.example/m/[\w-]{46}", post.mail.text)
        assert len(tracked) == 2
        assert post.mail.unsubscribe is not None
        answer = await post.client.get(tracked[0].removeprefix(SITE))
        assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert post.events("message.clicked.v1") == [
            {"message": post.mail.id, "campaign": CAMPAIGN, "link": TARGET}
        ]
        # Each time anew, in the same second as well.
        await post.client.get(tracked[0].removeprefix(SITE))
        assert len(post.events("message.clicked.v1")) == 2


async def test_the_click_belongs_to_the_customer_and_follows_from_the_message() -> None:
    async with arrived() as post:
        await post.get(LinkKind.CLICK)
        click = decode(post.desk.store.commits[-1].events[0])
        assert (click.subject, click.stream) == ("anna", f"message-{post.mail.id}")
        sending = next(
            each
            for commit in post.desk.store.commits
            for each in map(decode, commit.events)
            if each.type == "message.sending.v1"
        )
        assert (click.causationid, click.causedepth) == (sending.id, sending.causedepth + 1)


async def test_where_the_definition_has_changed_a_link_leads_where_it_led() -> None:
    async with arrived() as post:
        await stop(post.desk.writer(), Request("stop", "stop", NOW), CAMPAIGN)
        changed = WITH_LINKS.model_copy(
            update={"template": Template(subject="x", text="https://elsewhere.example")}
        )
        await define(post.desk.writer(), Request("d2", "d2", NOW), changed, lambda _version: None)
        answer = await post.get(LinkKind.CLICK)
        assert answer.headers["location"] == TARGET


async def test_a_link_without_a_target_leads_nowhere() -> None:
    async with arrived() as post:
        for link in (
            Link(LinkKind.CLICK, post.mail.id, 1, 9),
            Link(LinkKind.CLICK, "0193d2c5-1c5b-5c1e-9b5c-0193d2c51c5b", 1),
        ):
            token = TOKENS.issue(link, post.desk.clock.system_now())
            answer = await post.client.get(f"/m/{token}?url=https://evil.example")
            assert answer.status_code == 404
            assert "location" not in answer.headers
        assert post.events("message.clicked.v1") == []


async def test_an_open_is_one_pixel_and_is_noted_each_time() -> None:
    async with arrived() as post:
        assert re.search(r'src="https://shop\.example/m/[\w-]{46}"', str(post.mail.html))
        for number in (1, 2):
            answer = await post.get(LinkKind.OPEN)
            assert answer.content == PIXEL
            assert answer.headers["content-type"] == "image/gif"
            opened = {"message": post.mail.id, "campaign": CAMPAIGN, "channel": "email"}
            assert post.events("message.opened.v1") == [opened] * number


@pytest.mark.parametrize("kind", [LinkKind.CLICK, LinkKind.OPEN])
async def test_who_only_looks_ahead_leaves_no_trace(kind: LinkKind) -> None:
    async with arrived() as post:
        before = len(post.desk.store.commits)
        head = await post.client.head(f"/m/{post.token(kind)}")
        ahead = await post.get(kind, headers={"Sec-Purpose": "prefetch;prerender"})
        expected = 302 if kind is LinkKind.CLICK else 200
        assert (head.status_code, ahead.status_code) == (expected, expected)
        assert len(post.desk.store.commits) == before


async def test_a_click_leads_on_though_it_cannot_be_recorded() -> None:
    async with arrived() as post:
        post.store.full = True
        answer = await post.get(LinkKind.CLICK)
        assert answer.headers["location"] == TARGET
        post.store.away = True
        # It was followed here before: that is remembered.
        assert (await post.get(LinkKind.CLICK)).status_code == 302
        assert (await post.get(LinkKind.OPEN)).content == PIXEL
        away = await post.client.get(f"/m/{post.token(LinkKind.CLICK, 1)}")
        assert (away.status_code, away.headers["retry-after"]) == (503, "5")
        assert "try again" in away.text
        assert post.events("message.clicked.v1", "message.opened.v1") == []


async def test_who_comes_too_often_is_led_on_and_not_recorded() -> None:
    async with arrived(per_link=RateLimitItemPerMinute(2)) as post:
        answers = [await post.get(LinkKind.CLICK) for _ in range(4)]
        assert {each.status_code for each in answers} == {302}
        assert len(post.events("message.clicked.v1")) == 2


async def test_what_opens_a_message_without_end_is_no_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Scheduled, sending and sent are three commits, and then it was opened twice.
    monkeypatch.setattr("services.notify.handlers.returns.links.MOST_TRACES", 5)
    async with arrived() as post:
        for _ in range(4):
            assert (await post.get(LinkKind.OPEN)).content == PIXEL
        assert len(post.events("message.opened.v1")) == 2


# --- Unsubscribing --------------------------------------------------------------------------------


async def test_looking_at_the_way_out_changes_nothing() -> None:
    async with arrived() as post:
        answer = await post.get(LinkKind.UNSUBSCRIBE)
        assert answer.status_code == 200
        assert post.said() == []
        body = Body(answer.text)
        (button,) = body.all("button")
        (form,) = body.all("form")
        assert form == {"method": "post", "action": "?lang=en"}
        assert "name" not in button
        # Whose it is is said as its owner knows it again.
        assert "a•••@x.example" in unescape(answer.text)
        assert "anna@" not in answer.text
        assert "Anna" not in answer.text


@pytest.mark.parametrize(
    ("sent", "source"),
    [
        ({"data": {"List-Unsubscribe": "One-Click"}}, "one-click"),
        ({"files": {"List-Unsubscribe": (None, "One-Click")}}, "one-click"),
        ({"data": {}}, "message-link"),
        ({"content": b""}, "message-link"),
    ],
)
async def test_a_post_withdraws_at_once_whoever_sends_it(sent: Any, source: str) -> None:  # noqa: ANN401 - of httpx
    async with arrived() as post:
        assert post.mail.unsubscribe is not None
        answer = await post.client.post(post.mail.unsubscribe.removeprefix(SITE), **sent)
        assert answer.status_code == 200
        (word,) = post.events("preference.withdrawn.v1")
        assert word == {
            "customer": "anna",
            "topic": "marketing",
            "channel": "email",
            "source": source,
            "contact": "h-anna",
            "message": post.mail.id,
            "wording": "messages-2",
        }
        # The next message is kept back though nothing was heard of it by way of Kafka.
        await post.desk.schedule("anna", version=2)
        await (await post.desk.dispatcher()).step()
        assert len(post.desk.channel.taken) == 1
        assert sorted(await post.desk.stages()) == [Stage.SENT, Stage.SUPPRESSED]
        assert "withdrawn" in await post.desk.reasons()


async def test_each_time_it_is_said_it_is_recorded() -> None:
    async with arrived() as post:
        for _ in range(2):
            await post.post(LinkKind.UNSUBSCRIBE)
        assert post.said() == [("withdrawn", "marketing", "email")] * 2


async def test_who_was_merged_speaks_for_whom_they_are_now() -> None:
    async with arrived() as post:
        await post.desk.customer("boris", GIVEN)
        await post.desk.customer("anna", CustomerMerged(merge="m", survivor="boris"))
        await post.post(LinkKind.UNSUBSCRIBE)
        (word,) = post.events("preference.withdrawn.v1")
        assert word["customer"] == "boris"
        assert post.desk.store.commits[-1].stream == "preferences-boris"


async def test_of_who_was_erased_nothing_is_kept() -> None:
    async with arrived() as post:
        await post.desk.customer("anna", CustomerErased(erase="e", reason="request"))
        for answer in (await post.get(LinkKind.UNSUBSCRIBE), await post.post(LinkKind.UNSUBSCRIBE)):
            assert answer.status_code == 410
        assert post.said() == []


async def test_who_is_not_read_yet_can_leave_all_the_same() -> None:
    async with arrived() as post:
        await post.desk.people.drop()
        assert (await post.post(LinkKind.UNSUBSCRIBE)).status_code == 200
        assert post.said() == [("withdrawn", "marketing", "email")]


async def test_who_is_not_read_yet_ends_by_nothing_at_all_what_the_message_was_about() -> None:
    async with arrived() as post:
        await post.desk.people.drop()
        assert (await post.post(LinkKind.PREFERENCES, {"nothing": "all"})).status_code == 200
        assert post.said() == [("withdrawn", "marketing", "email")]


async def test_nothing_is_said_to_have_worked_while_the_store_is_away() -> None:
    async with arrived() as post:
        post.store.full = True
        answer = await post.post(LinkKind.UNSUBSCRIBE)
        assert answer.status_code == 503
        assert "nothing was changed" in answer.text


async def test_what_an_employee_wrote_has_a_way_out_of_its_own_topic() -> None:
    async with arrived() as post:
        message = "0193d2c5-1c5b-5c1e-9b5c-0193d2c51c5b"
        told: dict[str, Any] = {"message": message, "campaign": "letter-1", "channel": "email"}
        events = [
            MessageScheduled(**told, occurrence="1"),
            MessageWritten(**told, topic="service-news", purpose="advertising"),
            MessageSending(message=message, campaign="letter-1", contact="h-anna", attempt="a"),
        ]
        await tell(
            post.desk.writer(),
            f"message-{message}",
            "anna",
            [NewEvent(each, NOW) for each in events],
        )
        token = TOKENS.issue(Link(LinkKind.UNSUBSCRIBE, message, 0), NOW)
        assert (await post.client.post(f"/m/{token}")).status_code == 200
        assert post.said() == [("withdrawn", "service-news", "email")]


async def test_what_was_never_handed_over_has_no_links() -> None:
    async with arrived() as post:
        message = "0193d2c5-1c5b-5c1e-9b5c-0193d2c51c5c"
        told: dict[str, Any] = {"message": message, "campaign": CAMPAIGN, "channel": "email"}
        scheduled = MessageScheduled(**told, occurrence="1")
        await tell(post.desk.writer(), f"message-{message}", "anna", [NewEvent(scheduled, NOW)])
        token = TOKENS.issue(Link(LinkKind.UNSUBSCRIBE, message, 1), NOW)
        assert (await post.client.post(f"/m/{token}")).status_code == 404
        assert post.said() == []


# --- Choosing -------------------------------------------------------------------------------------


async def test_the_page_shows_topics_by_channels_as_they_stand() -> None:
    loyalty = ConsentGiven(topic="loyalty", channel="sms", evidence=Evidence(source="till"))
    async with arrived(loyalty) as post:
        answer = await post.get(LinkKind.PREFERENCES)
        body = Body(answer.text)
        ticks = [each for each in body.all("input") if each["type"] == "checkbox"]
        # By SMS nobody reaches anna: it is shown where she has spoken of it.
        assert [(each["value"], "checked" in each) for each in ticks] == [
            ("loyalty|email", False),
            ("loyalty|sms", True),
            ("marketing|email", True),
        ]
        labels = {each["for"] for each in body.all("label")}
        assert labels == {each["id"] for each in ticks}
        assert post.said() == []


async def test_what_was_changed_on_the_page_is_recorded_and_nothing_else() -> None:
    loyalty = ConsentGiven(topic="loyalty", channel="sms", evidence=Evidence(source="till"))
    async with arrived(loyalty) as post:
        body = Body((await post.get(LinkKind.PREFERENCES)).text)
        same = [f"{name}={value}" for name, value in body.form()]
        kind = {"Content-Type": "application/x-www-form-urlencoded"}

        async def send(pairs: Sequence[str]) -> httpx2.Response:
            content = "&".join(pairs).replace("|", "%7C")
            return await post.post(LinkKind.PREFERENCES, content=content, headers=kind)

        assert (await send(same)).status_code == 200
        assert post.said() == []
        changed = [each for each in same if each != "yes=marketing|email"] + ["yes=loyalty|email"]
        answer = await send(changed)
        assert post.said() == [
            ("given", "loyalty", "email"),
            ("withdrawn", "marketing", "email"),
        ]
        (given,) = post.events("preference.given.v1")
        assert (given["contact"], given["source"]) == ("h-anna", "message-page")
        # It is shown as it was said.
        ticked = [value for name, value in Body(answer.text).form() if name == "yes"]
        assert ticked == ["loyalty|email", "loyalty|sms"]
        assert "Saved" in answer.text


async def test_nothing_can_be_asked_for_that_is_not_on_the_page() -> None:
    async with arrived() as post:
        data = {"yes": ["secret|email", "marketing|webhook", "marketing", "|"]}
        assert (await post.post(LinkKind.PREFERENCES, data)).status_code == 200
        assert post.said() == []


async def test_who_can_be_reached_in_several_ways_says_which_one_is_liked_best() -> None:
    phone = Identifier(kind="phone", hash="h-phone", value="+4930123456", epoch=1)
    async with arrived(IdentifierAdded(identifier=phone)) as post:
        body = Body((await post.get(LinkKind.PREFERENCES)).text)
        assert [(each["value"], "selected" in each) for each in body.all("option")] == [
            ("", True),
            ("email", False),
            ("sms", False),
        ]
        assert {each["id"] for each in body.all("select")} <= {
            each["for"] for each in body.all("label")
        }
        for wish in ("", "messenger", "nothing"):
            await post.post(LinkKind.PREFERENCES, {"rather": wish})
        answer = await post.post(LinkKind.PREFERENCES, {"rather": "sms"})
        (chosen,) = post.events("preference.channel_chosen.v1")
        assert (chosen["customer"], chosen["channel"], chosen["source"]) == (
            "anna",
            "sms",
            "message-page",
        )
        options = Body(answer.text).all("option")
        assert [(each["value"], "selected" in each) for each in options] == [
            ("email", False),
            ("sms", True),
        ]


async def test_where_there_is_one_way_there_is_nothing_to_prefer() -> None:
    async with arrived(CustomerChanged(preferred_channel="sms")) as post:
        assert Body((await post.get(LinkKind.PREFERENCES)).text).all("select") == []
        await post.post(LinkKind.PREFERENCES, {"rather": "sms"})
        assert post.said() == []


async def test_one_button_ends_everything() -> None:
    loyalty = ConsentGiven(topic="loyalty", channel="sms", evidence=Evidence(source="till"))
    async with arrived(loyalty) as post:
        answer = await post.post(LinkKind.PREFERENCES, {"nothing": "all", "yes": "marketing|email"})
        assert set(post.said()) == {
            ("withdrawn", "loyalty", "email"),
            ("withdrawn", "loyalty", "sms"),
            ("withdrawn", "marketing", "email"),
        }
        assert Body(answer.text).form() == []


async def test_the_end_of_everything_does_not_depend_on_how_much_there_is() -> None:
    many = [
        ConsentGiven(topic=f"topic-{number}", channel="email", evidence=Evidence(source="till"))
        for number in range(120)
    ]
    async with arrived(*many) as post:
        page = (await post.get(LinkKind.PREFERENCES)).text
        # What stands on the page is in another form: this one sends the end of everything alone.
        (form,) = (each for each in re.findall("<form.*?</form>", page) if 'name="nothing"' in each)
        assert "<input" not in form


# --- Pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LinkKind.UNSUBSCRIBE, LinkKind.PREFERENCES])
async def test_a_page_runs_and_loads_nothing(kind: LinkKind) -> None:
    async with arrived() as post:
        answer = await post.get(kind)
        names = {tag for tag, _ in Body(answer.text).tags}
        assert not names & {"script", "img", "link", "iframe", "object", "svg"}
        assert " on" not in " ".join(
            f" {name}" for _, attrs in Body(answer.text).tags for name in attrs if name[:2] == "on"
        )
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "width=device-width" in answer.text


@pytest.mark.parametrize(
    ("own", "query", "accepted", "expected"),
    [
        ("ru", "", "en", "ru"),
        ("ru-RU", "", "en", "ru"),
        ("en", "", "ru", "en"),
        ("de", "", "ru,en;q=0.5", "ru"),
        (None, "", "ru", "ru"),
        (None, "", "", "en"),
        ("ru", "?lang=en", "ru", "en"),
        ("ru", "?lang=xx", "en", "ru"),
    ],
)
async def test_a_page_is_in_the_readers_own_language(
    own: str | None, query: str, accepted: str, expected: str
) -> None:
    async with arrived(language=own) as post:
        path = f"/m/{post.token(LinkKind.UNSUBSCRIBE)}{query}"
        answer = await post.client.get(path, headers={"Accept-Language": accepted})
        assert f'<html lang="{expected}">' in answer.text
        assert ("Отписаться" in answer.text) == (expected == "ru")


async def test_a_broken_or_old_link_is_a_calm_page() -> None:
    async with arrived() as post:
        for method in ("GET", "POST"):
            answer = await post.client.request(method, "/m/nonsense")
            assert answer.status_code == 404
            assert answer.headers["content-type"].startswith("text/html")
            assert "does not work" in answer.text
        token = post.token(LinkKind.UNSUBSCRIBE)
        post.desk.clock.advance(LIFETIME + timedelta(days=2))
        answer = await post.client.post(f"/m/{token}", headers={"Accept-Language": "ru"})
        assert answer.status_code == 410
        assert "срок её действия истёк" in answer.text
        assert post.said() == []


async def test_only_decisions_are_taken() -> None:
    async with arrived() as post:
        for kind in (LinkKind.CLICK, LinkKind.OPEN):
            assert (await post.post(kind)).status_code == 405
        answer = await post.post(LinkKind.PREFERENCES, content=b"{}")
        assert answer.status_code == 415
        large = await post.post(LinkKind.UNSUBSCRIBE, content=b"x" * 40_000)
        assert large.status_code == 413
        assert post.said() == []


async def test_who_asks_too_often_is_told_to_wait() -> None:
    async with arrived(per_link=RateLimitItemPerMinute(1)) as post:
        assert (await post.get(LinkKind.PREFERENCES)).status_code == 200
        assert (await post.get(LinkKind.PREFERENCES)).status_code == 429


def test_every_word_of_the_pages_is_there_in_russian() -> None:
    russian = LANGUAGES.wording("ru")
    assert all(russian.text(each) != each for each in WORDS.values())
    assert all(russian.word("channel", each) != each for each in CHANNELS.values())
    assert all(russian.word("topic", each) != each for each in TOPICS.values())
    assert topic_of("store-news_2", russian) == "Store news 2"


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        (Contact("email", "h", "anna@x.example"), "a•••@x.example"),
        (Contact("email", "h", "an@x.example"), "•••@x.example"),
        (Contact("phone", "h", "+70000000042"), "•••42"),
        (Contact("push", "h", "fcm:key-of-a-device"), None),
        (Contact("email", "h", None), None),
    ],
)
def test_a_contact_is_shown_as_its_owner_knows_it_again(
    contact: Contact, expected: str | None
) -> None:
    assert masked_contact(contact) == expected

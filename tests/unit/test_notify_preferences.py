"""A no by a link counts from the moment at which it is recorded, whoever is behind."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from services.notify.channels import Accepted, Outgoing, Receipt
from services.notify.domain import Stage
from services.notify.domain.preference import (
    PREFERENCE,
    PREFIX,
    Preferences,
    Say,
    Word,
    preferences_stream,
)
from services.notify.handlers.recipients.preferences import Heard, heeding
from services.notify.projections import Recipient
from services.notify.queries import Recipients
from shared.envelope import Causation
from shared.events.customer import Channel, Evidence
from shared.events.preferences import PreferenceGiven, PreferenceWithdrawn
from shared.eventstore import Append, EventStore, Head, StoreUnavailable
from shared.execute import Command
from shared.testing import DAY, InterceptedStore, given
from shared.testing.collections import MemoryQuestions
from tests.unit.test_notify_dispatcher import DEFINED, GIVEN, NOW, Desk

HOUR = timedelta(hours=1)


def no(topic: str = "marketing", channel: Channel = "email") -> PreferenceWithdrawn:
    return PreferenceWithdrawn(customer="anna", topic=topic, channel=channel, source="message-link")


def yes(topic: str = "marketing", channel: Channel = "email") -> PreferenceGiven:
    return PreferenceGiven(customer="anna", topic=topic, channel=channel, source="message-page")


# --- The words ----------------------------------------------------------------------------------


def test_each_word_is_recorded_also_where_it_stands_already() -> None:
    say = Say((no(), no("loyalty", "sms")), DAY)
    given(PREFERENCE).when(say).then(list(say.words))
    given(PREFERENCE, [no()]).when(Say((no(),), DAY)).then([no()])


def heard(*words: tuple[Word, datetime]) -> Preferences:
    said = Preferences()
    for word, at in words:
        said = said.heard(word, at)
    return said


@pytest.mark.parametrize(
    ("said", "agreed", "refused"),
    [
        (heard(), DAY, False),
        (heard((no(), DAY)), DAY - HOUR, True),
        # Of one moment nobody can tell which was first: then it is the no that counts.
        (heard((no(), DAY)), DAY, True),
        (heard((no(), DAY)), DAY + HOUR, False),
        (heard((no(), DAY)), None, True),
        (heard((no("loyalty"), DAY), (no("marketing", "sms"), DAY)), DAY - HOUR, False),
        # Who agrees again gets nothing by what was agreed before: only the new consent counts.
        (heard((no(), DAY), (yes(), DAY + HOUR)), DAY - HOUR, True),
        (heard((no(), DAY), (yes(), DAY)), DAY, False),
        (heard((yes(), DAY)), DAY - HOUR, False),
        # A clock that was put back takes no withdrawal back.
        (heard((no(), DAY), (no(), DAY - HOUR)), DAY, True),
    ],
)
def test_a_withdrawal_takes_each_consent_that_is_not_younger(
    said: Preferences,
    agreed: datetime | None,
    refused: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert said.refused("marketing", "email", agreed) is refused


def test_of_records_that_were_merged_the_later_refusal_counts() -> None:
    ours, theirs = heard((no(), DAY)), heard((no(), DAY + HOUR), (no("loyalty"), DAY))
    for joined in (ours.joined(theirs), theirs.joined(ours)):
        assert joined.refused("marketing", "email", DAY + HOUR)
        assert joined.refused("loyalty", "email", DAY)


def test_a_recipient_that_heeds_it_has_the_other_consents_still() -> None:
    anna = Recipient(
        id="anna",
        consents={
            "marketing|email|": True,
            "marketing|email|h-new": True,
            "marketing|sms|": True,
            "marketing|push|": False,
        },
        agreed={
            "marketing|email|": DAY - HOUR,
            "marketing|email|h-new": DAY + HOUR,
            "marketing|sms|": DAY - HOUR,
        },
    )
    after = heeding(anna, heard((no(), DAY), (no("marketing", "push"), DAY)))
    assert after.consents == {
        "marketing|email|h-new": True,
        "marketing|sms|": True,
        "marketing|push|": False,
    }
    assert after.withdrawals == {"marketing|email": DAY}
    # What was read is not changed, and what nothing follows for is not copied.
    assert len(anna.consents) == 4
    assert heeding(anna, heard((no("loyalty"), DAY))) is anna


# --- The dispatcher -----------------------------------------------------------------------------


async def say(desk: Desk, word: Word, store: EventStore | None = None) -> None:
    stream = preferences_stream(word.customer)
    number = len(desk.store.commits)
    command = Command(
        id=f"say|{number}",
        hash="",
        stream=stream,
        key=word.customer,
        body=Say((word,), desk.clock.now()),
        causation=Causation("c"),
        subject=word.customer,
    )
    await desk.writer(store).one(PREFERENCE, command)


async def test_who_said_no_gets_nothing_though_no_reader_has_heard_of_it() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await say(desk, no())
    # Nothing of the customer service has been read since, nor ever will be: it is final all the
    # same, since no reader can know better.
    desk.reached = NOW - timedelta(days=1)
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    assert desk.channel.taken == []
    assert (await desk.stages(), await desk.reasons()) == ([Stage.SUPPRESSED], ["withdrawn"])


async def test_a_no_to_another_topic_or_channel_keeps_nothing_back() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await say(desk, no("loyalty"))
    await say(desk, no("marketing", "sms"))
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SENT]


async def test_service_messages_need_no_consent_that_could_be_withdrawn() -> None:
    desk = await Desk.opened(definition=DEFINED.model_copy(update={"purpose": "service"}))
    await desk.customer("anna")
    await desk.schedule("anna")
    desk.know_all()
    await say(desk, no())
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SENT]


async def test_a_consent_that_was_given_later_counts_again() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await say(desk, no())
    desk.clock.advance(HOUR)
    # As from a till that knows when it was said, and then as from one that does not.
    early = Evidence(source="till", at=NOW - HOUR)
    await desk.customer("anna", GIVEN.model_copy(update={"evidence": early}))
    await desk.schedule("anna", version=1)
    desk.know_all()
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    assert await desk.stages() == [Stage.SUPPRESSED]
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna", version=2)
    desk.know_all()
    await dispatcher.step()
    assert sorted(await desk.stages()) == [Stage.SENT, Stage.SUPPRESSED]


async def test_another_channel_that_stands_is_taken_only_once_everything_is_read() -> None:
    desk = await Desk.opened(definition=DEFINED.model_copy(update={"fallback": ("sms",)}))
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    await say(desk, no())
    desk.reached = desk.clock.moment - HOUR
    dispatcher = await desk.dispatcher()
    await dispatcher.step()
    # A consent to SMS may lie unread: that is missing, and not there.
    assert await desk.stages() == [Stage.SCHEDULED]


async def test_a_no_between_the_decision_and_the_hand_over_is_in_time() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.customer("boris", GIVEN)
    await desk.schedule("anna", "boris")
    desk.know_all()
    words: list[Word] = [no()]

    async def interrupt(_appends: Sequence[Append]) -> None:
        if words:
            await say(desk, words.pop())

    await (await desk.dispatcher(InterceptedStore(desk.store, after=interrupt))).step()
    # `sending` was recorded, then the no: nothing is handed over to anna, and boris has his.
    assert [each.address for each in desk.channel.taken] == ["boris@x.example"]
    assert await desk.stages() == [Stage.SCHEDULED, Stage.SENT]
    await (await desk.dispatcher()).step()
    assert await desk.stages() == [Stage.SUPPRESSED, Stage.SENT]
    assert (await desk.reasons())[0] == "withdrawn"


class Blind(InterceptedStore):
    """Cannot say whether anybody has said something since."""

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        if any(each.startswith(PREFIX) for each in streams):
            raise StoreUnavailable
        return await super().heads(streams)


async def test_without_the_last_look_nothing_is_handed_over() -> None:
    desk = await Desk.opened()
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await (await desk.dispatcher(Blind(desk.store))).step()
    assert desk.channel.taken == []
    # It is known that nothing went out: it is tried again.
    assert await desk.stages() == [Stage.SCHEDULED]


async def test_a_slow_batch_looks_again_before_the_next_hand_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.notify.handlers.recipients.preferences.OLDEST_SECONDS", -1.0)
    desk = await Desk.opened()
    for name in ("boris", "anna"):
        await desk.customer(name, GIVEN)
    await desk.schedule("boris")
    desk.clock.advance(timedelta(seconds=1))
    await desk.schedule("anna")
    desk.know_all()

    async def slow(_message: Outgoing) -> Receipt:
        await say(desk, no())
        return Accepted()

    desk.channel.answer, desk.channel.at_once = slow, 1
    await (await desk.dispatcher()).step()
    assert [each.address for each in desk.channel.taken] == ["boris@x.example"]


async def absorb(desk: Desk, *merges: tuple[str, str]) -> Recipients:
    """Read models in which each of the first has absorbed the second."""
    for survivor, other in merges:
        raw = (await desk.people.load([survivor])).get(survivor, {"_id": survivor, "versions": {}})
        absorbed = [*raw.get("absorbed", ()), {"other": other, "at": NOW}]
        await desk.people.write([{**raw, "rev": raw.get("rev", 0) + 1, "absorbed": absorbed}])
    return Recipients(MemoryQuestions(desk.people), MemoryQuestions(desk.parked))


async def test_what_was_said_by_records_that_were_merged_counts_for_the_survivor() -> None:
    desk = await Desk.opened()
    await say(desk, no())
    heard_of = Heard(desk.store)
    # Anna is boris, who is clara; nobody else is dora.
    everybody = await absorb(desk, ("boris", "anna"), ("clara", "boris"))
    people = {**await everybody.load(["clara"]), "dora": Recipient(id="dora")}
    said = await heard_of.with_merged(everybody, people, await heard_of.of(people))
    assert said.keys() == {"clara"}
    assert said["clara"].refused("marketing", "email", NOW)
    # Of boris it is known that he has said nothing so far.
    streams = {preferences_stream("anna"): 1, preferences_stream("boris"): 0}
    assert said["clara"].versions == streams


async def test_two_who_seem_to_have_absorbed_each_other_are_looked_at_once() -> None:
    desk = await Desk.opened()
    everybody = await absorb(desk, ("boris", "anna"), ("anna", "boris"))
    people = await everybody.load(["anna"])
    async with asyncio.timeout(5):
        said = await Heard(desk.store).with_merged(everybody, people, {})
    assert said["anna"].versions == {preferences_stream("boris"): 0}


async def test_a_no_by_a_link_of_a_merged_record_after_the_decision_is_in_time() -> None:
    desk = await Desk.opened()
    await desk.customer("boris", GIVEN)
    await absorb(desk, ("boris", "anna"))
    await desk.schedule("boris")
    desk.know_all()
    words: list[Word] = [no()]

    async def interrupt(_appends: Sequence[Append]) -> None:
        if words:
            # Where anna's link is opened nobody has read of the merge yet: it is hers.
            await say(desk, words.pop())

    await (await desk.dispatcher(InterceptedStore(desk.store, after=interrupt))).step()
    assert words == []
    assert desk.channel.taken == []
    await (await desk.dispatcher()).step()
    assert (await desk.stages(), await desk.reasons()) == ([Stage.SUPPRESSED], ["withdrawn"])

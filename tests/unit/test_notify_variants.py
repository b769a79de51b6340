"""Variants: who gets which, what it says, and where its links lead."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.notify.channels import Accepted, Outgoing, Receipt
from services.notify.content import Link, LinkKind, LinkTokens
from services.notify.domain import Campaign, is_held_out
from services.notify.domain.definition import checked
from services.notify.domain.measuring import attribution_days, variant_of
from services.notify.handlers.books.campaigns import Entry, Version
from services.notify.handlers.letters.writing import Stationery, check, first_link, target_of
from shared.decider import Refused
from shared.envelope import decode
from shared.events.campaign import CampaignDefined
from tests.unit.test_notify_dispatcher import CAMPAIGN, GIVEN, SECRET, Desk

NOW = datetime(2018, 1, 2, tzinfo=UTC)
WORDS = {"subject": "A", "text": "https://one.example https://two.example"}
OTHERS = {"subject": "B", "text": "https://three.example https://one.example"}
VARIANTS = [
    {"name": "a", "weight": 1, "template": WORDS},
    {"name": "b", "weight": 3, "template": OTHERS},
]
PEOPLE = [f"customer-{number}" for number in range(20_000)]


def _defined(**more: object) -> CampaignDefined:
    return CampaignDefined.model_validate(
        {
            "campaign": CAMPAIGN,
            "title": "Which words",
            "trigger": {"kind": "on_entering", "segment": "lapsed"},
            "channel": "email",
            "topic": "marketing",
            "template": WORDS,
            "variants": VARIANTS,
            "start": NOW,
            "holdout_percent": 0,
            **more,
        }
    )


def _name(definition: CampaignDefined, customer: str) -> str:
    variant = variant_of(SECRET, definition, customer)
    assert variant is not None
    return variant.name


def test_customers_are_shared_out_by_weight_and_keep_their_variant() -> None:
    definition = _defined()
    drawn = [_name(definition, each) for each in PEOPLE]
    # A quarter of 20,000 is 5,000; four standard deviations are 4 √(20,000 × ¼ × ¾) = 245.
    assert abs(drawn.count("a") - 5_000) < 245
    assert drawn == [_name(_defined(title="Other"), each) for each in PEOPLE]
    assert variant_of(SECRET, _defined(variants=None), "anna") is None


def test_another_campaign_draws_anew_and_who_is_held_out_has_no_say() -> None:
    definition, other = _defined(), _defined(campaign="another")
    firsts = [each for each in PEOPLE if _name(definition, each) == "a"]
    # Of about 5,000 again a quarter: 1,250, and 4 √(5,000 × ¼ × ¾) = 122.
    assert abs(sum(_name(other, each) == "a" for each in firsts) - len(firsts) / 4) < 125
    held = [each for each in PEOPLE if is_held_out(SECRET, each, 50)]
    # Of about 10,000 a quarter: 4 √(10,000 × ¼ × ¾) = 173.
    assert abs(sum(_name(definition, each) == "a" for each in held) - len(held) / 4) < 175


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"variants": VARIANTS[:1]}, "variants"),
        ({"variants": VARIANTS * 6}, "variants"),
        ({"variants": [*VARIANTS, VARIANTS[0]]}, "variants.2.name"),
        ({"variants": [VARIANTS[0], VARIANTS[1] | {"name": "B!"}]}, "variants.1.name"),
        ({"variants": [VARIANTS[0], VARIANTS[1] | {"name": "b" * 31}]}, "variants.1.name"),
        ({"variants": [VARIANTS[0], VARIANTS[1] | {"weight": 1_001}]}, "variants.1.weight"),
        ({"template": OTHERS}, "template"),
        ({"attribution_days": 91}, "attribution_days"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as caught:
        checked(_defined(**change))
    assert [error.field for error in caught.value.errors] == [field]


def test_a_receipt_counts_for_a_week_unless_said_otherwise() -> None:
    assert attribution_days(_defined()) == 7
    assert attribution_days(checked(_defined(attribution_days=90))) == 90


def test_the_words_of_each_variant_are_looked_at_at_their_place() -> None:
    bad = VARIANTS[1] | {"template": {"subject": "B", "text": "{{ customer.shoe }}"}}
    with pytest.raises(Refused) as caught:
        check(_defined(variants=[VARIANTS[0], bad]))
    assert [error.field for error in caught.value.errors] == ["variants.1.template.text"]
    # An SMS holds 160 letters, of several 153 each: eleven are 1,531 letters or more.
    long = VARIANTS[1] | {"template": {"subject": "B", "text": "b" * 1_531}}
    check(_defined(variants=[VARIANTS[0], long]))
    with pytest.raises(Refused) as caught:
        check(_defined(variants=[VARIANTS[0], long], channel="sms"))
    assert [error.field for error in caught.value.errors] == ["variants.1.template.text"]


def test_all_variants_together_have_as_many_links_as_a_token_can_number() -> None:
    def half(name: str, count: int) -> dict[str, Any]:
        links = " ".join(f"https://{name}.example/{number}" for number in range(count))
        return {"name": name, "weight": 1, "template": {"subject": "s", "text": links}}

    def both(*halves: dict[str, Any]) -> CampaignDefined:
        return _defined(template=halves[0]["template"], variants=halves)

    check(both(half("a", 125), half("b", 125)))
    with pytest.raises(Refused) as caught:
        check(both(half("a", 125), half("b", 126)))
    assert [error.field for error in caught.value.errors] == ["variants"]


def test_a_link_leads_where_that_of_its_variant_did() -> None:
    definition = _defined()
    entry = Entry(CAMPAIGN, Campaign(), None, (Version(1, NOW, definition),))
    message = "0193d2c5-1c5b-5c1e-9b5c-0193d2c51c5b"
    tokens = LinkTokens(SECRET)
    stationery = Stationery(tokens, "https://chain.example")

    def leads(variant: str, number: int) -> str | None:
        links = stationery.links(message, 1, NOW, first_link(definition, variant))
        assert links is not None
        token = links.tracked(number).removeprefix("https://chain.example/m/")
        return target_of(entry, tokens.read(token, NOW))

    assert [leads("a", 0), leads("a", 1)] == ["https://one.example", "https://two.example"]
    assert [leads("b", 0), leads("b", 1)] == ["https://three.example", "https://one.example"]
    assert target_of(entry, Link(LinkKind.CLICK, message, 1, 4)) is None


async def test_each_customer_is_sent_the_words_of_their_variant_and_the_log_says_which() -> None:
    said: dict[str, str] = {}

    async def note(outgoing: Outgoing) -> Receipt:
        said[outgoing.address] = outgoing.subject
        return Accepted("r")

    definition = _defined(attribution_days=14)
    desk = await Desk.opened(note, definition=definition)
    people = [f"c{number}" for number in range(12)]
    for each in people:
        await desk.customer(each, GIVEN)
    await desk.schedule(*people)
    desk.know_all()
    await (await desk.dispatcher()).step()
    expected = {f"{each}@x.example": _name(definition, each).upper() for each in people}
    assert said == expected
    assert set(said.values()) == {"A", "B"}
    written = [decode(event) for commit in desk.store.commits for event in commit.events]
    sending = {each.subject: each.data for each in written if each.type == "message.sending.v1"}
    assert len(sending) == len(people)
    for customer, data in sending.items():
        assert f'"variant":"{_name(definition, customer or "")}"'.encode() in bytes(data)
        assert b'"attribution_days":14' in bytes(data)


async def test_who_is_held_out_has_no_variant_and_a_window_all_the_same() -> None:
    definition = _defined(holdout_percent=100, attribution_days=3)
    desk = await Desk.opened(definition=definition)
    await desk.customer("anna", GIVEN)
    await desk.schedule("anna")
    desk.know_all()
    await (await desk.dispatcher()).step()
    (held,) = [
        bytes(decode(event).data)
        for commit in desk.store.commits
        for event in commit.events
        if decode(event).type == "message.held_out.v1"
    ]
    assert b'"attribution_days":3' in held
    assert b"variant" not in held
    assert desk.clock.moment - NOW < timedelta(minutes=1)

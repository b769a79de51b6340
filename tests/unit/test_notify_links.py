"""Links of messages: signed, short, of one kind, for a time, and nobody else's way anywhere."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.content.links import LIFETIME, Link, LinkKind, LinkTokens, Signed
from shared.decider import Refused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGE = "0193d2c5-1c5b-5c1e-9b5c-0193d2c51c5b"
TOKENS = LinkTokens(b"s" * 32)
CLICK = Link(LinkKind.CLICK, MESSAGE, version=7, number=3)


def _refusal(text: str, at: datetime = NOW, tokens: LinkTokens = TOKENS) -> str:
    with pytest.raises(Refused) as caught:
        tokens.read(text, at)
    return caught.value.type


@pytest.mark.parametrize("kind", LinkKind)
def test_what_is_signed_is_read_again(kind: LinkKind) -> None:
    link = Link(kind, MESSAGE, version=2**32 - 1, number=255)
    token = TOKENS.issue(link, NOW)
    assert TOKENS.read(token, NOW) == link
    # 24 bytes of what is said and 10 of the signature: 34, of which base64 makes 46 letters.
    assert len(token) == 46


def test_a_link_ends() -> None:
    token = TOKENS.issue(CLICK, NOW)
    assert TOKENS.read(token, NOW + LIFETIME) == CLICK
    # The last day is the one after, to its end.
    assert TOKENS.read(token, NOW + LIFETIME + timedelta(days=1)) == CLICK
    assert _refusal(token, NOW + LIFETIME + timedelta(days=2)) == "link-expired"


def test_nothing_of_another_chain_is_read() -> None:
    assert _refusal(TOKENS.issue(CLICK, NOW), tokens=LinkTokens(b"t" * 32)) == "link-invalid"


def test_no_bit_can_be_changed() -> None:
    token = TOKENS.issue(CLICK, NOW)
    raw = base64.urlsafe_b64decode(token + "==")
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        text = base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode()
        assert _refusal(text) == "link-invalid"


def test_a_token_is_written_in_one_way() -> None:
    token = TOKENS.issue(CLICK, NOW)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 34 bytes are 272 bits, 46 letters 276: four bits of the last letter say nothing.
    last = alphabet.index(token[-1])
    for other in {last ^ bits for bits in range(1, 16)}:
        assert _refusal(token[:-1] + alphabet[other]) == "link-invalid"
    assert _refusal(token + "==") == "link-invalid"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_what_is_no_token_is_refused(text: str) -> None:
    assert _refusal(text) == "link-invalid"


def test_a_message_has_links_of_its_own_that_say_nothing_of_the_customer() -> None:
    signed = Signed(TOKENS, "https://shop.example", MESSAGE, 7, NOW)
    own = signed.own()
    assert set(own) == {"unsubscribe", "preferences", "pixel"}
    read = {
        name: TOKENS.read(address.removeprefix("https://shop.example/m/"), NOW)
        for name, address in own.items()
    }
    assert read["unsubscribe"] == Link(LinkKind.UNSUBSCRIBE, MESSAGE, 7)
    assert read["preferences"] == Link(LinkKind.PREFERENCES, MESSAGE, 7)
    assert read["pixel"] == Link(LinkKind.OPEN, MESSAGE, 7)
    clicked = TOKENS.read(signed.tracked(3).removeprefix("https://shop.example/m/"), NOW)
    assert clicked == CLICK
    assert "sss" not in repr(TOKENS)

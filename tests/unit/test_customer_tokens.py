"""Signed tokens: ours, for one purpose, for a while."""

from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from services.customer.handlers.tokens import Tokens, derived_key
from shared.decider import Refused
from shared.testing import DAY

TOKENS = Tokens(bytes(32))
HOUR = timedelta(hours=1)


def refused(text: str, tokens: Tokens = TOKENS, later: timedelta = timedelta(0)) -> str:
    with pytest.raises(Refused) as why:
        tokens.read("preferences", text, DAY + later)
    assert why.value.status == 401
    return why.value.type


def test_a_token_says_whom_it_is_about_until_it_ends() -> None:
    text = TOKENS.issue("preferences", "anna", DAY, HOUR)
    token = TOKENS.read("preferences", text, DAY + HOUR - timedelta(milliseconds=1))
    assert (token.subject, token.issued) == ("anna", DAY)
    assert refused(text, later=HOUR) == "token-expired"


def test_what_is_of_another_purpose_chain_or_hand_is_refused() -> None:
    text = TOKENS.issue("preferences", "anna", DAY, HOUR)
    assert refused(TOKENS.issue("form", "anna", DAY, HOUR)) == "token-invalid"
    assert refused(text, Tokens(bytes([1] * 32))) == "token-invalid"
    head, body, signature = text.split(".")
    other = TOKENS.issue("preferences", "boris", DAY, HOUR).split(".")[1]
    assert refused(f"{head}.{other}.{signature}") == "token-invalid"
    assert refused(f"{head}.{body}.") == "token-invalid"
    unsigned = "eyJhbGciOiJub25lIn0"
    assert refused(f"{unsigned}.{body}.") == "token-invalid"
    critical = "eyJhbGciOiJIUzI1NiIsImNyaXQiOjF9"
    assert refused(f"{critical}.{body}.{signature}") == "token-invalid"
    for nonsense in ("", "a", "a.b.c", "я", "x" * 3_000):
        assert refused(nonsense) == "token-invalid"


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "anna"},
        {"sub": 1, "purpose": "preferences", "jti": "1", "iat": 0, "exp": 9e9},
        {"sub": "anna", "purpose": "form", "jti": "1", "iat": 0, "exp": 9e9},
        {"sub": "anna", "purpose": "preferences", "jti": "1", "iat": 0, "exp": "never"},
    ],
)
def test_a_token_that_says_too_little_is_refused(claims: dict[str, object]) -> None:
    key = OctKey.import_key(derived_key(bytes(32), "preferences"))
    assert refused(jwt.encode({"alg": "HS256"}, claims, key)) == "token-invalid"

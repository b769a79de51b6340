"""One normal form per kind: however a value is written, it is the same claim."""

import pytest

from shared.decider import Refused
from shared.events.customer import IdentifierKind
from shared.identifiers import IdentifierRules

RULES = IdentifierRules(b"secret", "RU")


@pytest.mark.parametrize(
    ("kind", "one", "other", "normal"),
    [
        ("phone", "8 (999) 000-00-01", "+79990000001", "+79990000001"),
        ("email", "Anna@Example.COM", " anna@example.com", "anna@example.com"),
        ("card", "a-1 b", "A1B", "A1B"),
        ("external", " 17", "17", "17"),
        ("messenger", "Telegram: @Anna", "telegram:anna", "telegram:anna"),
        ("social", "VK:anna", "vk: Anna ", "vk:anna"),
        ("messenger", "whatsapp:4930123456", "WhatsApp: +49 30 123456", "whatsapp:+4930123456"),
        ("messenger", "telegram: 42", "Telegram:42", "telegram:42"),
        ("push", "FCM: dGhpcw:APA91b_-x", "fcm:dGhpcw:APA91b_-x", "fcm:dGhpcw:APA91b_-x"),
        (
            "push",
            'webpush: {"endpoint":"https://push.example/a","x":1,"keys":{"auth":"c2Vj","p256dh":"BA-_"}}',
            'webpush:{"keys":{"auth":"c2Vj","p256dh":"BA-_"},"endpoint":"https://push.example/a"}',
            'webpush:{"endpoint":"https://push.example/a","keys":{"auth":"c2Vj","p256dh":"BA-_"}}',
        ),
    ],
)
def test_ways_to_write_a_value_are_one_identifier(
    kind: IdentifierKind, one: str, other: str, normal: str
) -> None:
    first, second = RULES.known(kind, one, "value"), RULES.known(kind, other, "value")
    assert first == second
    assert first.value == normal


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phone", "12"),
        ("phone", "letters"),
        ("email", "anna"),
        ("card", "№ 1"),
        ("external", " "),
        ("messenger", "anna"),
        ("messenger", ":anna"),
        ("social", "vk:@"),
        ("external", "x" * 201),
        ("messenger", "whatsapp:anna"),
        ("push", "dGhpcw"),
        ("push", "fcm:"),
        ("push", "fcm:two words"),
        ("push", "fcm:" + "x" * 4_093),
        ("push", "webpush:https://push.example/a"),
        ("push", 'webpush:{"endpoint": "https://push.example/a", "keys": {"auth": "c2Vj"}}'),
        ("push", 'webpush:{"endpoint":"http://x.example","keys":{"auth":"a","p256dh":"b"}}'),
        ("push", 'webpush:{"endpoint":"https://x.example","keys":{"auth":"/","p256dh":"b"}}'),
    ],
)
def test_what_is_no_such_identifier_names_its_field(kind: IdentifierKind, value: str) -> None:
    with pytest.raises(Refused) as refused:
        RULES.known(kind, value, "identifiers.0.value")
    assert [error.field for error in refused.value.errors] == ["identifiers.0.value"]
    # What a person wrote is never quoted.
    assert str(refused.value) == "invalid: The input is not valid."


def test_the_letters_of_a_token_count_as_they_are() -> None:
    one, other = (RULES.known("push", f"fcm:{token}", "value") for token in ("aB", "ab"))
    assert one.hash != other.hash
    # 4,096 in all: "fcm:" and 4,092 letters.
    assert RULES.known("push", "fcm:" + "x" * 4_092, "value").value == "fcm:" + "x" * 4_092

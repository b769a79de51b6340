"""In whose name messages go out, and the forms that messengers have approved."""

import pytest

from services.notify.channels import Accepted, Approved, Outgoing, Receipt
from services.notify.content import check
from services.notify.domain.senders import SENDERS, DefineSenders, Senders
from services.notify.handlers.books.senders import SenderBook
from services.notify.settings import is_sender
from shared.decider import Refused
from shared.events.campaign import ApprovedForm, CampaignDefined, Template, Version
from shared.events.customer import AnyChannel, CustomerChanged
from shared.events.sending import Sender, SendersDefined
from shared.testing.specification import given
from tests.unit.test_notify_dispatcher import DEFINED, GIVEN, NOW, Desk
from tests.unit.test_notify_doors import agreed, contact, sent

CHAIN = Sender(channel="email", sender="Shop <shop@shop.example>")
RIGA = Sender(branch="riga", channel="email", sender="riga@shop.example")
TARTU = Sender(branch="tartu", channel="email", sender="tartu@shop.example")


def defined(*senders: Sender) -> SendersDefined:
    return SendersDefined(senders=senders)


def define(*senders: Sender) -> DefineSenders:
    return DefineSenders(defined(*senders), NOW, is_sender)


def test_senders_are_defined_whole_and_the_same_again_changes_nothing() -> None:
    seen: list[int] = []
    given(SENDERS).when(define(CHAIN, RIGA)).then([defined(CHAIN, RIGA)])
    given(SENDERS).when(define()).then_nothing()
    given(SENDERS, [defined(CHAIN)]).when(define(CHAIN)).then_nothing()
    other = DefineSenders(defined(RIGA), NOW, is_sender, seen.append)
    given(SENDERS, [defined(CHAIN)]).when(other).then([defined(RIGA)])
    assert seen == [1]


@pytest.mark.parametrize(
    ("channel", "sender", "wrong"),
    [
        ("email", "no address", "senders.0.sender"),
        ("email", "Shop\nBcc: all <a@b.example>", "senders.0.sender"),
        ("sms", "LONGER THAN ELEVEN", "senders.0.sender"),
        ("sms", "Ж", "senders.0.sender"),
        ("sms", "12", "senders.0.sender"),
        ("push", "Shop", "senders.0.channel"),
    ],
)
def test_what_cannot_be_a_sender_is_named(channel: AnyChannel, sender: str, wrong: str) -> None:
    found = define(Sender(channel=channel, sender=sender))
    given(SENDERS).when(found).then_refused("invalid", wrong)


def test_a_branch_has_one_sender_for_a_channel_and_there_is_an_end_to_them() -> None:
    given(SENDERS).when(define(RIGA, CHAIN, RIGA)).then_refused("invalid", "senders.2")
    many = [Sender(branch=f"b{n}", channel="sms", sender="+371200000") for n in range(2_001)]
    given(SENDERS).when(define(*many)).then_refused("invalid", "senders")


def test_the_branch_goes_before_the_home_of_the_customer_and_that_before_the_chain() -> None:
    senders = SENDERS.fold([defined(CHAIN, RIGA, TARTU)])
    assert senders.of("email", "riga", "tartu") == RIGA.sender
    assert senders.of("email", None, "tartu") == TARTU.sender
    assert senders.of("email", "unknown", None) == CHAIN.sender
    assert senders.of("sms", "riga") is None
    assert Senders().of("email", "riga") is None


@pytest.mark.parametrize(
    ("branch", "home_sender", "sender"),
    [
        (None, None, CHAIN.sender),
        (None, True, TARTU.sender),
        ("riga", True, RIGA.sender),
        ("riga", None, RIGA.sender),
    ],
)
async def test_a_message_goes_out_in_the_name_of_its_branch(
    branch: str | None,
    home_sender: bool | None,  # noqa: FBT001 - a value of the definition
    sender: str,
) -> None:
    said = {"branch": branch, "home_sender": home_sender}
    desk = await Desk.opened(definition=DEFINED.model_copy(update=said))
    book = SenderBook(desk.writer())
    await book.define("senders", defined(CHAIN, RIGA, TARTU), NOW, lambda _version: None)
    assert (await book.now()).version == 1
    await desk.customer("anna", GIVEN, CustomerChanged(home_branch="tartu"))
    await desk.schedule("anna")
    desk.know_all()
    await (await desk.dispatcher()).step()
    assert [message.sender for message in desk.channel.taken] == [sender]


FORM = ApprovedForm(
    name="come_back", language="en", parameters=("{{ customer.name }}", "a\n {{ customer.city }}")
)
WORDS = Version(channel="messenger", text="Come back", approved=FORM)


def approving(version: Version) -> Template:
    return Template(subject="Hello", text="Come back", versions=(version,))


async def test_a_messenger_gets_the_approved_form_with_its_blanks_filled_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    got: list[Outgoing] = []

    async def send(_provider: object, message: Outgoing) -> Receipt:
        got.append(message)
        return Accepted()

    monkeypatch.setattr("tests.unit.test_notify_doors.Provider.send", send)
    definition = DEFINED.model_copy(update={"template": approving(WORDS)})
    monkeypatch.setattr("tests.unit.test_notify_doors.DEFINED", definition)
    told = [contact("messenger", "whatsapp:+4930123456"), agreed("messenger")]
    named = CustomerChanged(name="Anna", city="Riga")
    assert await sent("messenger", named, *told, providers=("whatsapp",)) == ["sent"]
    assert [message.template for message in got] == [
        Approved("come_back", "en", ("Anna", "a Riga"))
    ]
    # A blank that nothing is known for is no hole.
    found = await sent("messenger", *told, providers=("whatsapp",))
    assert found == ["template_error"]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"channel": "email"}, "template.versions.0.approved"),
        (
            {"approved": FORM.model_copy(update={"parameters": ("{{ customer.phone }}",)})},
            "template.versions.0.approved.parameters.0",
        ),
        (
            {"approved": FORM.model_copy(update={"parameters": ("{% if %}",)})},
            "template.versions.0.approved.parameters.0",
        ),
    ],
)
def test_what_is_wrong_with_an_approved_form_is_named(
    change: dict[str, object], wrong: str
) -> None:
    check(approving(WORDS))
    with pytest.raises(Refused) as refused:
        check(approving(WORDS.model_copy(update=change)))
    assert [error.field for error in refused.value.errors] == [wrong]


def test_a_definition_without_senders_of_its_own_says_nothing_of_them() -> None:
    told = CampaignDefined.model_validate(DEFINED.model_dump(exclude_none=True))
    assert (told.home_sender, told.coupon) == (None, None)

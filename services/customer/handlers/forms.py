"""Public forms: asked, sent, proved by a code, and only then looked up.

Whether somebody is known is looked at only once the address was proved, or is said to nobody: until
then every answer is the same for everybody. What looks like a robot is answered like everybody and
comes to nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from services.customer.channels.mail import Mail
from services.customer.domain.filling import Answers, Raw, answers_of
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.form_acceptance import Acceptance, Filled
from services.customer.handlers.form_entries import (
    LIFETIME,
    FormEntries,
    Submission,
    new_code,
)
from services.customer.handlers.tokens import Tokens
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.events.forms import FormDefined
from shared.floods import Floods
from shared.identifiers import IdentifierRules, KnownIdentifier
from shared.ids import new_id
from shared.keyring import keyed_hash

TRAP = "website"
"""An input that people do not see: whoever fills it in is none."""
FASTEST = timedelta(seconds=2)
LONGEST = timedelta(hours=4)
Letter = Callable[[str], tuple[str, str]]
"""From the code to the subject and text of the mail."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What follows from sending a form: a token to confirm by a code with, or nothing more."""

    confirm: str | None = None


@dataclass(frozen=True, slots=True)
class Forms:
    """What the pages of forms stand on; without `mail` no form that needs a code can be sent."""

    book: ConfigurationBook
    acceptance: Acceptance
    entries: FormEntries
    tokens: Tokens
    floods: Floods
    rules: IdentifierRules
    clock: Clock
    mail: Mail | None = None

    async def get(self, name: str) -> FormDefined:
        """A living form. Raises `Refused` (404)."""
        forms = (await self.book.fresh()).forms
        definition = forms.get(name)
        if definition is None or not forms.lives(name):
            kind = "form"
            raise not_found(kind, name)
        return definition

    def token(self, name: str) -> str:
        """The token of a form that is shown now."""
        return self.tokens.issue("form", name, self.clock.system_now(), LONGEST)

    async def send(self, name: str, raw: Raw, address: str, letter: Letter) -> Sent:
        """Take a filled form. Raises `Refused`, which the form shows.

        `address` is where it comes from, `letter` makes the mail with the code.
        """
        await self.floods.pass_one(name, address)
        definition = await self.get(name)
        now = self.clock.system_now()
        token = self.tokens.read("form", _one(raw, "token"), now)
        if token.subject != name:
            raise Refused("token-invalid", 401, "The form is not valid.", "open it again")
        by_code = definition.confirmation == "email"
        if _one(raw, TRAP):
            return Sent(self._confirm_token(new_id()) if by_code else None)
        if now - token.issued < FASTEST:
            raise Refused("too-quick", 422, "That was too quick.", "send it again")
        answers = answers_of(
            definition, await self.book.fresh(), raw, self.rules, self.clock.now().date()
        )
        if by_code and self.mail is None:
            raise Refused("mail-away", 503, "Mail cannot be sent right now.", "try again later")
        await self.entries.use(token.id, now, now + LONGEST)
        code = new_code()
        submission = new_id()
        kept = Submission(submission, name, answers, self.entries.hash_of(submission, code))
        if not by_code:
            await self._accept(kept, definition, confirmed=False)
            return Sent()
        await self._post(kept, code, letter)
        return Sent(self._confirm_token(submission))

    async def confirm(self, name: str, raw: Raw, address: str) -> str | None:
        """Take a code; gives the coupon, if this person gets it now. Raises `Refused`."""
        await self.floods.pass_one(name, address)
        definition = await self.get(name)
        now = self.clock.system_now()
        token = self.tokens.read("form-confirm", _one(raw, "token"), now)
        code = _one(raw, "code").replace(" ", "")
        found = await self.entries.confirmed(token.subject, code, now)
        if found.form != name:
            raise Refused("token-invalid", 401, "The form is not valid.", "open it again")
        return await self._accept(found, definition, confirmed=True)

    async def _post(self, kept: Submission, code: str, letter: Letter) -> None:
        """Mail the code; to a mailbox that gets too many of them, nothing, and nobody is told.

        What was not mailed is not kept either: each code that waits is one more to be guessed.
        """
        email = self._known(kept.answers)[0]
        if email is None or self.mail is None:
            return
        now = self.clock.system_now()
        if await self.entries.may_mail(self._mailbox(email), now):
            await self.entries.keep(kept, now)
            subject, text = letter(code)
            await self.mail.send(kept.id, email.value, subject, text)

    def _mailbox(self, email: KnownIdentifier) -> str:
        """The hash under which mails are counted: one for all of a mailbox's subaddresses.

        Dots, too, mean nothing to large providers; elsewhere two mailboxes share a count.
        """
        local, _, domain = email.value.rpartition("@")
        plain = local.partition("+")[0].replace(".", "")
        return keyed_hash(self.entries.secret, "mailbox", f"{plain}@{domain}")

    async def _accept(
        self, kept: Submission, definition: FormDefined, *, confirmed: bool
    ) -> str | None:
        email, phone = self._known(kept.answers)
        filled = Filled(kept, definition, email, phone, confirmed, self.clock.now())
        return await self.acceptance.accept(filled)

    def _known(self, answers: Answers) -> tuple[KnownIdentifier | None, KnownIdentifier | None]:
        email, phone = answers.email, answers.phone
        return (
            None if email is None else self.rules.known("email", email, "email"),
            None if phone is None else self.rules.known("phone", phone, "phone"),
        )

    def _confirm_token(self, submission: str) -> str:
        return self.tokens.issue("form-confirm", submission, self.clock.system_now(), LIFETIME)


def _one(raw: Raw, name: str) -> str:
    return next(iter(raw.get(name, ())), "")

"""A mail as it is written (RFC 5322): nothing that is said can become a header. Pure."""

from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import urlsplit

from services.notify.channels import Outgoing
from services.notify.settings import ADDRESS, is_sender

DOMAIN = "regulars.invalid"
"""Of Message-IDs: reserved by RFC 2606, so it is nobody's, and never says where it came from."""


def is_written(address: str) -> bool:
    """Whether it can be written as an address."""
    return ADDRESS.fullmatch(address) is not None


def written(sender: str, message: Outgoing) -> EmailMessage:
    """The mail. Raises ValueError for what no header can hold.

    With `unsubscribe` it has the one-click way out of RFC 8058: whoever signs mail (DKIM) has to
    cover both headers. The text comes first, then the richer form: a reader takes the last that it
    understands (RFC 2046, section 5.1.4).
    """
    if not (is_written(message.address) and is_sender(sender)):
        reason = "no address"
        raise ValueError(reason)
    name, address = parseaddr(sender)
    local, _, domain = message.address.rpartition("@")
    plain = message.address.isascii()
    mail = EmailMessage(policy.SMTP if plain else policy.SMTPUTF8)
    mail["From"] = Address(name, addr_spec=address)
    mail["To"] = Address(username=local, domain=domain)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.id}@{DOMAIN}>"
    if message.unsubscribe is not None:
        mail["List-Unsubscribe"] = f"<{_link(message.unsubscribe)}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(message.text, cte="quoted-printable")
    if message.html is not None:
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
    return mail


def _link(url: str) -> str:
    """A URL that can stand between angle brackets. Raises ValueError."""
    parts = urlsplit(url)
    clean = url.isascii() and url.isprintable() and not set(url) & set(" <>")
    if not (clean and parts.scheme in ("https", "http") and parts.hostname):
        reason = "no link"
        raise ValueError(reason)
    return url

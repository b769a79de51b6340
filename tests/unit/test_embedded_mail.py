"""Caught mail is stored once, whole, and shown as text."""

from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path

from deploy.embedded.mail import store
from deploy.embedded.mail_page import PAGE_SIZE, list_page, mail_page

NASTY = "<script>alert(1)</script>"


def caught(folder: Path) -> list[Path]:
    return list(folder.glob("*.eml"))


def mail(identity: str | None = "<a@regulars>", subject: str = "Hello", html: str = "") -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "shop@example.com"
    message["To"] = "household-1@example.com"
    if identity is not None:
        message["Message-ID"] = identity
    message.set_content("We miss you.")
    if html:
        message.add_alternative(html, subtype="html")
    return message.as_bytes()


def put(folder: Path, content: bytes) -> bool:
    return store(folder, content, "shop@example.com", ["household-1@example.com"])


def test_a_mail_is_stored_with_its_envelope(tmp_path: Path) -> None:
    assert put(tmp_path, mail())
    (path,) = caught(tmp_path)
    text = path.read_text()
    assert text.startswith("Return-Path: <shop@example.com>\nDelivered-To: household-1@example.com")
    assert "We miss you." in text


def test_a_repeated_message_id_is_stored_once_and_the_first_stays(tmp_path: Path) -> None:
    assert put(tmp_path, mail(subject="first"))
    assert not put(tmp_path, mail(subject="second"))
    (path,) = caught(tmp_path)
    assert "first" in path.read_text()


def test_of_many_at_the_same_moment_one_is_stored(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda n: put(tmp_path, mail(subject=f"number {n}")), range(40)))
    assert stored.count(True) == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".eml"]  # and no draft


def test_mails_without_message_id_are_all_kept(tmp_path: Path) -> None:
    assert put(tmp_path, mail(identity=None))
    assert put(tmp_path, mail(identity=None))
    assert len(caught(tmp_path)) == 2


def test_the_list_is_newest_first_and_in_pages(tmp_path: Path) -> None:
    for number in range(PAGE_SIZE + 1):
        put(tmp_path, mail(identity=f"<{number}@regulars>", subject=f"mail {number}."))
    first, second = list_page(tmp_path, 1), list_page(tmp_path, 2)
    assert f"mail {PAGE_SIZE}." in first
    assert "mail 0." not in first
    assert "mail 0." in second
    assert '<a href="/?page=2">older</a>' in first
    assert "older" not in second
    assert f"{PAGE_SIZE + 1} caught" in second


def test_an_empty_list_says_so(tmp_path: Path) -> None:
    assert "Nothing was caught yet" in list_page(tmp_path, 1)


def test_nothing_of_a_mail_is_rendered(tmp_path: Path) -> None:
    put(tmp_path, mail(subject=NASTY, html=f"<p>{NASTY}</p>"))
    (path,) = caught(tmp_path)
    for page in (list_page(tmp_path, 1), mail_page(path.stem, path.read_bytes())):
        assert "<script" not in page
        assert "&lt;script&gt;" in page


def test_foreign_letters_are_readable_and_unknown_encodings_do_no_harm(tmp_path: Path) -> None:
    put(tmp_path, mail(identity="<1@x>", subject="Wir vermissen Sie, Jürgen"))
    put(tmp_path, b"Subject: =?klingon?Q?nuqneH?=\r\nMessage-ID: <2@x>\r\n\r\nbody\r\n")
    page = list_page(tmp_path, 1)
    assert "Jürgen" in page
    assert "klingon" in page
    strange = b"Content-Type: text/plain; charset=klingon\r\n\r\nbody\r\n"
    assert "<pre>body" in mail_page("0" * 64, strange)

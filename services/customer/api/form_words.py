"""What the pages of public forms say, in the two languages that they speak."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

FormLanguage = Literal["en", "ru"]

WORDS: Mapping[FormLanguage, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "send": "Send",
            "required": "required",
            "male": "male",
            "female": "female",
            "yes": "yes",
            "leave-empty": "Leave this empty",
            "check": "Please check what is marked.",
            "code-title": "Confirm your address",
            "code-text": "We have sent a code to your e-mail address. Please enter it here.",
            "code": "Code",
            "confirm": "Confirm",
            "done-title": "Thank you",
            "done-text": "We have got everything.",
            "coupon": "Your code",
            "given-before": "This gift was given to you already.",
            "mail-subject": "Your code: {code}",
            "mail-text": "Your code is {code}. It counts for 30 minutes.\n\n"
            "If you did not ask for it, do nothing: nothing happens without it.\n",
            "wrong": "Please check this.",
            "too-many-requests": "Too many requests. Please try again later.",
            "too-quick": "That was very quick. Please send it once more.",
            "sent-already": "This was sent already. Please open the form again.",
            "token-invalid": "Please open the form again.",
            "token-expired": "The form was open for too long. Please send it once more.",
            "code-wrong": "This is not the code. Please look at the mail again.",
            "code-gone": "The code counts no more. Please send the form again.",
            "mail-away": "We cannot send mail right now. Please try again later.",
            "not-found": "There is no such form.",
            "body-too-large": "This is too much.",
            "unreadable": "This cannot be read.",
            "failed": "Something went wrong. Please try again later.",
        },
        "ru": {
            "send": "Отправить",
            "required": "обязательно",
            "male": "мужской",
            "female": "женский",
            "yes": "да",
            "leave-empty": "Оставьте это поле пустым",
            "check": "Проверьте, пожалуйста, отмеченное.",
            "code-title": "Подтвердите адрес",
            "code-text": "Мы отправили код на вашу почту. Введите этот код здесь.",
            "code": "Код",
            "confirm": "Подтвердить",
            "done-title": "Спасибо",
            "done-text": "Мы всё получили.",
            "coupon": "Ваш код",
            "given-before": "Этот подарок вы уже получили.",
            "mail-subject": "Ваш код: {code}",
            "mail-text": "Ваш код: {code}. Он действует 30 минут.\n\n"
            "Если вы не просили код, ничего не делайте: ничего и не произойдёт.\n",
            "wrong": "Проверьте, пожалуйста.",
            "too-many-requests": "Слишком много запросов. Попробуйте позже.",
            "too-quick": "Слишком быстро. Отправьте, пожалуйста, ещё раз.",
            "sent-already": "Это уже отправлено. Откройте форму заново.",
            "token-invalid": "Откройте форму заново.",
            "token-expired": "Форма была открыта слишком долго. Отправьте ещё раз.",
            "code-wrong": "Код не подходит. Посмотрите письмо ещё раз.",
            "code-gone": "Код больше не действует. Отправьте форму заново.",
            "mail-away": "Сейчас письмо не отправить. Попробуйте позже.",
            "not-found": "Такой формы нет.",
            "body-too-large": "Слишком много данных.",
            "unreadable": "Это не прочитать.",
            "failed": "Что-то пошло не так. Попробуйте позже.",
        },
    }
)


def language_of(asked: str | None, accepted: str) -> FormLanguage:
    """The language that is asked for; else the first that the browser accepts, else English."""
    for wish in (asked or "", *accepted.split(",")):
        found = wish.strip()[:2].lower()
        if found == "ru":
            return "ru"
        if found == "en":
            return "en"
    return "en"


def text_of(texts: Mapping[str, str], language: FormLanguage) -> str:
    """A text of the chain in the language, else in any that it is told in."""
    found = texts.get(language) or texts.get("en")
    return found if found is not None else next(iter(texts.values()), "")

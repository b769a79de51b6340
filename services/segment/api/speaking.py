"""In which language rules are said: the one that is asked for, else what the caller likes best."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Header, Query

import services.segment
from shared.wording import Languages, Wording

Accepted = Annotated[str, Header(alias="accept-language", max_length=1_000)]
Language = Annotated[
    Literal["en", "ru"] | None, Query(description="else what `Accept-Language` likes best")
]


@dataclass(frozen=True, slots=True)
class Speech:
    """The languages of the service; `currency` is the chain's (ISO 4217)."""

    languages: Languages
    currency: str | None = None

    @classmethod
    def read(cls, currency: str | None = None) -> "Speech":
        """With the catalogues that the service has."""
        folder = Path(services.segment.__file__).parent / "locales"
        return cls(Languages.read(folder), currency)

    def wording(self, language: str | None, accepted: str) -> Wording:
        """The words to answer in."""
        return self.languages.wording(language or self.languages.accepted(accepted), self.currency)

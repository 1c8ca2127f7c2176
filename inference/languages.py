"""A text in each language that a release speaks."""

from msgspec import Struct

LANGUAGES = ("en", "fr")


class Text(Struct, frozen=True):
    """A text in all of them; it may be empty."""

    en: str
    fr: str

    def __getitem__(self, language: str) -> str:
        if language == "en":
            return self.en
        if language == "fr":
            return self.fr
        raise KeyError(language)


class Words(Text, frozen=True):
    """A text that people must be able to read: in no language is it blank."""

    def __post_init__(self) -> None:
        if not (self.en.strip() and self.fr.strip()):
            raise ValueError("a text is needed in en and fr")

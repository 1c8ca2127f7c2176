"""Text in every language of a release."""

from msgspec import Struct

LANGUAGES = ("en", "fr")


class Text(Struct, frozen=True):
    """Text in all languages; it may be empty."""

    en: str
    fr: str

    def __getitem__(self, language: str) -> str:
        if language == "en":
            return self.en
        if language == "fr":
            return self.fr
        raise KeyError(language)


class Words(Text, frozen=True):
    """Text that must not be blank in any language."""

    def __post_init__(self) -> None:
        if not (self.en.strip() and self.fr.strip()):
            raise ValueError("a text is needed in en and fr")

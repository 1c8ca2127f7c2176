"""The draft notice as a page, for reading and printing."""

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from web.cases.notice import Notice
from web.cases.notice_pdf import REPLACEMENT, not_shown
from web.pages.frame import Visitor, root_from
from web.pages.templates import render
from web.pages.texts import LANGUAGES, Texts


@dataclass(frozen=True)
class Unprintable:
    """Characters of a part that the PDF cannot show, each with its code point, since some are invisible."""

    part: str
    characters: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NoticePage:
    """The page. What is only for the officer (links to the other language and the PDF, a warning about characters,
    logging out) is in the officer's language and is not printed."""

    template: ClassVar[str] = "cases/notice.html"
    notice: Notice
    up: str  # the relative path to the app's root
    case: str  # id
    back: str
    languages: tuple[str, ...]
    officer_language: str
    visitor: Visitor | None
    warning: str
    unprintable: tuple[Unprintable, ...]


def notice_page(
    draft: Notice, labels: Notice, case: str, texts: Texts, officer: Texts, visitor: Visitor | None
) -> Markup:
    """The page of a notice in the applicant's language, that of `texts`. `labels` is the same notice in the officer's
    language."""
    unprintable = tuple(
        Unprintable(part, tuple((character, f"U+{ord(character):04X}") for character in characters))
        for part, characters in not_shown(draft, labels, officer)
    )
    view = NoticePage(
        draft, root_from("record/x/notice", officer), case, officer("notice.back"), LANGUAGES, officer.language,
        visitor, officer("notice.not_shown", mark=REPLACEMENT), unprintable,
    )  # fmt: skip
    return render(view, texts)

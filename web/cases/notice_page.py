"""The draft notice as a page, to read and to print."""

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
    """Characters of one part that the PDF cannot show, each with its code, since some are invisible."""

    part: str
    characters: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NoticePage:
    """The page to print. What is only for the officer (the other language, the PDF and what it cannot show, logging
    out) is not printed, and is in the officer's language."""

    template: ClassVar[str] = "cases/notice.html"
    notice: Notice
    up: str  # the way to the app's root
    case: str  # id
    back: str
    languages: tuple[str, ...]
    officer_language: str
    visitor: Visitor | None
    warning: str
    unprintable: tuple[Unprintable, ...]


def notice_page(
    made: Notice, labels: Notice, case: str, texts: Texts, officer: Texts, visitor: Visitor | None
) -> Markup:
    """The notice in the applicant's language, `texts`. `labels` is the same notice in the officer's."""
    lacking = tuple(
        Unprintable(part, tuple((mark, f"U+{ord(mark):04X}") for mark in characters))
        for part, characters in not_shown(made, labels, officer)
    )
    shown = NoticePage(
        made, root_from("record/x/notice", officer), case, officer("notice.back"), LANGUAGES, officer.language, visitor,
        officer("notice.not_shown", mark=REPLACEMENT), lacking,
    )  # fmt: skip
    return render(shown, texts)

"""The notice as a page, for reading and printing: a draft, or as it was handed over."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from inference.number_format import write_number
from ledger.events import Notified
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
class HandedOver:
    """What is said of a notice that was handed over: when, and whether its text is the recorded one."""

    sentence: str
    same: bool
    query: str  # of its addresses


@dataclass(frozen=True)
class NoticePage:
    """The page. What is only for the officer (links to the other language and the PDF, a warning about characters,
    logging out) is in the officer's language and is not printed."""

    template: ClassVar[str] = "cases/notice.html"
    notice: Notice
    up: str  # the relative path to the app's root
    case: str  # id
    back: str
    languages: tuple[str, ...]  # in which it can be read too
    query: str  # of the PDF's address
    officer_language: str
    visitor: Visitor | None
    handed: HandedOver | None
    warning: str
    unprintable: tuple[Unprintable, ...]


def unprintable(notice: Notice, labels: Notice, officer: Texts) -> tuple[Unprintable, ...]:
    """What the PDF of a notice cannot show, part by part. `labels` is a notice whose labels the officer can read."""
    return tuple(
        Unprintable(part, tuple((character, f"U+{ord(character):04X}") for character in characters))
        for part, characters in not_shown(notice, labels, officer)
    )


def notice_page(
    notice: Notice, labels: Notice, case: str, texts: Texts, officer: Texts, visitor: Visitor | None,
    handed: HandedOver | None = None,
) -> Markup:  # fmt: skip
    """The page of a notice in the applicant's language, that of `texts`. `labels` is the same notice in the officer's
    language; of what was `handed` over, in the language in which that was done."""
    view = NoticePage(
        notice, root_from("record/x/notice", officer), case, officer("notice.back"),
        LANGUAGES if handed is None else (), f"lang={texts.language}" if handed is None else handed.query,
        officer.language, visitor, handed, officer("notice.not_shown", mark=REPLACEMENT),
        unprintable(notice, labels, officer),
    )  # fmt: skip
    return render(view, texts)


def handed_over(record: Notified, officer: Texts) -> HandedOver:
    """What the officer is told of a notice that was handed over and whose text was kept."""
    digest = hashlib.sha256((record.text or "").encode()).hexdigest()
    same = digest == record.notice
    sentence = officer(
        "notice.handed" if same else "notice.handed_other", day=officer.day(record.day), by=record.by,
        seq=write_number(record.seq, officer.language), digest=digest,
    )  # fmt: skip
    return HandedOver(sentence, same, f"handed={record.id}")

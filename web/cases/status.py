"""The state of a case in words: what is expected, of whom, by when."""

from dataclasses import dataclass
from datetime import date

from ledger.cases import OPEN, SETTLED, Case
from ledger.events import WITHDRAWN
from web.pages.texts import Texts
from web.work_settings import WorkSettings

OVERDUE, SOON = "overdue", "soon"


@dataclass(frozen=True)
class Due:
    """By when a case is to be decided. `mark` is its CSS class: overdue, soon or nothing."""

    day: str  # such as 25 December 2026
    left: str  # such as "in 3 days"
    mark: str


def due(case: Case, settings: WorkSettings, texts: Texts, today: date) -> Due:
    """An objection's deadline, else so many days after the first score as the lender has set."""
    last = settings.days.due_day(case)
    assert last is not None  # noqa: S101 - a lender has days for decisions
    left = (last - today).days
    mark = OVERDUE if left < 0 else SOON if left <= settings.reminder_days else ""
    key = "today" if left == 0 else "late" if left < 0 else "left"
    words = texts(f"due.{key}" + ("_one" if abs(left) == 1 else ""), days=abs(left))
    return Due(texts.day(last.isoformat()), words, mark)


def days_old(case: Case, settings: WorkSettings, today: date) -> int:
    """Days since the first score."""
    return max(0, (today - settings.local(case.first.time).date()).days)


def age(case: Case, settings: WorkSettings, texts: Texts, today: date) -> str:
    """Days since the first score, in words."""
    days = days_old(case, settings, today)
    return texts("age.today" if days < 1 else "age.day" if days == 1 else "age.days", days=days)


def status(case: Case, settings: WorkSettings, texts: Texts, today: date) -> str:
    """The state in a sentence or two; what is done says nothing of days."""
    state = "not_agreed" if case.state == OPEN and case.decision is not None else case.state
    sentences = [texts(f"status.{state}")]
    if case.state in (SETTLED, WITHDRAWN):
        return sentences[0]
    if case.turn:
        sentences.append(texts("status.turn", name=case.turn))
    when = due(case, settings, texts, today)
    return " ".join([*sentences, texts("status.due", day=when.day, left=when.left)])

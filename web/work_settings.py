"""How a lender wants its list of work: days to a decision, columns, the time zone of all dates and times."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from inference.measure import Clock
from ledger.due import DueDays
from ledger.lender_time import zone_of
from web.pages.texts import LANGUAGES

COLUMNS = ("reference", "applicant", "amount", "age", "pd", "decision", "by", "due")
DEFAULTS: Mapping[str, Any] = {"time_zone": "UTC", "decision_days": 30, "reminder_days": 5, "columns": list(COLUMNS)}
MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """The settings. `applicant` is the label of the applicant's name or number by language; None: it is not asked."""

    zone: ZoneInfo
    decision_days: int  # from the first score
    reminder_days: int  # before a case is due, from which on it is marked
    columns: tuple[str, ...]
    applicant: Mapping[str, str] | None = None

    @property
    def days(self) -> DueDays:
        """By when cases are due, for pages and events alike."""
        return DueDays(self.decision_days, self.reminder_days, self.zone)

    def local(self, time: str) -> datetime:
        """A record's time (ISO, UTC) in the lender's time zone."""
        return self.days.local(time)

    def moment(self, time: str) -> str:
        """A record's time as pages show it: 2026-12-25 14:05."""
        return f"{self.local(time):%Y-%m-%d %H:%M}"

    def today(self, clock: Clock | None = None) -> date:
        """The lender's date."""
        return self.days.today((clock or Clock()).utc())


def work_settings(table: Mapping[str, Any]) -> WorkSettings:
    """The section `[work]` of a lender's file, checked; what it leaves out has a default. Raises `ValueError`."""
    if unknown := sorted(table.keys() - {*DEFAULTS, "applicant"}):
        raise ValueError(f"work: {', '.join(unknown)}: no such setting")
    values = {**DEFAULTS, **table}
    for name in ("decision_days", "reminder_days"):
        if type(values[name]) is not int or not 0 <= values[name] <= MOST_DAYS:
            raise ValueError(f"work.{name}: a whole number from 0 to {MOST_DAYS} is needed")
    columns, applicant = values["columns"], values.get("applicant")
    if not isinstance(columns, list) or not columns or len(set(map(str, columns))) < len(columns):
        raise ValueError("work.columns: a list of different columns is needed")
    if wrong := [str(name) for name in columns if name not in COLUMNS]:
        raise ValueError(f"work.columns: {', '.join(wrong)}: no such column. Known: {', '.join(COLUMNS)}")
    if applicant is not None and not all(str(applicant.get(language, "")).strip() for language in LANGUAGES):
        raise ValueError(f"work.applicant: a label in {' and '.join(LANGUAGES)} is needed")
    shown = tuple(name for name in columns if name != "applicant" or applicant is not None)
    return WorkSettings(
        zone_of(values["time_zone"]), values["decision_days"], values["reminder_days"], shown, applicant
    )

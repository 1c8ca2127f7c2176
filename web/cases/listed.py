"""Cases as a list: the filters of a search, and what JSON, CSV and XLSX say of each case.

A reference identifies an applicant, and URLs end up in logs: a search by reference is sent as POST.
"""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from urllib.parse import urlencode

import sqlalchemy as sa

from ledger import cases, queries
from ledger.cases import Case
from ledger.decisions import DECISIONS
from ledger.events import Json
from ledger.lender_time import local
from web.pages.answers import LONGEST_REFERENCE
from web.pages.forms import LONGEST_NAME, Form, day, form_value

REFERENCE = "reference"
NOT_DECIDED = ("open", "waiting", "withdrawn")  # what else than a decision is searched for as one
FILTERS = (REFERENCE, "since", "until", "by", "decision", "overridden")
IN_ADDRESS = FILTERS[1:]  # those that say nothing of an applicant
FIELDS = (
    "seq", "id", "time", REFERENCE, "release", "pd", "points", "suggested", "state", "decision", "decided_by",
    "decided", "direction", "overridden", "reason",
)  # fmt: skip


def filters_from(form: Form) -> dict[str, str]:
    """The filters of a search; invalid values are ignored."""
    filters = {
        REFERENCE: " ".join(form_value(form, REFERENCE, LONGEST_REFERENCE).split()),
        "by": form_value(form, "by", LONGEST_NAME),
        "decision": form_value(form, "decision"),
        "overridden": form_value(form, "overridden"),
    }
    for name in ("since", "until"):
        parsed = day(form_value(form, name, 10))
        filters[name] = parsed.isoformat() if parsed else ""
    if filters["decision"] not in (*NOT_DECIDED, *DECISIONS):
        filters["decision"] = ""
    if filters["overridden"] not in ("yes", "no"):
        filters["overridden"] = ""
    return {name: filters[name] for name in FILTERS if filters[name]}


def address(filters: Mapping[str, str]) -> str:
    """The query of a link to a search, without the reference; empty if nothing else is searched by."""
    return urlencode({name: filters[name] for name in IN_ADDRESS if name in filters})


def page_of_cases(
    connection: sa.Connection, limit: int, before: int | None, filters: Mapping[str, str], viewer: str | None,
    zone: tzinfo,
) -> list[Case]:  # fmt: skip
    """Up to `limit` cases that `viewer` may see (None: all), the newest first, before a sequence number. The days of
    filters are days in `zone`, the lender's."""
    return cases.cases_from(connection, queries.cases(connection, limit, before, filters, viewer, zone))


def listed(case: Case, zone: tzinfo = UTC) -> dict[str, Json]:
    """What a list says of a case, by the names of FIELDS. The score is the one that was decided on, or else the last
    one; its PD and points are exact until the personal part is erased. Times are those of `zone`, with its offset."""
    first, score, decision = case.first, case.score, case.decision
    values: tuple[Json, ...] = (
        first.seq, first.id, moment(first.time, zone), first.reference, score.release_name, score.pd, score.points,
        score.suggested, case.state,
    )  # fmt: skip
    if decision is None:
        values += (None,) * 6
    else:
        values += (
            decision.decision, decision.by, moment(decision.time, zone), decision.direction, decision.overridden,
            decision.reason_code,
        )  # fmt: skip
    return dict(zip(FIELDS, values, strict=True))


def moment(time: str, zone: tzinfo) -> str:
    """A record's time as ISO 8601 with the offset of a time zone; Z where that is that of UTC."""
    return local(time, zone).isoformat(timespec="microseconds").replace("+00:00", "Z")

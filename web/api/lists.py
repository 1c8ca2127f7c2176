"""The pages Work and Overrides as JSON: the same cases for the same people, and the same counts."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from ledger.decisions import DECISIONS
from ledger.overrides import DISTANCES, WAYS, DecisionCounts, Month, decision_counts
from ledger.queries import directions
from web.api.openapi_lists import LISTED, MOST_LISTED
from web.api.reading import read
from web.api.requests import integer_parameter
from web.cases.overrides import in_order, last_months
from web.cases.waiting import AFTER, count, listed_waiting, lists_of, waiting
from web.lender import Lender
from web.person import person_of
from web.problems import Refusal
from web.recording import Recorder

Json = dict[str, Any]


class ListApi:
    """The functions of the routes."""

    def __init__(self, recorder: Recorder, lender: Lender) -> None:
        self._recorder, self._settings, self._release = recorder, lender.work, recorder.scorer.release
        place = self._release.policy.amount_at
        self._amount = None if place is None else self._release.form.names[place]

    async def work(self, request: Request) -> Json:
        """The lists that this person has, with the number of their cases."""
        only_known(request, ())
        person = person_of(request.scope)
        lists = await read(
            self._recorder.ledger,
            lambda connection: [{"name": name, "count": count(connection, name, person)} for name in lists_of(person)],
            searching=True,
        )
        return {"lists": lists}

    async def work_list(self, request: Request) -> Json:
        """A page of one list, due first."""
        name, person = request.path_params["list"], person_of(request.scope)
        if name not in lists_of(person):
            raise Refusal(404, "no-such-list", "There is no such list", f"There are {', '.join(lists_of(person))}")
        only_known(request, ("limit", "after"))
        limit = integer_parameter(request.query_params.get("limit", str(LISTED)), "limit", 1, MOST_LISTED)
        after = request.query_params.get("after")
        if after is not None and not AFTER.fullmatch(after):
            raise Refusal(422, "invalid-request", "after: the `next` of an earlier page is needed")
        page = await read(
            self._recorder.ledger,
            lambda connection: waiting(connection, name, person, limit, after or ""),
            searching=True,
        )
        today = self._settings.today()
        items = [listed_waiting(case, self._settings, self._release, today) for case in page.cases]
        return {"items": items, "count": page.count, "next": page.after or None}

    async def overrides(self, request: Request) -> Json:
        """What was decided over time, and how often against the suggestion."""
        only_known(request, ())
        zone, months = self._settings.zone, last_months(self._settings.today())
        counts, all_months = await read(
            self._recorder.ledger,
            lambda connection: (
                decision_counts(connection, months[0], self._amount, zone),
                directions(connection, zone),
            ),
            searching=True,
        )
        return {**counted(counts, months), "all_months": [
            {"month": month, "direction": way, "reason": reason, "count": number}
            for month, way, reason, number in all_months
        ]}  # fmt: skip


def counted(counts: DecisionCounts, months: Iterable[str]) -> Json:
    """Counts of the last months as JSON, in the order of the page; the months the oldest first."""
    edges = (0, *DISTANCES, None)
    return {
        "months": [of_month(name, counts.months.get(name) or Month()) for name in months],
        "distances": [
            {"from": None if band is None else edges[band], "below": None if band is None else edges[band + 1],
             **by_way(ways)}
            for band, ways in in_order(counts.distances)
        ],
        "amounts": [{"from": low, **by_way(ways)} for low, ways in in_order(counts.amounts)],
        "reasons": [{"code": code, **by_way(ways)} for code, ways in sorted(counts.reasons.items())],
        "officers": [
            {"by": by, **by_way(ways)}
            for by, ways in sorted(counts.officers.items(), key=lambda pair: pair[0].casefold())
        ],
    }  # fmt: skip


def of_month(name: str, month: Month) -> Json:
    decided = {decision: month.decisions[decision] for decision in DECISIONS}
    return {"month": name, **decided, "mean_pd": month.mean_pd if month.total else None, **by_way(month.directions)}


def by_way(directions: Counter[str]) -> dict[str, int]:
    return {way: directions[way] for way in WAYS}


def only_known(request: Request, known: Iterable[str]) -> None:
    """Refuse parameters that there are not: a filter that is ignored would say too much."""
    if unknown := sorted(request.query_params.keys() - set(known)):
        title = f"No such parameter: {', '.join(unknown)[:200]}"
        raise Refusal(422, "invalid-request", title, f"There are {', '.join(known) or 'none'}")

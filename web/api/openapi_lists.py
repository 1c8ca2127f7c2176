"""The lists in the API's OpenAPI description: cases, records, what waits, and decisions counted."""

from typing import Any

from inference.policy import DECISIONS
from ledger.cases import ALL, WAITING_STATES
from ledger.decisions import DECISIONS as DECIDED
from ledger.overrides import WAYS
from web.api.openapi_parts import Schema, closed, operation, ref
from web.cases.listed import NOT_DECIDED
from web.cases.waiting import AFTER, LISTS, MOST
from web.pages.answers import LONGEST_REFERENCE
from web.pages.forms import LONGEST_NAME

MOST_LISTED, LISTED = 200, 50  # on a page of a list: most, and by default
FILTERS: dict[str, Any] = {
    "by": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "description": "Who decided last"},
    "decision": {"enum": [*NOT_DECIDED, *DECIDED], "description": "The last decision, or none yet, or withdrawn"},
    "overridden": {"enum": ["yes", "no"], "description": "Whether the last decision departs from the suggestion"},
}
LIMIT = {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": LISTED}
TEXT, MAYBE = {"type": "string"}, {"type": ["string", "null"]}
COUNT = {"type": "integer", "minimum": 0}


def list_paths(time_zone: str) -> Schema:
    """Every path that answers with a list."""
    return {
        "/api/v1/decisions": {
            "get": operation("decisions", "Records, the newest first", "Records", parameters=list_parameters(),
                             errors=(404, 422, 503)),
            "post": operation("search_decisions", "The same, also by reference, which no address may hold", "Records",
                              request=records_body(), example={"kind": "scored"},
                              errors=(400, 404, 413, 415, 422, 503)),
        },
        "/api/v1/cases": cases_path(time_zone),
        "/api/v1/work": {"get": operation("work", "What waits, by list, as the page Work has it", "Work",
                                          errors=(404, 503))},
        "/api/v1/work/{list}": {"get": work_path()},
        "/api/v1/overrides": {
            "get": operation("overrides", "Decisions counted, as the page Overrides has them; for managers",
                             "Overrides", errors=(404, 503))
        },
    }  # fmt: skip


def day(meaning: str, time_zone: str) -> Schema:
    """A day, counted in the lender's time zone, which is named."""
    return {"type": "string", "format": "date", "description": f"{meaning}, in the lender's time zone: {time_zone}"}


def cases_path(time_zone: str) -> Schema:
    """The list of cases: by GET, and by POST where a reference is searched for."""
    listed = list_parameters()[:2]
    days = {"since": "Scored on this day or later", "until": "Scored on this day or earlier"}
    filters = {**{name: day(meaning, time_zone) for name, meaning in days.items()}, **FILTERS}
    queries = [{"name": name, "in": "query", "schema": schema} for name, schema in filters.items()]
    pages = {"limit": listed[0]["schema"], "before": listed[1]["schema"]}
    reference = {"type": "string", "minLength": 1, "maxLength": LONGEST_REFERENCE, "description": "A part of it"}
    body = {"type": "object", "properties": {**filters, "reference": reference, **pages}, "additionalProperties": False}
    return {
        "get": operation("cases", "Cases, the newest first, as the page History has them", "Cases",
                         parameters=[*listed, *queries], errors=(404, 422, 503)),
        "post": operation("search_cases", "The same, also by reference, which no address may hold", "Cases",
                          request=body, example={"decision": "decline"}, errors=(400, 404, 413, 415, 422, 503)),
    }  # fmt: skip


def work_path() -> Schema:
    """One list of what waits."""
    parameters: list[Schema] = [
        {"name": "list", "in": "path", "required": True, "schema": {"enum": list(LISTS)}},
        {"name": "limit", "in": "query", "schema": LIMIT},
        {"name": "after", "in": "query", "description": "`next` of the page before",
         "schema": {"type": "string", "pattern": f"^{AFTER.pattern}$"}},
    ]  # fmt: skip
    return operation("work_list", "Cases of one list, due first", "WorkList", parameters=parameters,
                     errors=(404, 422, 503))  # fmt: skip


def records_body() -> Schema:
    """What a search for records asks by."""
    parameters = {parameter["name"]: parameter["schema"] for parameter in list_parameters()}
    return {"type": "object", "properties": {**parameters, "reference": {"type": "string", "description": "All of it"}},
            "additionalProperties": False}  # fmt: skip


def list_parameters() -> list[Schema]:
    texts = ("kind", "by", "decision")
    return [
        {"name": "limit", "in": "query", "schema": LIMIT},
        {"name": "before", "in": "query", "description": "`next` of the page before",
         "schema": {"type": "integer", "minimum": 1, "maximum": 2**53}},
        *({"name": name, "in": "query", "schema": {"type": "string"}} for name in texts),
    ]  # fmt: skip


def list_schemas() -> Schema:
    """The named schemas of lists."""
    case = {
        "seq": {"type": "integer"}, "id": TEXT, "time": TEXT, "reference": MAYBE, "release": TEXT,
        "pd": {"type": "number", "minimum": 0, "maximum": 1}, "points": {"type": "number"},
        "suggested": {"enum": list(DECISIONS)}, "state": {"enum": list(ALL)},
        "decision": {"enum": [*DECIDED, None]}, "decided_by": MAYBE, "decided": MAYBE, "direction": MAYBE,
        "overridden": {"type": ["boolean", "null"]}, "reason": MAYBE,
    }  # fmt: skip
    waiting = {
        **case,
        "state": {"enum": list(WAITING_STATES)},
        "by": {**TEXT, "description": "Who decided last or, before that, scored first"},
        "turn": {**MAYBE, "description": "Whose turn it is; null: nobody's in particular"},
        "amount": {"type": ["number", "null"], "description": "Of the loan; null: not asked, or erased"},
        "applicant": {**MAYBE, "description": "Name or number, where the lender asks for it"},
        "days": {**COUNT, "description": "Since the first score"},
        "due": {**TEXT, "format": "date", "description": "By when something must be done"},
        "days_left": {"type": "integer", "description": "Until then; below 0: overdue"},
    }
    counted = {**COUNT, "maximum": MOST, "description": f"Counted up to {MOST:,}"}
    ways = dict.fromkeys(WAYS, COUNT)
    edge = {"type": ["number", "null"]}
    return {
        "Cases": closed({"items": array(closed(case)), "next": {"type": ["integer", "null"]}}),
        "Records": closed({"items": array({"type": "object"}), "next": {"type": ["integer", "null"]}}),
        "Work": closed({"lists": array(closed({"name": {"enum": list(LISTS)}, "count": counted}))}),
        "WorkList": closed({"items": array(closed(waiting)), "count": counted, "next": MAYBE}),
        "Overrides": closed({
            "months": array(ref("Month")),
            "distances": array(closed({
                "from": {**edge, "description": "Distance between PD and nearest cut-off; null: erased"},
                "below": {**edge, "description": "null: the last band, or erased"}, **ways,
            })),
            "amounts": array(closed({"from": {**edge, "description": "null: not asked, or erased"}, **ways})),
            "reasons": array(closed({"code": TEXT, **ways})),
            "officers": array(closed({"by": TEXT, **ways})),
            "all_months": array(closed({"month": TEXT, "direction": {"enum": list(WAYS)}, "reason": MAYBE,
                                        "count": COUNT})),
        }),
        "Month": closed({
            "month": {**TEXT, "description": "In the lender's time zone, such as 2026-11"},
            **dict.fromkeys(DECIDED, COUNT),
            "mean_pd": {"type": ["number", "null"], "description": "That was decided on; null: nothing was"}, **ways,
        }),
    }  # fmt: skip


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}

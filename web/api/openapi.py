"""The API's OpenAPI description, made from the release: its fields, bounds and choices, and a valid example."""

import re
from typing import Any

import orjson

from inference.fields import NOT_STATED, ChoiceField, Field, NumberField
from inference.policy import DECISIONS, DECLINE, REFER
from inference.release import Release
from inference.rules import VERDICTS
from inference.version import VERSION
from web.api.openapi_lists import list_paths, list_schemas
from web.api.openapi_parts import Schema, closed, operation, ref
from web.batch.jobs import STATES as FILE_STATES
from web.pages.answers import LONGEST_REFERENCE
from web.problems import JSON, PREFIX, PROBLEM
from web.service_state import STATES

EACH = {"description": "As the body of /score. One that is not fails on its own, and the others are scored."}
REASONS: dict[str, Any] = {
    "type": ["array", "null"],
    "items": {"type": "string"},
    "description": "Principal reasons as field/code, such as amount/high, the strongest first; /release gives the text "
    "of each code, with its field. Null where nobody asked for them, as here: the page of a case makes them. Records "
    "of releases of format 1 hold fields without a code.",
}
MOST_ITEMS = 1000  # a batch
SHOWN = 2  # answers in an error's example
DESCRIBED = f"{PREFIX}/openapi.json describes the whole"
LONGEST_KEY = 200  # characters
RULES: dict[str, Any] = {
    "type": "array",
    "description": "What each of the lender's own rules says; /release gives their texts. Without rules it is empty",
    "items": {
        "type": "object",
        "properties": {
            "code": {"type": "string"},
            "verdict": {"enum": list(VERDICTS), "description": "unknown: an answer that it needs is not stated"},
            "value": {"type": ["number", "string", "null"], "description": "null: not stated, or no free income"},
            "limit": {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "string"}}]},
            "outcome": {"enum": [REFER, DECLINE], "description": "Where the rule is broken"},
        },
        "required": ["code", "verdict", "value", "limit", "outcome"],
        "additionalProperties": False,
    },
}
WARNINGS: dict[str, Any] = {
    "type": "array",
    "description": "Answers that are possible but odd together, as a question for a person; nothing is refused",
    "items": {
        "type": "object",
        "properties": {
            "code": {"type": "string"},
            "fields": {"type": "array", "items": {"type": "string"}},
            "text": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["code", "fields", "text"],
        "additionalProperties": False,
    },
}
OFFER: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "The lender's grade with its yearly rate, and the instalment a month: amount × i ÷ (1 − (1 + i)^−n),"
    " with n months and i a twelfth of the rate; null where the lender has no grades",
    "properties": {
        "grade": {"type": "string"},
        **{name: {"type": "number"} for name in ("pd_from", "pd_below", "rate")},
        **{name: {"type": ["number", "null"]} for name in ("amount", "months", "instalment")},
    },
    "required": ["grade", "pd_from", "pd_below", "rate", "amount", "months", "instalment"],
    "additionalProperties": False,
}
STATE = {
    "enum": list(STATES),
    "description": "What the release is that serves: a demonstration, a draft that no manager has put into service, in "
    "service, or replaced by another one",
}
LISTED_UP_TO = 60  # choices; for longer lists see GET /release


def describe(release: Release, with_ledger: bool, time_zone: str = "UTC") -> Schema:
    """The whole document."""
    example = {"answers": release.form.example, "reference": "A-2026-0001"}
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same body gives the record that the first of them made.",
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
    }
    paths: Schema = {
        "/api/v1/score": {
            "post": operation("score", "Score one application", "Score", request=ref("Application"), example=example,
                              parameters=[key], errors=(400, 409, 413, 415, 422, 503))
        },
        "/api/v1/score:batch": {
            "post": operation("score_batch", "Score up to 1,000; each succeeds or fails on its own", "Scores",
                              request=ref("Applications"), example={"items": [example]}, parameters=[key],
                              errors=(400, 409, 413, 415, 422, 503))
        },
        "/api/v1/release": {"get": operation("release", "The release: fields, bounds, metrics, model card", "Release")},
        "/api/v1/decisions/{id}": {
            "get": operation("decision", "One record, with all that refers to it", "Record", errors=(404, 503),
                             parameters=[{"name": "id", "in": "path", "required": True,
                                          "schema": {"type": "string", "minLength": 1}}])
        },
        **list_paths(time_zone),
        "/api/v1/ledger/head": {
            "get": operation("head", "The last record's hash, for somebody else to keep", "Head", errors=(404, 503))
        },
        **book_paths(release),
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Tenfold: {release.manifest.title['en']}",
            "version": VERSION,
            "description": release.manifest.notice["en"]
            + f" Release {release.name}."
            + ("" if with_ledger else " This server keeps no ledger: nothing is recorded."),
        },
        "paths": paths,
        "components": {"schemas": schemas(release)},
    }


BINARY = {"type": "string", "format": "binary", "minLength": 1}
FORMATS = {
    "text/csv": {"type": "string", "minLength": 1},
    "application/vnd.apache.parquet": BINARY,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": BINARY,
}


SEPARATOR = "[ -~\\t]"  # of a CSV file
ENCODING = "[A-Za-z0-9_-]+"


def book_paths(release: Release) -> Schema:
    """The routes of files: web/api/book.py."""
    pair = {"type": "string", "pattern": f"^(?:{'|'.join(map(re.escape, release.form.names))})=[^\\n]+$"}
    id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    queries = (
        ("map", {"type": "array", "items": pair}, "FIELD=COLUMN, where a field's column has another name"),
        ("separator", {"type": "string", "pattern": f"^{SEPARATOR}$"}, "Of a CSV file; else found out"),
        (
            "encoding",
            {"type": "string", "pattern": f"^{ENCODING}$"},
            "Of a CSV file; else UTF-8, or its byte order mark",
        ),
        ("decimal", {"enum": [".", ","]}, "The decimal mark of texts; else found out"),
        ("reasons", {"enum": ["none", "not-approved", "all"]}, "For which rows the principal reasons are given"),
        (
            "for",
            {"enum": ["page"]},
            "Only checked, for the page /batch/ID, which maps the columns and starts the scoring",
        ),
    )
    parameters = [
        {"name": name, "in": "query", "description": what, "schema": schema} for name, schema, what in queries
    ]
    name = {"name": "Content-Disposition", "in": "header", "schema": {"type": "string"},
            "description": "attachment; filename=NAME: its ending says the format, else Content-Type"}  # fmt: skip
    send = operation("send_file", "Send a file of applications to be scored", "File", parameters=[*parameters, name],
                     errors=(409, 413, 415, 422, 501, 507))  # fmt: skip
    send["requestBody"] = {"required": True, "content": {kind: {"schema": schema} for kind, schema in FORMATS.items()}}
    send["responses"]["202"] = {**send["responses"].pop("200"), "description": "Taken: ask at Location",
                                "headers": {"Location": {"schema": {"type": "string"}}}}  # fmt: skip
    result = operation("file_result", "The scores, in the format that came", "File", errors=(404, 409), parameters=[id])
    result["responses"]["200"]["content"] = {kind: {"schema": schema} for kind, schema in FORMATS.items()}
    rejected = operation(
        "file_rejected", "The rows that were not scored, as CSV", "File", errors=(404, 409), parameters=[id]
    )
    rejected["responses"]["200"]["content"] = {"text/csv": {"schema": {"type": "string"}}}
    delete = operation("delete_file", "Stop it, and remove file and scores", "File", errors=(404,), parameters=[id])
    del delete["responses"]["200"]
    delete["responses"]["204"] = {"description": "Done"}
    return {
        "/api/v1/book": {"post": send, "get": operation("files", "Your own files, the newest first", "Files")},
        "/api/v1/book/{id}": {
            "get": operation("file", "How far a file is", "File", errors=(404,), parameters=[id]), "delete": delete,
        },
        "/api/v1/book/{id}/result": {"get": result},
        "/api/v1/book/{id}/rejected": {"get": rejected},
    }  # fmt: skip


def in_short(release: Release, *, several: bool = False) -> str:
    """What a body to be scored looks like, for who sent another one: the first answers of the release's example."""
    first = orjson.dumps(dict(list(release.form.example.items())[:SHOWN])).decode()
    answers = f'{{"answers": {first[:-1]}, …}}}}'
    body = f'{{"items": [{answers}, …]}}' if several else answers
    return f"Send {body} as {JSON}, with all of {', '.join(release.form.names)}; {DESCRIBED}"


def behind_login(described: Schema) -> Schema:
    """The same document for a server that requires a token or a session."""
    content = {"application/problem+json": {"schema": ref("Problem")}}
    refused = {str(status): {"description": "See the problem's title", "content": content} for status in (401, 403)}
    paths = {
        path: {
            method: {**spec, "responses": {**spec["responses"], **refused}, "security": [{"token": []}]}
            for method, spec in methods.items()
        }
        for path, methods in described["paths"].items()
    }
    token = {"type": "http", "scheme": "bearer", "description": "python -m web tokens add NAME"}
    components = {**described["components"], "securitySchemes": {"token": token}}
    return {**described, "paths": paths, "components": components}


def schemas(release: Release) -> Schema:
    """Every named schema."""
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    text, number = {"type": "string"}, {"type": "number"}
    maybe = {"type": ["string", "null"]}
    texts = {"type": "array", "items": text}
    expected = {
        "type": "string", "enum": [release.name, release.digest],
        "description": "The release that this was made for, by name or digest: if another one serves, 409",
    }  # fmt: skip
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    recorded = {
        "type": ["object", "null"],
        "description": "Where the record stands, and its hash: `python -m ledger verify --head HASH` tells whether it "
        "is still there, unchanged. null on a server without a ledger",
        "properties": {"seq": {"type": "integer"}, "time": text, "hash": digest},
        "required": ["seq", "time", "hash"],
    }
    scored = {
        "id": text, "decision": {"enum": list(DECISIONS), "description": "The model's"},
        "outcome": {"enum": list(DECISIONS), "description": "The strictest of the decision and of the lender's rules"},
        "rules": RULES, "offer": OFFER, "warnings": WARNINGS, "pd": probability, "points": number,
        "break_even": probability, "refer_from": probability, "decline_from": number, "unusual": texts,
        "reasons": REASONS, "release_name": text, "release": text, "engine": text,
        "recorded": recorded, "state": STATE,
    }  # fmt: skip
    problem = {
        "type": text, "title": text, "status": {"type": "integer"}, "detail": text,
        "errors": {"type": "array", "items": closed(dict.fromkeys(PROBLEM, text))},
    }  # fmt: skip
    return {
        "Answers": {
            "type": "object",
            "properties": {field.name: field_schema(field) for field in release.form.fields},
            "required": list(release.form.names),
            "additionalProperties": False,
        },
        "Application": {
            "type": "object",
            "properties": {
                "answers": ref("Answers"),
                "reference": {
                    "type": ["string", "null"], "minLength": 1, "maxLength": LONGEST_REFERENCE,
                    "pattern": "^[!-~]([ -~]*[!-~])?$",
                    "description": "Your own number of this application",
                },
                "release": expected,
            },
            "required": ["answers"],
            "additionalProperties": False,
        },
        "Applications": {
            "type": "object",
            "properties": {"items": {"type": "array", "items": EACH, "minItems": 1, "maxItems": MOST_ITEMS},
                           "release": expected},
            "required": ["items"],
            "additionalProperties": False,
        },
        "Score": closed(scored),
        "Scores": closed({"items": {"type": "array", "items": {"anyOf": [
            {**closed({"status": {"const": 200}, **scored})}, ref("Problem")]}}}),
        "Problem": {"type": "object", "properties": problem, "required": ["type", "title", "status"]},
        "Release": {"type": "object", "properties": {"name": text, "digest": text, "engine": text, "date": text,
                    "state": STATE, "fields": {"type": "array"}, "policy": {"type": "object"},
                    "questions": {"type": "array"},
                    "lender": {"type": ["object", "null"], "description": "Its rules with their texts, and its grades"},
                    "model_card": text},
                    "required": ["name", "digest", "fields"]},
        **list_schemas(),
        "Record": {"type": "object", "properties": {"id": text, "seq": {"type": "integer"}, "hash": digest},
                   "required": ["id", "seq", "hash", "kind", "time"]},
        "File": closed({
            "id": text, "name": text, "state": {"enum": list(FILE_STATES)}, "bytes": {"type": "integer"},
            "created": text,
            "deleted": {"type": "string", "description": "When file and scores are removed"},
            "error": {"type": ["string", "null"]}, "rows": {"type": "integer"}, "of": {"type": ["integer", "null"]},
            "rejected": {"type": "integer"},
            "decisions": {"type": ["object", "null"], "additionalProperties": {"type": "integer"}},
            "record": {**maybe, "description": "Its record in the ledger: digests, counts, who; no row. null before "
                       "it is scored, and on a server without a ledger"},
        }),
        "Files": closed({"items": {"type": "array", "items": ref("File")}}),
        "Head": closed({"seq": {"type": "integer"}, "hash": digest}),
    }  # fmt: skip


def field_schema(field: Field) -> Schema:
    """The schema of a field's answers."""
    about = {"title": field.label["en"], "description": described(field), "examples": [field.example]}
    if isinstance(field, NumberField):
        kind = {"type": "integer" if field.whole else "number", "minimum": field.minimum, "maximum": field.maximum}
        return (
            {**about, "anyOf": [kind, {"const": NOT_STATED}, {"type": "null"}]} if field.optional else {**about, **kind}
        )
    if isinstance(field, ChoiceField):
        codes = [choice.code for choice in field.choices]
        if field.digits is not None:
            sectors = sorted({code[:2] for code in codes})
            pattern = f"^({'|'.join(sectors)})[0-9]{{{field.digits - 2}}}$"
            return {**about, "type": "string", "pattern": pattern}
        if len(codes) <= LISTED_UP_TO:
            return {**about, "enum": [*codes, None] if NOT_STATED in codes else codes}
    return {**about, "type": "string"}


def described(field: Field) -> str:
    """Help, unit and bounds in one line."""
    unit = f" Unit: {field.unit['en']}." if field.unit["en"] else ""
    return f"{field.help['en']}{unit} Allowed: {field.allowed}.".strip()

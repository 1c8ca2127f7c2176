"""Whatever reads a file or a request is given spoiled ones: an answer, or an error of ours, and always in time.

`make faults` goes on for ten minutes in all. A case is named by its target and number, which seed it.
"""

import argparse
import asyncio
import cProfile
import json
import random
import re
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import joblib
import numpy as np
import pytest
from adoptable import FIELDS, classifier, table
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from mutations import spoil_bytes, spoil_json
from parts import sampler, seen, send, some, visiting
from scale import FULL, report

from inference.engines import open_engine
from inference.errors import BadSetting
from inference.perflog import PerformanceLog
from inference.release import open_release
from inference.scorer import Scorer
from inference.settings import Settings, default_release
from ledger.__main__ import main as ledger_command
from ledger.decisions import decided, scored
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from ledger.records import Key
from ledger.verify import verify
from models.adoption.fields_file import BadFields, read_fields
from models.adoption.unpickle import BadPickle, convert
from profiling.study.log import run as read_logs
from profiling.study.prof_reader import BadProfile, read_profile
from web.api.routes import ApiFirst, api_router
from web.cases.history import HistoryPages
from web.cases.routes import CasePages
from web.lender import EXAMPLE, read_lender
from web.recording import Recorder
from web.security.accounts import Accounts
from web.security.entrance import COOKIE
from web.server import create_app, open_jobs

SLOWEST = 60  # seconds that one case may take
SECONDS = {"files": 120, "pickles": 60, "ledger": 120, "requests": 300}  # of `make faults`
Target = Callable[[random.Random], str]  # runs one case, and says how it ended


class TooSlow(Exception):
    """A case that did not end."""


@contextmanager
def in_time() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TooSlow(f"not done within {SLOWEST} s")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(SLOWEST)
    try:
        yield
    finally:
        signal.alarm(0)


def fuzz(group: str, targets: dict[str, Target], few: int, record: Any) -> None:
    """Every target: a few cases, or its share of the group's time."""
    ends: Counter[str] = Counter()
    bugs = []
    for name, target in targets.items():
        until = time.monotonic() + SECONDS[group] / len(targets)
        case = 0
        while (time.monotonic() < until) if FULL else (case < few):
            try:
                with in_time():
                    ends[target(random.Random(f"{name} {case}"))] += 1
            except Exception:
                bugs.append(f"{name} {case}: {traceback.format_exc()}")
            case += 1
        ends[f"executions_{name}"] = case
    assert not bugs, f"{len(bugs)} cases\n" + "\n".join(bugs[:10])
    report(f"fuzz_{group}", record, **ends, crashes=0)


# --- files ---


def test_files(tmp_path: Path, record_property: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A performance log, a profile, a fields file, a lender's settings and a pickle: read, or refused by name."""
    file = tmp_path / "spoiled"
    scorer = Scorer(release := open_release(default_release()), open_engine("xgboost", release), process=sampler())
    logged = Scorer(release, scorer.engine, PerformanceLog(tmp_path / "p.jsonl", 1), process=sampler())
    for income in (100, 200, "not_stated"):
        logged.score({**release.form.example, "income": income})
    older = {"timestamp": "2025-01-31 09:00:00,123", "duration": 0.01, "cpu_percent": 5.0, "memory_usage_MB": 90.5}
    (log,) = tmp_path.glob("p-*.jsonl")
    lines = log.read_bytes() + b"\n" + json.dumps({**older, "prediction": 0.5, "input": {}}).encode() + b"\n"
    profiler = cProfile.Profile()
    profiler.runcall(read_lender, None)
    profiler.dump_stats(file)
    profile = file.read_bytes()
    columns = list(table()[0].columns)

    def performance_log(chance: random.Random) -> str:
        file.write_bytes(spoil_bytes(lines, chance))
        given = {"split": chance.choice([None, "1970-01-01", "2026-11-23", "small"]), "map": None, "fail_over": None}
        files = dict.fromkeys(("plot", "html", "json", "markdown"))
        assert read_logs(argparse.Namespace(files=[file], **given, **files)) in (0, 2)
        capsys.readouterr()
        return "read"

    targets = {
        "log": performance_log,
        "profile": reading(read_profile, profile, BadProfile, file),
        "fields_file": reading(lambda one: read_fields(one, columns), FIELDS.encode(), BadFields, file),
        "lender": reading(read_lender, EXAMPLE.read_bytes(), BadSetting, file),
    }
    fuzz("files", targets, 250, record_property)


def reading(read: Callable[[Path], object], whole: bytes, refusal: type[Exception], file: Path) -> Target:
    """A target that reads a spoiled file."""

    def target(chance: random.Random) -> str:
        file.write_bytes(spoil_bytes(whole, chance))
        try:
            read(file)
        except refusal as error:
            return "refused" if str(error) else "refused_without_a_word"
        return "read"

    return target


def test_pickles(tmp_path: Path, record_property: Any) -> None:
    """A pickle to adopt gives a model or a reason; its process may crash, and this one does not."""
    frame, bad = table()
    file = tmp_path / "model.pkl"
    joblib.dump(classifier(n_estimators=3).fit(frame[:300], bad[:300]), file)
    rows = np.zeros((5, frame.shape[1]), np.float32)
    read = reading(lambda one: convert(one.read_bytes(), rows, 30), file.read_bytes(), BadPickle, file)
    fuzz("pickles", {"pickle": read}, 1, record_property)


# --- the ledger and requests: an app in process, asked as a server asks it ---


PASSWORD = "a password for tests"  # noqa: S105


class Asked(NamedTuple):
    """A request as it comes off the wire."""

    method: str
    path: str  # decoded
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes


async def answer(app: Any, asked: Asked) -> int:
    """The status of the whole answer."""
    status = 0
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": asked.body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
        "method": asked.method, "path": asked.path, "raw_path": quote(asked.path).encode(),
        "query_string": asked.query, "headers": [(b"host", b"127.0.0.1"), *asked.headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return status


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    release = open_release(default_release())
    return Scorer(release, open_engine("xgboost", release), process=sampler())


@pytest.fixture
def client(scorer: Scorer, tmp_path: Path) -> Iterator[tuple[TestClient, str, Ledger]]:
    """The whole site behind a login, and a manager who is logged in, with a ledger in which a case is decided; the
    case's id."""
    settings = Settings(release=default_release(), log=None, ledger=tmp_path / "ledger.sqlite3")
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with (
        closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger,
        closing(Accounts(tmp_path / "u", None, quick)) as users,
    ):
        users.add_user("meg", "manager", PASSWORD)
        app = create_app(scorer, settings, ledger, accounts=users)
        with visiting(app) as client:
            assert client.post("/login", data={"name": "meg", "password": PASSWORD}).status_code == 200
            body = {"answers": scorer.release.form.example, "reference": "A-1"}
            id = client.post("/api/v1/score", json=body, headers={"Idempotency-Key": "k"}).json()["id"]
            unclear = {
                "name": "Ann",
                "decision": "incomplete",
                "reason_incomplete": "income",
                "justification": "A sentence.",
            }
            assert send(client, id, "decide", unclear)
            yield client, id, ledger


def test_the_ledger(scorer: Scorer, tmp_path: Path, record_property: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A spoiled file: every command ends with a status and words, and the pages and the API say it, or answer."""
    whole, copy = tmp_path / "whole.sqlite3", tmp_path / "spoiled.sqlite3"
    lender, release = read_lender(None), scorer.release
    with closing(Ledger(whole)) as ledger:
        made = scored(scorer.score(release.form.example), release, release.form.example, by="a", channel="api")
        ledger.append(made._replace(key=Key("api", "k", b"d")))
        ledger.append(decided(made.id, "refer", str(made.fields["decision"]), by="Ann", justification="A word."))
    content = whole.read_bytes()

    def prepare(chance: random.Random) -> None:
        for rest in tmp_path.glob("spoiled*"):
            rest.unlink()
        spoiled = spoil_bytes(content, chance)
        if chance.random() < 0.5:  # within a record's own text, so that SQLite has nothing to say
            at = chance.choice([found.start() for found in re.finditer(rb'[{]"', content)])
            end = content.index(b"}", at)
            spoiled = content[:at] + spoil_bytes(content[at:end], chance)[: end - at].ljust(end - at) + content[end:]
        copy.write_bytes(spoiled)

    def command(chance: random.Random) -> str:
        prepare(chance)
        arguments = chance.choice((
            ["verify"], ["replay", "--releases", str(tmp_path)], ["show", made.id], ["head"],
            ["export", f"{copy}.csv"], ["export", f"{copy}.parquet"], ["backup", f"{copy}.copy"],
            ["purge", "--before", "2020-01-01"], ["restore", str(copy), f"{copy}.restored"],
        ))  # fmt: skip
        status = ledger_command(["--ledger", str(copy), *arguments])
        said = capsys.readouterr()
        assert said.out or said.err
        return f"command_status_{status}"

    def pages(chance: random.Random) -> str:
        prepare(chance)
        try:
            opened = Ledger(copy)
        except LedgerUnavailable:
            return "pages_refused"
        with closing(opened):
            recorder = Recorder(scorer, opened)
            app = FastAPI()
            app.add_middleware(
                ApiFirst,
                router=api_router(recorder, open_jobs(scorer, Settings(release=default_release(), batch=None))),
            )
            app.include_router(CasePages(recorder, lender, Accounts(tmp_path / "none")).routes())
            app.include_router(HistoryPages(scorer, opened, lender).routes())
            path = chance.choice((
                f"/record/{made.id}", f"/fr/record/{made.id}", f"/record/{made.id}/notice",
                f"/record/{made.id}/notice.pdf", "/history", "/history/overrides", "/api/v1/decisions",
                f"/api/v1/decisions/{made.id}", "/api/v1/ledger/head",
            ))  # fmt: skip
            status = asyncio.run(answer(app, Asked("GET", path, b"", {}, b"")))
            assert status in (200, 404, 503), f"{path}: {status}"
            return f"pages_{status}"

    fuzz("ledger", {"command": command, "page": pages}, 150, record_property)


def seeds(example: dict[str, Any], id: str, session: str, shown: str) -> list[Asked]:
    """Requests that are well-formed, one for each thing that can be asked, of somebody with a session."""
    known = {b"cookie": f"{COOKIE}={session}; lang=fr".encode()}
    as_json = {**known, b"content-type": b"application/json", b"idempotency-key": b"key-1"}
    as_form = {**known, b"content-type": b"application/x-www-form-urlencoded"}
    browser = {
        **known, b"accept": b"text/html", b"accept-language": b"fr-CH, fr;q=0.9, en;q=0.8",
        b"range": b"bytes=0-99", b"if-none-match": b'"x"', b"origin": b"http://example.com",
    }  # fmt: skip
    item = {"answers": example, "reference": "A-1"}
    typed = {name: str(value) for name, value in example.items()}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/api/v1/score", item), ("/api/v1/score:batch", {"items": [item, item]}),
        ("/desk/score", {"answers": typed, "reference": "A-1", "of": ""}),
        ("/fr/desk/score", {"answers": typed, "reference": "A-1", "of": id, "seen": shown}),
        ("/desk/try", {"answers": typed, "base": example, "field": next(iter(example))}),
        ("/desk/take", {"of": id}), ("/fr/desk/take", {"of": id}),
    ]  # fmt: skip
    on_record = {
        "name": "Ann",
        "decision": "approve",
        "justification": "No.",
        "agrees": "yes",
        "note": "x",
        "up": "../",
        "seen": shown,
    }
    objection = {"name": "Cyd", "objection": "x", "reviewer": "D", "deadline": "2030-01-01", "seen": shown}
    days = {"since": "2020-01-01", "until": "2030-12-31"}
    forms: list[tuple[str, dict[str, str]]] = [
        ("/history", {"reference": "A", **days, "decision": "open", "before": "9"}),
        ("/fr/history", {"by": "Ann", "overridden": "yes", "decision": "decline"}),
        (f"/record/{id}/decide", on_record),
        (f"/record/{id}/agree", on_record),
        (f"/record/{id}/contest", objection),
    ]
    gets = [
        "/", "/fr/", "/livez", "/readyz", "/metrics", "/history", "/history/overrides", f"/record/{id}",
        f"/fr/record/{id}/notice", f"/record/{id}/notice.pdf", "/model-card", "/operations", "/api/v1/release",
        "/api/v1/ledger/head", f"/api/v1/decisions/{id}", "/api/v1/openapi.json", "/desk/x/desk.css",
    ]  # fmt: skip
    return [
        *(Asked("POST", path, b"", as_json, json.dumps(body).encode()) for path, body in bodies),
        Asked("POST", "/api/v1/decisions", b"", as_json, b'{"reference": "A-1", "kind": "scored", "limit": 5}'),
        *(Asked("POST", path, b"", as_form, urlencode(form).encode()) for path, form in forms),
        *(Asked("GET", path, b"lang=fr", browser, b"") for path in gets),
        *[Asked("GET", "/api/v1/decisions", b"limit=5&before=9&kind=scored&decision=refer", {}, b"")] * 5,
    ]


def spoil_request(asked: Asked, chance: random.Random) -> Asked:
    """One part of a request spoiled, or two; what no server would let through is left out of it."""
    for _ in range(chance.choice((1, 1, 2))):
        parts = ["body"] * 4 * bool(asked.body) + ["query", "header", "header", "path"]
        part = chance.choice(parts)
        if part == "body":
            body = spoil_bytes(asked.body, chance)
            if asked.body.startswith(b"{") and chance.random() < 0.6:
                with suppress(ValueError):  # spoiled before
                    body = spoil_json(json.loads(asked.body), chance)
            asked = asked._replace(body=body)
        elif part == "query":
            spoiled = spoil_bytes(asked.query or b"a=b", chance)
            asked = asked._replace(query=quote(spoiled, safe="&=%+;,/:?@!$'()*[]{}<>|").encode())
        elif part == "header" and asked.headers:
            name = chance.choice(list(asked.headers))
            value = bytes(byte for byte in spoil_bytes(asked.headers[name], chance) if byte >= 32 and byte != 127)
            asked = asked._replace(headers={**asked.headers, name: value.strip()})
        elif part == "path":
            path = "/" + spoil_bytes(asked.path.encode(), chance).decode("utf-8", "replace").lstrip("/")
            asked = asked._replace(path=path)
    return asked


def test_requests(client: tuple[TestClient, str, Ledger], scorer: Scorer, record_property: Any) -> None:
    """Bodies, forms, queries, headers and paths: never a server error, never an exception, and always an end."""
    asks, id, ledger = client
    begins = seeds(scorer.release.form.example, id, str(asks.cookies[COOKIE]), seen(asks, id))
    token = {b"authorization": b"Bearer tenfold_x", b"content-type": b"application/json"}
    begins.append(Asked("POST", "/api/v1/score", b"", token, b"{}"))
    # Without the cookie: a login ends the session that came along.
    entering = urlencode({"name": "meg", "password": PASSWORD, "next": f"record/{id}"}).encode()
    as_form = {b"content-type": b"application/x-www-form-urlencoded"}
    begins.append(Asked("POST", "/login", b"", as_form, entering))
    portal = asks.portal
    assert portal

    def request(chance: random.Random) -> str:
        asked = spoil_request(chance.choice(begins), chance)
        status = portal.call(answer, asks.app, asked)
        assert 200 <= status < 500, f"{status}: {asked}"
        return f"status_{status // 100}xx"

    for one in some(begins):
        assert portal.call(answer, asks.app, one) < 500
    fuzz("requests", {"request": request}, 600, record_property)
    assert ledger.problem is None
    assert verify(ledger.store).problem is None

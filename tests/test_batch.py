"""Files of applications by API and page: the same jobs, the bytes of `tenfold book`, bounds, and who sees what."""

import hashlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZipFile

import pyarrow.parquet as pq
import pytest
from book_files import NAME, applications, csv_text, parquet, score, scores
from fastapi.testclient import TestClient
from parts import NO_USERS, Time, newest, visiting
from test_accounts import three_people
from workbooks import sheet_of, write_xlsx

from inference.book import command
from inference.scorer import Scorer, open_scorer
from inference.settings import ROOT, Settings
from ledger import queries
from ledger.__main__ import main as ledger_command
from ledger.events import BOOK_SCORED, BookScored
from ledger.ledger import Ledger
from web.batch import jobs as jobs_module
from web.batch.exchange import Order
from web.batch.jobs import DONE, FAILED, READY, Job, Jobs
from web.server import create_app, open_jobs

pytestmark = pytest.mark.slow
BOOK = "/api/v1/book"
PATIENCE = 180  # seconds for a process on a busy machine


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("batch")
    return Settings(release=newest(NAME), log=None, ledger=None, users=NO_USERS, batch=folder / "no-tests-own")


@pytest.fixture(scope="module")
def scorer(settings: Settings) -> Scorer:
    return open_scorer(settings)


@pytest.fixture
def jobs(scorer: Scorer, settings: Settings, tmp_path: Path) -> Iterator[Jobs]:
    opened = open_jobs(scorer, replace(settings, batch=tmp_path / "files"))
    with closing(opened):
        yield opened


@pytest.fixture
def client(scorer: Scorer, settings: Settings, jobs: Jobs) -> Iterator[TestClient]:
    with visiting(create_app(scorer, settings, jobs=jobs), follow_redirects=False) as client:
        yield client


def named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}


def send(client: TestClient, name: str, content: bytes, query: str = "") -> dict[str, Any]:
    answer = client.post(f"{BOOK}{query}", content=content, headers=named(name))
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{BOOK}/{answer.json()['id']}"
    described: dict[str, Any] = answer.json()
    return described


def until(client: TestClient, id: str, *states: str) -> dict[str, Any]:
    """The job once it is in one of these states."""
    deadline = time.monotonic() + PATIENCE
    while True:
        described: dict[str, Any] = client.get(f"{BOOK}/{id}").json()
        if described.get("state") in states:
            return described
        assert time.monotonic() < deadline, described
        time.sleep(0.1)


def messy(n: int) -> list[dict[str, object]]:
    """Applications of which every seventh is refused."""
    rows = applications(n)
    return [{**row, "amount": "many"} if place % 7 == 3 else row for place, row in enumerate(rows)]


def test_the_result_is_that_of_the_command(client: TestClient, tmp_path: Path) -> None:
    """A CSV, an XLSX and a Parquet file by API: counts add up; bytes or rows are those of `tenfold book`."""
    rows = messy(700)
    text = csv_text(rows).encode()
    (tmp_path / "loans.csv").write_bytes(text)
    id = send(client, "loans.csv", text)["id"]
    done = until(client, id, DONE, FAILED)
    assert (done["state"], done["error"], done["rows"], done["rejected"]) == (DONE, None, 700, 100)
    assert sum(done["decisions"].values()) == 600
    assert score(tmp_path / "loans.csv", tmp_path / "scores.csv") == 0
    result = client.get(f"{BOOK}/{id}/result")
    assert result.content == (tmp_path / "scores.csv").read_bytes()
    assert result.headers["content-disposition"] == 'attachment; filename="loans-scores.csv"'
    assert client.get(f"{BOOK}/{id}/rejected").content == (tmp_path / "scores.csv.parts/rejected.csv").read_bytes()

    write_xlsx(tmp_path / "loans.xlsx", {"loans": sheet_of(rows)})
    id = send(client, "loans.xlsx", (tmp_path / "loans.xlsx").read_bytes())["id"]
    done = until(client, id, DONE, FAILED)
    assert (done["state"], done["error"], done["rows"], done["rejected"]) == (DONE, None, 700, 100)
    assert score(tmp_path / "loans.xlsx", tmp_path / "scores.xlsx", "--rows-a-part", 5000) == 0
    result = client.get(f"{BOOK}/{id}/result")
    assert result.content == (tmp_path / "scores.xlsx").read_bytes()
    assert result.headers["content-disposition"] == 'attachment; filename="loans-scores.xlsx"'
    assert client.get(f"{BOOK}/{id}/rejected").content == (tmp_path / "scores.xlsx.parts/rejected.csv").read_bytes()

    source = parquet(tmp_path / "loans.parquet", applications(700))
    id = send(client, "loans.parquet", source.read_bytes())["id"]
    assert until(client, id, DONE, FAILED)["state"] == DONE
    assert score(source, tmp_path / "out") == 0
    table = pq.read_table(io.BytesIO(client.get(f"{BOOK}/{id}/result").content))
    assert table.to_pylist() == scores(tmp_path / "out").to_pylist()


@pytest.fixture
def ledger(scorer: Scorer, tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite3")) as opened:
        yield opened


def records_of_files(ledger: Ledger) -> list[BookScored]:
    """All records of files, the oldest first."""
    with ledger.store.reading() as connection:
        events = [record.event for record in queries.newest(connection, 100, None, kind=BOOK_SCORED)]
    return [event for event in reversed(events) if isinstance(event, BookScored)]


def test_each_file_that_is_scored_is_one_record(
    scorer: Scorer, settings: Settings, ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By API with a token, and by the page: who, digests and counts, no row; a file not scored has none. The command
    that `ledger show` names gives the digest that it says."""
    users = tmp_path / "users.sqlite3"
    settings = replace(settings, users=users, batch=tmp_path / "files")
    rows = messy(40)
    text = csv_text(rows).encode()
    with closing(three_people(users)) as accounts, closing(open_jobs(scorer, settings, ledger=ledger)) as opened:
        token = accounts.add_token("nightly", "officer")
        app = create_app(scorer, settings, ledger, accounts=accounts, jobs=opened)
        with visiting(app, follow_redirects=False) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            done = until(client, send(client, quote("Zoë B.csv"), text)["id"], DONE, FAILED)
            failed = until(client, send(client, "b.csv", b"a,b\n1,2\n")["id"], DONE, FAILED)
            assert (failed["state"], failed["record"]) == (FAILED, None)
            checked = send(client, "c.csv", text, "?for=page")["id"]
            assert until(client, checked, READY)["record"] is None
            assert len(records_of_files(ledger)) == 1
            client.post(f"/batch/{checked}/score")
            second = until(client, checked, DONE, FAILED)
            page = client.get(f"/batch/{checked}").text
    first, by_page = records_of_files(ledger)
    assert [first.id, by_page.id] == [done["record"], second["record"]]
    assert f"record of this file, {by_page.id}" in page
    for event in (first, by_page):
        assert (event.by, event.rows, event.scored, event.rejected) == ("nightly", 40, 34, 6)
        assert event.input == hashlib.sha256(text).hexdigest()
        assert (event.release, event.engine) == (scorer.release.digest, "xgboost")
    assert (first.files, first.folder) == (("Zo_B.csv",), f"batch/{done['id']}")
    assert by_page.files == ("c.csv",)

    assert ledger_command(["--ledger", str(ledger.store.path), "show", first.id]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert "000000000007" not in json.dumps(shown)
    (tmp_path / "Zo_B.csv").write_bytes(text)
    words = [{"Zo_B.csv": str(tmp_path / "Zo_B.csv"), "OUT": str(tmp_path / "again")}.get(word, word)
             for word in shlex.split(shown["repeat"])]  # fmt: skip
    assert words[:2] == ["tenfold", "book"]
    assert command.main(words[2:]) == 0
    assert json.loads((tmp_path / "again" / "_SUCCESS").read_bytes())["sha256"] == first.output


def test_scores_that_cannot_be_recorded_are_not_given(
    scorer: Scorer, settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    """The ledger is closed under the server: the file failed, its scores are nowhere, and the page says what to do."""
    settings = replace(settings, batch=tmp_path / "files")
    with (
        closing(open_jobs(scorer, settings, ledger=ledger)) as opened,
        visiting(create_app(scorer, settings, ledger, jobs=opened)) as client,
    ):
        ledger.close()
        id = send(client, "a.csv", csv_text(applications(5)).encode())["id"]
        failed = until(client, id, DONE, FAILED)
        assert failed["state"] == FAILED
        assert "The ledger could not record it" in failed["error"]
        assert client.get(f"{BOOK}/{id}/result").status_code == 409
        assert opened.result_of(opened._jobs[id]) is None


def test_a_public_demonstration_records_no_file(
    scorer: Scorer, settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    """Nothing of a file is kept there, its name and its sender's network among it."""
    demo = replace(settings, public_demo=True, batch=tmp_path / "files")
    with (
        closing(open_jobs(scorer, demo, ledger=ledger)) as opened,
        visiting(create_app(scorer, demo, ledger, jobs=opened)) as client,
    ):
        done = until(client, send(client, "a.csv", csv_text(applications(5)).encode())["id"], DONE, FAILED)
    assert (done["state"], done["record"]) == (DONE, None)
    assert records_of_files(ledger) == []


def test_a_mapping_by_api_and_what_is_missing_without_it(client: TestClient) -> None:
    """`map` names the column of a field; without it the file is refused with the nearest names."""
    text = csv_text([{("LoanAmt" if name == "amount" else name): value for name, value in row.items()}
                     for row in applications(20)]).encode()  # fmt: skip
    failed = until(client, send(client, "a.csv", text)["id"], DONE, FAILED)
    assert failed["state"] == FAILED
    assert "amount" in failed["error"]
    assert "/" not in failed["error"].partition(":")[0]
    done = until(client, send(client, "a.csv", text, "?map=amount=LoanAmt&reasons=all")["id"], DONE, FAILED)
    assert (done["state"], done["rows"]) == (DONE, 20)


@pytest.mark.parametrize(
    ("query", "headers", "content", "status", "kind"),
    [
        ("?colour=red", named("a.csv"), b"x", 422, "invalid-request"),
        ("?map=nothing=a", named("a.csv"), b"x", 422, "invalid-request"),
        ("?map=amount=a&map=amount=b", named("a.csv"), b"x", 409, "columns-clash"),
        ("?map=amount=term", named("a.csv"), b"x", 409, "columns-clash"),
        ("?decimal=;", named("a.csv"), b"x", 422, "invalid-request"),
        ("?separator=ab", named("a.csv"), b"x", 422, "invalid-request"),
        ("?encoding=../x", named("a.csv"), b"x", 422, "invalid-request"),
        ("", named("a.exe"), b"x", 415, "no-such-format"),
        ("", {"Content-Type": "image/png"}, b"x", 415, "no-such-format"),
        ("", named("a.csv"), b"", 422, "empty"),
    ],
)
def test_what_is_no_file_is_refused(
    client: TestClient, query: str, headers: dict[str, str], content: bytes, status: int, kind: str
) -> None:
    """With what is wrong, and nothing of it stays."""
    answer = client.post(BOOK + query, content=content, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:tenfold:{kind}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(BOOK).json() == {"items": []}


def test_bytes_and_number_are_bounded(
    client: TestClient, jobs: Jobs, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too large by its length or while it comes, or one too many: refused, and nothing stays on disk."""
    jobs.largest = 1000
    answer = client.post(BOOK, content=b"x" * 1001, headers=named("a.csv"))
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:tenfold:too-large")
    answer = client.post(BOOK, content=iter([b"x" * 600, b"x" * 600]), headers=named("a.csv"))
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:tenfold:too-large")
    jobs.bytes = 10
    answer = client.post(BOOK, content=b"x" * 11, headers=named("a.csv"))
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:tenfold:disk")
    jobs.bytes = 1 << 30
    assert [path.name for path in jobs.begin().iterdir()] == [".lock"]
    monkeypatch.setattr(jobs_module, "MOST_UNFINISHED", 0)
    answer = client.post(BOOK, content=b"x", headers=named("a.csv"))
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:tenfold:unfinished")
    monkeypatch.setattr(jobs_module, "MOST_OF_OWNER", 0)
    answer = client.post(BOOK, content=b"x", headers=named("a.csv"))
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:tenfold:number")


def test_a_running_file_is_deleted_with_its_process(client: TestClient, jobs: Jobs) -> None:
    """DELETE while it is scored: no process and no byte of it is left."""
    id = send(client, "a.csv", csv_text(applications(2000)).encode())["id"]
    folder = jobs.begin() / id
    assert folder.exists()
    assert client.delete(f"{BOOK}/{id}").status_code == 204
    assert client.get(f"{BOOK}/{id}").status_code == 404
    wait_for(lambda: not folder.exists())
    assert not processes(id)


def processes(word: str) -> list[str]:
    """Command lines that hold a word."""
    lines = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if word in line:
            lines.append(line)
    return lines


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_files_are_removed_when_their_time_is_over(
    scorer: Scorer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees one any longer, and the next look removes its bytes."""
    time_now = Time(1_000_000.0)
    monkeypatch.setattr(Jobs, "now", property(lambda self: time_now.now))
    opened = open_jobs(scorer, settings)
    with closing(opened):
        folder = ready(opened, "somebody")
        (id,) = [job.id for job in opened.of("somebody")]
        time_now.now += 24 * 3600 - 1
        assert opened.get(id, "somebody") is not None
        time_now.now += 1
        assert opened.get(id, "somebody") is None
        assert opened.of("somebody") == []
        opened.clean()
        assert not folder.exists()


def ready(opened: Jobs, owner: str, state: str = READY) -> Path:
    """The folder of a job as an earlier request may have left it."""
    job = Job(
        id=os.urandom(16).hex(), owner=owner, name="a.csv", created=opened.now, order=Order(file="a.csv", most_rows=5)
    )
    folder = opened.begin() / job.id
    (folder / "input").mkdir(parents=True)
    (folder / "input" / "a.csv").write_text(csv_text(applications(3)))
    opened._jobs[job.id] = job
    opened._set(job, state)
    return folder


def test_a_killed_server_leaves_nothing_that_the_next_one_does_not_clean(settings: Settings, tmp_path: Path) -> None:
    """kill -9 while a file is being sent, one is scored and one is done: the next server has the last one, and removes
    the others; the process that scored is gone."""
    files = tmp_path / "files"
    environment = {
        **os.environ, "TENFOLD_BATCH": str(files), "TENFOLD_LEDGER": "off", "TENFOLD_LOG": "off",
        "TENFOLD_USERS": "off", "TENFOLD_SECURITY_LOG": "off", "TENFOLD_RELEASE": str(settings.release),
        "PORT": str(free_port()),
    }  # fmt: skip
    url = f"http://127.0.0.1:{environment['PORT']}"
    import httpx

    def start() -> "subprocess.Popen[bytes]":
        server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)

        def is_ready() -> bool:
            assert server.poll() is None
            try:
                return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
            except httpx.HTTPError:
                return False

        wait_for(is_ready)
        return server

    server = start()
    try:
        small = httpx.post(url + BOOK, content=csv_text(applications(5)), headers=named("a.csv")).json()["id"]
        wait_for(lambda: bool(httpx.get(f"{url}{BOOK}/{small}").json()["state"] == DONE))
        scored = httpx.post(url + BOOK, content=csv_text(applications(20_000)), headers=named("b.csv")).json()["id"]
        wait_for(lambda: bool(processes(scored)))
        stop = threading.Event()

        def endless() -> Iterator[bytes]:
            yield b"x" * (2 << 20)
            stop.wait(PATIENCE)

        def upload() -> None:
            with suppress(httpx.HTTPError):  # the server is killed meanwhile
                httpx.post(url + BOOK, content=endless(), headers=named("c.csv"), timeout=PATIENCE)

        sending = threading.Thread(target=upload)
        sending.start()
        wait_for(lambda: len(list(files.glob("*/*/input/c.csv"))) == 1)
        server.send_signal(signal.SIGKILL)
        server.wait()
        stop.set()
        sending.join()
        wait_for(lambda: not processes(scored))
        assert len(list(files.glob("*/*/job.json"))) >= 2
        server = start()
        assert [item["id"] for item in httpx.get(url + BOOK).json()["items"]] == [small]
        assert len(httpx.get(f"{url}{BOOK}/{small}/result").content) > 300
        assert sorted(path.name for path in files.glob("*/*") if path.is_dir()) == [small]
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_everybody_sees_their_own_files(scorer: Scorer, settings: Settings, tmp_path: Path) -> None:
    """Three people and the routes of page and API: somebody else's file, even for a manager, is not there; the security
    log notes who read which."""
    users = tmp_path / "users.sqlite3"
    with closing(three_people(users)) as accounts, closing(open_jobs(scorer, replace(settings, users=users))) as opened:
        token, other = accounts.add_token("nightly", "officer"), accounts.add_token("other", "manager")
        app = create_app(scorer, replace(settings, users=users), accounts=accounts, jobs=opened)
        with visiting(app, follow_redirects=False) as client:
            own, foreign = ({"Authorization": f"Bearer {secret}"} for secret in (token, other))
            content = csv_text(applications(5)).encode()
            answer = client.post(BOOK, content=content, headers={**own, **named("a.csv")})
            assert answer.status_code == 202
            id = answer.json()["id"]
            assert client.post(BOOK, content=content, headers=named("a.csv")).status_code == 401
            paths = [f"{BOOK}/{id}{rest}" for rest in ("", "/result", "/rejected")]
            paths += [f"/batch/{id}{rest}" for rest in ("", "/progress", "/result", "/rejected", "/row?n=0")]
            assert {path: client.get(path, headers=foreign).status_code for path in paths} == dict.fromkeys(paths, 404)
            for action in ("check", "score", "cancel", "delete"):
                client.post(f"/batch/{id}/{action}", headers=foreign)
            assert client.delete(f"{BOOK}/{id}", headers=foreign).status_code == 404
            assert client.get(BOOK, headers=foreign).json() == {"items": []}
            assert [item["id"] for item in client.get(BOOK, headers=own).json()["items"]] == [id]


def test_a_public_demonstration_takes_few_rows_and_keeps_nothing(scorer: Scorer, settings: Settings) -> None:
    """500 rows and no more, nobody's list, and the files are gone when the server stops."""
    demo = replace(settings, public_demo=True, batch=settings.batch / "demo" if settings.batch else None)
    opened = open_jobs(scorer, demo)
    with closing(opened), visiting(create_app(scorer, demo, jobs=opened)) as client:
        rows = applications(501)
        assert until(client, send(client, "a.csv", csv_text(rows[:500]).encode())["id"], DONE, FAILED)["state"] == DONE
        failed = until(client, send(client, "a.csv", csv_text(rows).encode())["id"], DONE, FAILED)
        assert (failed["state"], failed["error"]) == (FAILED, "a.csv has more than 500 rows")
        assert client.get(BOOK).json() == {"items": []}
        assert opened.mappings.remembered("anybody") == {}
        assert client.post(BOOK, content=b"x" * (300 << 10), headers=named("a.csv")).status_code == 413
    assert list((demo.batch or Path()).glob("*/*")) == []


def test_without_its_packages_the_page_says_what_to_install(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is there, in both languages, with the two commands alone; the API answers with a problem."""
    monkeypatch.setattr(jobs_module, "is_installed", lambda name: False)
    for path in ("/batch", "/fr/batch"):
        page = client.get(path)
        assert page.status_code == 200
        commands = re.findall(r"<code>(.*?)</code>", page.text)
        assert commands == ["make setup", "pip install -e &#39;.[book]&#39;"]
        assert 'type="file"' not in page.text
    answer = client.post(BOOK, content=b"x", headers=named("a.csv"))
    assert (answer.status_code, answer.json()["type"]) == (501, "urn:tenfold:no-files")


def test_a_check_proposes_columns_and_shows_problems(client: TestClient, jobs: Jobs) -> None:
    """Columns by name, by label and as an earlier file had them; ten rows with their problems; all counted."""
    rows = [{("LoanAmt" if name == "amount" else "Term" if name == "term" else name): value
             for name, value in row.items()} for row in messy(700)]  # fmt: skip
    text = csv_text(rows, ";").encode()
    id = send(client, "a.csv", text, "?for=page")["id"]
    until(client, id, READY)
    job = jobs.get(id, "everybody")
    assert job is not None
    check = jobs.check_of(job)
    assert check is not None
    assert (check.problem, check.detail, check.mapping["term"], check.reference) == (
        "missing",
        "amount",
        "Term",
        "loan_id",
    )
    mapping = {f"field-{name}": column for name, column in {**check.mapping, "amount": "LoanAmt"}.items()}
    assert client.post(f"/batch/{id}/check", data={**mapping, "reference": "loan_id"}).status_code == 303
    until(client, id, READY)
    check = jobs.check_of(job)
    assert check is not None
    assert (check.problem, check.rows, check.refused, len(check.sample)) == ("", 700, 100, 10)
    assert [row.row for row in check.sample if row.problems] == [5]
    assert client.post(f"/batch/{id}/score").status_code == 303
    assert until(client, id, DONE, FAILED)["state"] == DONE
    outcome = jobs.outcome_of(job)
    assert outcome is not None
    assert sum(map(sum, outcome.histogram)) == outcome.scored == 600
    values = json.loads(client.get(f"/batch/{id}/row?n=0").content)["values"]
    assert len(values) >= len(check.mapping)
    assert client.get(f"/batch/{id}/row?n=700").status_code == 404
    second = send(client, "b.csv", text, "?for=page")["id"]
    until(client, second, READY)
    again = jobs.get(second, "everybody")
    assert again is not None
    remembered = jobs.check_of(again)
    assert remembered is not None
    assert (remembered.problem, remembered.mapping["amount"]) == ("", "LoanAmt")


def test_a_workbook_by_the_page(client: TestClient, tmp_path: Path) -> None:
    """XLSX in, its rows numbered as in the spreadsheet, each opened in the form; XLSX out, as the command has it."""
    rows = messy(60)
    write_xlsx(tmp_path / "loans.xlsx", {"loans": [[], *sheet_of(rows)]})
    id = send(client, "loans.xlsx", (tmp_path / "loans.xlsx").read_bytes(), "?for=page")["id"]
    assert until(client, id, READY, FAILED)["error"] is None
    client.post(f"/batch/{id}/score")
    done = until(client, id, DONE, FAILED)
    assert (done["state"], done["rows"], done["rejected"]) == (DONE, 60, 9)
    page = client.get(f"/batch/{id}?show=refused").text
    assert re.findall(r'<th scope="row">(\d+)</th>', page)[:2] == [
        "6",
        "13",
    ]  # the first row is empty, the second names
    opened = json.loads(client.get(f"/batch/{id}/row?n=0").content)
    assert "Row 3 of loans.xlsx." in opened["html"]
    result = client.get(f"/batch/{id}/result")
    assert result.headers["content-disposition"] == 'attachment; filename="loans-scores.xlsx"'
    assert score(tmp_path / "loans.xlsx", tmp_path / "scores.xlsx", "--rows-a-part", 5000) == 0
    assert result.content == (tmp_path / "scores.xlsx").read_bytes()


def test_the_page_takes_no_more_rows_than_it_says(client: TestClient, jobs: Jobs) -> None:
    """A file with one row more than allowed is refused before anything is scored."""
    jobs.page_rows = 20
    id = send(client, "a.csv", csv_text(applications(21)).encode(), "?for=page")["id"]
    until(client, id, READY)
    job = jobs.get(id, "everybody")
    assert job is not None
    check = jobs.check_of(job)
    assert check is not None
    assert (check.problem, check.detail) == ("too_many", "20")
    client.post(f"/batch/{id}/score")
    assert client.get(f"{BOOK}/{id}").json()["state"] == READY
    assert "more than 20 rows" in client.get(f"/batch/{id}").text


def test_a_file_that_crashes_its_reader_harms_nothing_else(client: TestClient) -> None:
    """Not Parquet at all, and cut Parquet: an error without this server's folders, and the next file is scored."""
    whole = parquet_bytes()
    for content in (b"PAR1" + b"\0" * 200, whole[: len(whole) // 2]):
        failed = until(client, send(client, "a.parquet", content)["id"], DONE, FAILED)
        assert failed["state"] == FAILED
        assert failed["error"]
        assert str(ROOT) not in failed["error"]
        assert "/tmp" not in failed["error"]  # noqa: S108 - a text that must not be there
    assert until(client, send(client, "a.parquet", whole)["id"], DONE, FAILED)["state"] == DONE


def test_odd_files_are_refused_or_read_as_by_the_command(client: TestClient, tmp_path: Path) -> None:
    """By API and by the page: several files in one, a formula that nobody computed, an error in a cell, an archive."""
    rows = applications(40)
    write_xlsx(tmp_path / "a.xlsx", {"loans": sheet_of(rows)})
    cells = {"error": 't="e"><v>#N/A</v></c>', "formula": "><f>100+31</f></c>"}
    for name, cell in cells.items():
        changed_workbook(tmp_path / "a.xlsx", tmp_path / f"{name}.xlsx", f'<c r="E3" {cell}')
    for name, content, words in (
        ("twice.parquet", parquet_bytes() * 2, "several files, one written after another"),
        ("formula.xlsx", (tmp_path / "formula.xlsx").read_bytes(), "cell E3 holds a formula"),
        ("archive.csv", tarred(csv_text(rows)), "its first row is no text"),
    ):
        for query in ("", "?for=page"):
            failed = until(client, send(client, name, content, query)["id"], DONE, FAILED, READY)
            assert failed["state"] == FAILED, name
            assert words in failed["error"]
    for query in ("", "?for=page"):
        id = send(client, "error.xlsx", (tmp_path / "error.xlsx").read_bytes(), query)["id"]
        if query:
            assert until(client, id, READY, FAILED)["error"] is None
            client.post(f"/batch/{id}/score")
        done = until(client, id, DONE, FAILED)
        assert (done["state"], done["rows"], done["rejected"]) == (DONE, 40, 1)
        assert "error.xlsx,3,income,not_a_number," in client.get(f"{BOOK}/{id}/rejected").text


def changed_workbook(file: Path, changed: Path, cell: str) -> None:
    """The same with another cell E3."""
    with ZipFile(file) as before, ZipFile(changed, "w") as after:
        for name in before.namelist():
            content = before.read(name).decode()
            after.writestr(name, re.sub(r'<c r="E3".*?</c>', cell, content))


def tarred(text: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("a.csv")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def parquet_bytes() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return parquet(Path(folder) / "a.parquet", applications(50)).read_bytes()

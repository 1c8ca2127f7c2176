"""Applicants' data in five scripts through every door of a real server and the commands: only the ledger, what somebody
asked for, and the answers to those who may read them hold any of it. No log, no address, no other file does."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from canaries import ALL, SHORT, WORDS, forms, left_in, letters_in
from test_accounts import PASSWORD, three_people

from inference.fields import NumberField
from inference.release import open_release
from inference.settings import ROOT, default_release
from profiling.benchmarks.serving import free_port
from web.lender import EXAMPLE, PLACEHOLDERS

pytestmark = pytest.mark.slow

PATIENCE = 600  # seconds for what takes some on a quiet machine; nothing is asserted about them
FORM = open_release(default_release()).form
EVERY = [*WORDS.values(), ALL]


@dataclass
class Site:
    """A running `python app.py` in a folder of its own, and what was seen of it from outside."""

    folder: Path
    url: str = ""
    seen: dict[str, bytes] = field(default_factory=dict)  # addresses and heads of answers, by request
    pages: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = self.folder / "files"
        (self.files / "tmp").mkdir(parents=True)
        self.ledger = self.files / "ledger.sqlite3"
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.files), "TMPDIR": str(self.files / "tmp"),
            "TENFOLD_LEDGER": str(self.ledger), "TENFOLD_USERS": str(self.files / "users.sqlite3"),
            "TENFOLD_LOG": str(self.files / "predictions.jsonl"), "TENFOLD_LENDER": str(self.folder / "lender.toml"),
            "TENFOLD_SECURITY_LOG": str(self.files / "security.jsonl"), "PYTHONWARNINGS": "default",
        }  # fmt: skip

    def command(self, *words: str, given: str = "", **environment: str) -> "subprocess.CompletedProcess[bytes]":
        """A command of ours."""
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=ROOT, env={**self.environment, **environment},
            input=given.encode(), capture_output=True,
        )  # fmt: skip

    def written(self) -> dict[str, bytes]:
        """All that lies in the folder but the ledger."""
        return {
            str(file.relative_to(self.folder)): file.read_bytes()
            for file in self.files.rglob("*")
            if file.is_file() and not file.name.startswith("ledger.sqlite3")
        }


def lender_file(file: Path) -> None:
    """The example with no placeholders, the canaries in its texts, and a second person for every amount."""
    text = EXAMPLE.read_text("utf-8")
    for placeholder in PLACEHOLDERS:
        text = text.replace(placeholder, ALL)
    file.write_text(text.replace("# officer = 50000", "officer = 1"), "utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("canaries"))
    lender_file(made.folder / "lender.toml")
    with closing(three_people(made.files / "users.sqlite3")) as accounts:
        tokens = {role: accounts.add_token(f"core-{role}", role) for role in ("officer", "manager")}
    port = free_port()
    made.url = f"http://127.0.0.1:{port}"
    with (made.files / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env={**made.environment, "PORT": str(port)},
            stdout=output, stderr=output,
        )  # fmt: skip
        try:
            until = time.monotonic() + PATIENCE
            while not ready(made.url):
                going = process.poll() is None and time.monotonic() < until
                assert going, (made.files / "output.txt").read_text()
                time.sleep(0.1)
            visit(made, tokens)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
    return made


def ready(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/readyz").status_code == 200
    return False


def visit(site: Site, tokens: dict[str, str]) -> None:
    """Everything that people and systems do, with canaries in all that they write."""

    def noted(answer: httpx.Response) -> None:
        at = f"{len(site.seen)} {answer.request.method} {answer.status_code}"
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        site.seen[at] = head.encode("latin-1", "replace")

    def client(**headers: str) -> httpx.Client:
        return httpx.Client(
            base_url=site.url, headers={"Origin": site.url, **headers}, timeout=PATIENCE,
            event_hooks={"response": [noted]}, follow_redirects=False,
            limits=httpx.Limits(max_keepalive_connections=0),  # the server closes those that nobody uses
        )  # fmt: skip

    with client() as ann, client() as meg, client(Authorization=f"Bearer {tokens['officer']}") as core:
        for word in EVERY:
            for name, password in ((word, PASSWORD), ("ann", word), (word, word)):
                ann.post("/login", data={"name": name, "password": password, "next": word})
        for who, person in (("ann", ann), ("meg", meg)):
            until = time.monotonic() + PATIENCE
            while (answer := person.post("/login", data={"name": who, "password": PASSWORD})).status_code == 429:
                assert time.monotonic() < until
                time.sleep(float(answer.headers.get("retry-after", 1)))
            assert answer.status_code == 303, answer.status_code
        wrong_answers(ann, core)
        strangers(site, core)
        for at, word in enumerate(EVERY):
            case(site, ann, meg, core, word[:60], at)
        broken_records(site, ann, core)


def wrong_answers(ann: httpx.Client, core: httpx.Client) -> None:
    """Canaries where numbers belong, as names of fields, as keys, in bodies that are no JSON."""
    example = FORM.example
    numbers = [one.name for one in FORM.fields if isinstance(one, NumberField)]
    assert len(numbers) >= 3
    for word in EVERY:
        for answers in (
            {**example, numbers[0]: word},
            dict.fromkeys(example, word),
            {**example, word: 1},
            {word: word},
        ):
            assert core.post("/api/v1/score", json={"answers": answers, "reference": word[:60]}).status_code == 422
            for path in ("/desk/score", "/fr/desk/score", "/desk/try", "/desk/read", "/desk/take"):
                ann.post(path, json={"answers": answers, "reference": word, "of": word, "seen": word, word: word})
            core.post("/api/v1/score:batch", json={"items": [{"answers": answers}, {"answers": word}, word]})
            for data in (list(answers.values()), [word], [word] * 10, [{word: word}] * 10):
                core.post("/gradio_api/run/predict_credit_score", json={"data": data})
                ann.post("/gradio_api/queue/join", json={"data": data, "fn_index": 0, "session_hash": "s1"})
                ann.post("/gradio_api/run/predict_credit_score", json={"data": data, "session_hash": word})
        core.post("/api/v1/score", json={"answers": example, "reference": word * 9})
        core.post("/api/v1/score", json={"answers": example, "reference": f"{word[:20]}\u0007"})
        broken = json.dumps({"answers": example, "reference": word}, ensure_ascii=False).encode()
        for body in (broken[:-3], broken[:-9] + b'\xff"}}', broken.replace(b"1", b"NaN"), word.encode("utf-16")):
            core.post("/api/v1/score", content=body, headers={"Content-Type": "application/json"})
            ann.post("/desk/score", content=body, headers={"Content-Type": "application/json"})
        surrogate = b'{"answers": {"amount": "\\ud800 %b"}}' % json.dumps(word)[1:-1].encode()
        core.post("/api/v1/score", content=surrogate, headers={"Content-Type": "application/json"})
        core.post("/api/v1/score", json={"answers": example}, headers={b"Idempotency-Key": word.encode()})


def strangers(site: Site, core: httpx.Client) -> None:
    """Canaries in paths, queries, heads and uploads, with a token and without."""
    for word in WORDS.values():
        for asked in (core, httpx.Client(base_url=site.url)):
            for path in (f"/{word}", f"/record/{word}", f"/fr/record/{word}/notice.pdf", f"/api/v1/decisions/{word}"):
                asked.get(
                    path, headers={b"User-Agent": word.encode(), b"Referer": word.encode(), b"Cookie": word.encode()}
                )
            asked.get("/operations", params={"language": word, word: word})
            asked.get("/api/v1/decisions", params={"reference": word, "kind": word, word: word})
            asked.post("/gradio_api/upload", files={"files": (f"{word}.csv", word.encode(), "text/csv")})
            asked.post("/login", content=word.encode() * 2000)
            if asked is not core:
                asked.close()


def case(site: Site, ann: httpx.Client, meg: httpx.Client, core: httpx.Client, word: str, at: int) -> None:
    """A case from the score to the notice: a decision, a second person, an objection, a hold."""
    texts = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in FORM.example.items()}
    scored = ann.post("/desk/score", json={"answers": texts, "reference": word, "of": None, "seen": None})
    assert scored.status_code == 200
    found = ann.post("/api/v1/decisions", json={"reference": word}).json()["items"]
    assert len(found) == 1, (word, found)
    id = found[0]["id"]
    made = core.post("/api/v1/score:batch", json={"items": [{"answers": FORM.example, "reference": word}]}).json()
    assert made["items"][0]["recorded"]

    def send(person: httpx.Client, action: str, **form: str) -> None:
        seen = re.search(r'data-seen="([^"]+)"', person.get(f"/record/{id}").text)
        assert seen
        answer = person.post(f"/record/{id}/{action}", data={"seen": seen[1], **form})
        assert answer.headers.get("x-recorded") == "yes", (action, answer.text)

    codes = tomllib.loads(EXAMPLE.read_text("utf-8"))
    reason = {f"reason_{went}": codes[went][0]["code"] for went in ("more_lenient", "stricter", "incomplete")}
    ann.post(f"/record/{id}/decide", data={"seen": word, "decision": word, "justification": word, "conditions": word})
    send(
        ann,
        "decide",
        decision="approve_changed",
        justification=f"{word} why so",
        conditions=f"{word} conditions",
        **reason,
    )
    send(meg, "agree", agrees="yes", note=f"{word} a note of it")
    send(meg, "hold", hold_reason=f"{word} is why it is held")
    send(meg, "release", hold_reason=f"{word} is why it is not")
    send(ann, "notified", language="fr")
    for language in ("en", "fr"):
        for prefix in ("", "/fr"):
            page = ann.get(f"{prefix}/record/{id}/notice?lang={language}")
            assert word in page.text
            site.pages[f"notice {at} {language}{prefix}"] = page.content
            assert ann.get(f"{prefix}/record/{id}/notice.pdf?lang={language}").content.startswith(b"%PDF-")
    send(ann, "contest", objection=f"{word} is the objection", reviewer="bob", deadline="")
    for prefix in ("", "/fr"):
        page = ann.get(f"{prefix}/record/{id}")
        assert f"{word} is the objection" in page.text
        site.pages[f"record {at}{prefix}"] = page.content
        listed = ann.post(f"{prefix}/history", data={"reference": word, "by": word})
        site.pages[f"history {at}{prefix}"] = listed.content
    assert ann.post("/desk/take", json={"of": id}).status_code == 200


def broken_records(site: Site, ann: httpx.Client, core: httpx.Client) -> None:
    """Records damaged on disk, so that what reads them fails with an applicant's data in hand."""
    damages = [
        b'{"reference": "' + b"\xff" + ALL.encode() + b'"}',
        *(json.dumps(one, ensure_ascii=False).encode() for one in (
            [ALL], ALL, {"answers": ALL, "reference": [ALL]}, {"answers": dict.fromkeys(FORM.names, ALL)},
            {"answers": {ALL: 1}}, {"answers": {**FORM.example, FORM.names[0]: ALL}},
        )),
    ]  # fmt: skip
    with closing(sqlite3.connect(site.ledger, timeout=PATIENCE)) as ledger:
        made = ledger.execute("SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql > ''")
        for kind, name in made.fetchall():
            ledger.execute(f"DROP {kind} {name}")
        rows = ledger.execute(
            "SELECT p.seq, e.id FROM personal p JOIN entries e ON e.seq = p.seq WHERE e.kind = 'scored' ORDER BY p.seq"
        ).fetchall()
        assert len(rows) > len(damages)
        for (seq, _), damage in zip(rows, damages, strict=False):
            ledger.execute("UPDATE personal SET body = CAST(? AS TEXT) WHERE seq = ?", [damage, seq])
        ledger.commit()
    for _, id in rows[: len(damages)]:
        for path in (f"/record/{id}", f"/fr/record/{id}", f"/record/{id}/notice", f"/record/{id}/notice.pdf"):
            ann.get(path)
        core.get(f"/api/v1/decisions/{id}")
        ann.post("/desk/take", json={"of": id})
        ann.post(f"/record/{id}/decide", data={"seen": "1", "decision": "decline", "justification": ALL})
    ann.post("/history", data={"reference": SHORT})
    core.get("/api/v1/decisions", params={"limit": "500"})


def test_the_canaries_would_be_found() -> None:
    """Each in each way of writing it, and a part of it; other texts hold none."""
    for name, word in WORDS.items():
        for form in forms(word):
            assert left_in(b"x" + form + b"x") == [name], form
        assert left_in(f"a {word[-4:]} b".encode()) == [name]
    assert left_in((ROOT / "web/pages/texts/fr.json").read_bytes() + (ROOT / "README.md").read_bytes()) == []


def test_no_log_and_no_other_file_holds_any(site: Site) -> None:
    """What the server printed, both logs, the file of users, temporary files."""
    written = site.written()
    names = " ".join(written)
    assert all(one in names for one in ("output.txt", "predictions-", "security-", "users.sqlite3"))
    assert b"record_read" in b"".join(written.values())
    assert {name: left for name, content in written.items() if (left := left_in(content))} == {}
    logs = {name: text for name, text in written.items() if name.endswith((".txt", ".jsonl"))}
    assert len(logs) >= 3
    letters = {name: letters_in(text.decode("utf-8", "replace")) for name, text in logs.items()}
    assert {name: found for name, found in letters.items() if found} == {}
    assert {name: left for name in written if (left := left_in(name.encode()))} == {}


def test_the_ledger_and_the_pages_hold_them(site: Site) -> None:
    """Or the other tests would look for what never was there."""
    ledger = b"".join(file.read_bytes() for file in site.files.glob("ledger.sqlite3*"))
    assert left_in(ledger) == list(WORDS)
    assert len(site.pages) == 10 * len(EVERY) - 2 * len(EVERY)
    assert left_in(b"".join(site.pages.values())) == list(WORDS)


def test_no_address_and_no_head_holds_any(site: Site) -> None:
    """Heads of all answers, and every address in every page."""
    assert len(site.seen) > 500
    assert {at: left for at, head in site.seen.items() if (left := left_in(head))} == {}
    addresses = [
        address for page in site.pages.values()
        for address in re.findall(rb'(?:href|src|action|formaction|poster|data-url)="([^"]*)"', page)
    ]  # fmt: skip
    assert len(addresses) > 100
    assert [address for address in addresses if left_in(address)] == []


def test_what_failed_was_said_without_them(site: Site) -> None:
    """The damaged records came up in the server's log: by their kind and place."""
    said = (site.files / "output.txt").read_text()
    assert said.count("ledger: ") >= 3


@pytest.mark.parametrize(
    "words",
    [
        ["verify"], ["head"], ["replay"], ["backup", "BACKUP"], ["export", "EXPORT.csv"], ["export", "EXPORT.parquet"],
        ["stamp", "STAMPS"], ["purge", "--before", "2020-01-01"], ["clean"], ["show", ALL], ["show", "FIRST"],
    ],
    ids=lambda words: " ".join(words)[:20],
)  # fmt: skip
def test_no_command_says_any(site: Site, words: Sequence[str], tmp_path: Path) -> None:
    """Of the ledger with damaged records: neither what it prints nor its errors, but for what it was asked with."""
    with closing(sqlite3.connect(site.ledger)) as ledger:
        first = ledger.execute("SELECT e.id FROM entries e JOIN personal p ON p.seq = e.seq ORDER BY e.seq").fetchone()[
            0
        ]
    paths = {"BACKUP": tmp_path / "b", "EXPORT.csv": tmp_path / "e.csv", "EXPORT.parquet": tmp_path / "e.parquet",
             "STAMPS": tmp_path / "s", "FIRST": first}  # fmt: skip
    done = site.command("ledger", *(str(paths.get(word, word)) for word in words))
    said = done.stdout + done.stderr
    assert said
    assert b"Traceback" not in said
    if words[0] != "show":  # which shows what it was asked for
        assert left_in(said) == []


def test_scoring_in_a_shell_leaves_none(site: Site) -> None:
    """`python -m inference score` with wrong and right answers: its log holds none."""
    file = site.folder / "application.json"
    log = site.files / "shell.jsonl"
    for answers in ({**FORM.example, FORM.names[0]: ALL}, {ALL: 1}, FORM.example):
        file.write_text(json.dumps(answers, ensure_ascii=False), "utf-8")
        done = site.command("inference", "score", str(file), TENFOLD_LOG=str(log))
        assert b"Traceback" not in done.stderr
    written = {name: content for name, content in site.written().items() if "shell" in name}
    assert len(written) >= 1
    assert {name: left for name, content in written.items() if (left := left_in(content))} == {}

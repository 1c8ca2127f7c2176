"""The programs in docs/webhooks*.md, run as they stand there: one verifies, one sends mail, one writes into Frappe."""

import base64
import json
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx
import pytest
import webhook_receiver
from test_accounts import PASSWORD, three_people
from test_restart import first

from inference.release import open_release
from inference.settings import ROOT, default_release
from ledger.__main__ import main
from ledger.endpoints import new_secret, webhooks_from
from ledger.outbox import KINDS
from ledger.webhooks import body_of, signed_headers
from profiling.benchmarks.serving import free_port
from web.lender import EXAMPLE

PAGES = ("webhooks.md", "webhooks-email.md", "webhooks-frappe.md")
TEXT = {page: (ROOT / "docs" / page).read_text("utf-8") for page in PAGES}
SECRET = new_secret()
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))
CANARY = "Žofie Canary"
PATIENCE = 120  # seconds on a busy machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All programs under the names that the pages give them."""
    made = tmp_path_factory.mktemp("receivers")
    codes = [re.findall(r"```python\n(.*?)```", TEXT[page], re.DOTALL) for page in PAGES]
    (verified, receiver), (mail,), (frappe,) = codes
    for name, code in (("verified", verified), ("receiver", receiver), ("mail", mail), ("frappe", frappe)):
        (made / f"{name}.py").write_text(code)
    return made


class Message(NamedTuple):
    headers: dict[str, str]
    body: bytes


def message(id: str, kind: str, data: dict[str, Any], at: float | None = None) -> Message:
    """An event as Tenfold sends it."""
    body = body_of(kind, "2026-11-30T09:12:44.120533Z", data)
    return Message(signed_headers(id, int(at or time.time()), body, [KEY]), body)


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def receiving(
    folder: Path, name: str, port: int, output: Path, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program of the pages, from when it takes connections."""
    own = {"PATH": os.environ["PATH"], "SECRET": SECRET, "PORT": str(port), "SEEN": f"{output}.sqlite3"}
    with output.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, f"{name}.py"], cwd=folder, stdout=stream, stderr=stream, env={**own, **environment}
        )
    try:
        wait_for(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None, output.read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}").status_code == 501  # it knows no GET
    except httpx.HTTPError:
        return False


def post(port: int, sent: Message) -> int:
    return httpx.post(
        f"http://127.0.0.1:{port}/", content=sent.body, headers=sent.headers, timeout=PATIENCE
    ).status_code


# --- the pages themselves ---


def test_the_function_of_ten_lines(folder: Path) -> None:
    """It has ten lines, and says of each request what the tests' own receiver says, which is written otherwise."""
    code = (folder / "verified.py").read_text()
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("import") and '"""' not in line]
    assert len(lines) <= 10
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the page's own code
    good, late = message("a_1", "test", {}), message("a_1", "test", {}, time.time() - 301)
    other = signed_headers("a_1", int(time.time()), good.body, [bytes(32)])
    both = signed_headers("a_1", int(time.time()), good.body, [bytes(32), KEY])
    cases = [
        (good.headers, good.body, True), (both, good.body, True), (other, good.body, False),
        (good.headers, good.body + b" ", False), (late.headers, late.body, False), ({}, good.body, False),
        ({**good.headers, "webhook-id": "a_2"}, good.body, False),
        ({**good.headers, "webhook-timestamp": "soon"}, good.body, False),
        ({**good.headers, "webhook-signature": "v1,é v2,x v1"}, good.body, False),
    ]  # fmt: skip
    for headers, body, right in cases:
        assert names["verified"](SECRET, headers, body) is right, headers
        assert webhook_receiver.verified(SECRET, headers, body, time.time()) is right, headers


def test_the_pages_say_what_is_sent() -> None:
    """Every event has a row, and the files of endpoints are ones."""
    _, *table = re.findall(r"^\| `(\w+)` \|", TEXT["webhooks.md"], re.MULTILINE)
    assert table == ["scored", "waiting", "decided", "objection", "due", "test"]
    assert set(table) == {*KINDS, "test"}
    (example,) = re.findall(r"```json\n(.*?)```", TEXT["webhooks.md"], re.DOTALL)
    assert list(json.loads(example)) == ["type", "timestamp", "data"]
    for page in PAGES:
        (text,) = re.findall(r" *```toml\n(.*?)```", TEXT[page], re.DOTALL)
        text = re.sub(r"file:[\w/-]+", SECRET, text)
        content = tomllib.loads(text if "server" in text else f'server = "https://x.example"\n{text}')
        assert webhooks_from(content, ROOT).endpoints


# --- mail ---


class Mailbox(socketserver.StreamRequestHandler):
    """A mail server, as much of one as a client needs (RFC 5321)."""

    def handle(self) -> None:
        def say(line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        say("220 ready")
        while line := self.rfile.readline().decode().strip():
            command = line.split()[0].upper()
            if command == "DATA":
                say("354 go on")
                content = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    content += part
                self.server.mails.append(content.decode())  # type: ignore[attr-defined]
                say("250 kept")
            elif command == "QUIT":
                say("221 bye")
                return
            else:
                say("250 fine")


@contextmanager
def mail_server(port: int) -> Iterator[list[str]]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Mailbox, bind_and_activate=False)
    server.allow_reuse_address = True
    server.server_bind()
    server.server_activate()
    server.mails = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.mails  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_mail_is_sent_once(folder: Path, tmp_path: Path) -> None:
    """Down mail server: 503, and again later. The same event again: no second mail, also after a kill."""
    port, mail_port = free_port(), free_port()
    variables = {
        "MAIL_FROM": "tenfold@lender.example", "MAIL_TO": "credit@lender.example", "MAIL_HOST": "127.0.0.1",
        "MAIL_PORT": str(mail_port),
    }  # fmt: skip
    links = {"page": "https://loans.example/record/one", "record": "https://loans.example/api/v1/decisions/two"}
    objection = message("objection_3", "objection", {
        "case": "one", "record": "three", "reviewer": "bob", "deadline": "2026-12-20", "links": links,
    })  # fmt: skip
    output = tmp_path / "output.txt"
    with receiving(folder, "mail", port, output, **variables) as process:
        assert post(port, objection) == 503
        with mail_server(mail_port) as mails:
            assert [post(port, objection), post(port, objection)] == [200, 200]
            assert post(port, message("scored_1", "scored", {"case": "one"})) == 200
            forged = objection._replace(body=objection.body.replace(b"bob", b"eve"))
            assert post(port, forged) == 400
            process.send_signal(signal.SIGKILL)
            process.wait()
            with receiving(folder, "mail", port, output, **variables):
                assert post(port, objection) == 200
                assert post(port, message("test_1", "test", {"endpoint": "mail"})) == 200
            assert len(mails) == 2
    assert "Subject: An objection is to be answered by 2026-12-20" in mails[0]
    assert "To: credit@lender.example" in mails[0]
    assert "Message-ID: <objection_3@tenfold.invalid>" in mails[0]
    assert "To be looked at by: bob" in mails[0]
    assert "https://loans.example/record/one" in mails[0]
    assert "Subject: Tenfold can send mail" in mails[1]
    assert "objection_3: ConnectionRefusedError, it will come again" in output.read_text()


# --- Frappe ---


class Frappe:
    """What Frappe's REST API does with a Loan Application: a stand-in, from its documentation."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.asked: list[str] = []
        frappe = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place, _, name = self.path.rpartition("/")
                frappe.asked.append(f"{self.command} {unquote(self.path)}")
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if self.headers["authorization"] != "token key:hidden":
                    return self.answer(401, {})
                if place != "/api/resource/Loan%20Application" or unquote(name) not in frappe.status:
                    return self.answer(404, {"exc_type": "DoesNotExistError"})
                if self.command == "PUT":
                    frappe.status[unquote(name)] = json.loads(body)["status"]
                return self.answer(200, {"data": {"name": unquote(name), "status": frappe.status[unquote(name)]}})

            do_PUT = do_GET  # noqa: N815

            def answer(self, status: int, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.mark.slow
def test_decisions_are_written_into_frappe(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the API's score and a manager's form through a real server and its outbox to the Loan Application. What a
    person has set there stays; a reference that Frappe does not know waits. No log holds a secret or a reference."""
    users, port, own = tmp_path / "users.sqlite3", free_port(), free_port()
    with closing(three_people(users)) as accounts:
        core, reads = accounts.add_token("core", "officer"), accounts.add_token("frappe", "manager")
    webhooks = tmp_path / "webhooks.toml"
    webhooks.write_text(
        f'server = "http://127.0.0.1:{own}"\n[[endpoint]]\nname = "frappe"\nurl = "http://127.0.0.1:{port}/?token=hidden"\n'
        f'events = ["decided"]\nsecrets = ["{SECRET}"]\n'
    )
    webhooks.chmod(0o600)
    output, url = tmp_path / "receiver.txt", f"http://127.0.0.1:{own}"
    variables = {"TENFOLD_URL": url, "TENFOLD_TOKEN": reads, "FRAPPE_KEY": "key", "FRAPPE_SECRET": "hidden"}
    example = open_release(default_release()).form.example
    codes = tomllib.loads(EXAMPLE.read_text("utf-8"))
    reasons = {f"reason_{went}": codes[went][0]["code"] for went in ("more_lenient", "stricter", "incomplete")}
    with (
        closing(Frappe()) as frappe,
        receiving(folder, "frappe", port, output, FRAPPE_URL=frappe.url, **variables),
        first(tmp_path, own, TENFOLD_USERS=str(users), TENFOLD_WEBHOOKS=str(webhooks)) as server,
        httpx.Client(base_url=url, timeout=PATIENCE, headers={"Origin": url}) as meg,
    ):
        assert meg.post("/login", data={"name": "meg", "password": PASSWORD}).status_code == 303

        def decide(reference: str, decision: str) -> str:
            scored = httpx.post(
                f"{url}/api/v1/score", json={"answers": example, "reference": reference},
                headers={"Authorization": f"Bearer {core}"}, timeout=PATIENCE,
            )  # fmt: skip
            assert scored.status_code == 200, scored.text
            id = str(scored.json()["id"])
            seen = re.search(r'data-seen="([^"]+)"', meg.get(f"/record/{id}").text)
            assert seen
            form = {"seen": seen[1], "decision": decision, "justification": f"{CANARY} why so", "conditions": CANARY}
            answer = meg.post(f"/record/{id}/decide", data={**form, **reasons})
            assert answer.headers.get("x-recorded") == "yes", answer.text
            return id

        frappe.status = {"ACC-LOAP-2026-1": "Open", f"{CANARY}/2": "Open", "set": "Rejected"}
        decide("set", "approve")
        decide("ACC-LOAP-2026-1", "approve")
        decide("left", "refer")
        wait_for(lambda: frappe.status["ACC-LOAP-2026-1"] == "Approved")
        assert frappe.status["set"] == "Rejected"
        assert not [asked for asked in frappe.asked if "left" in asked]
        decide(f"{CANARY}/2", "decline")
        wait_for(lambda: frappe.status[f"{CANARY}/2"] == "Rejected")
        decide("unknown", "approve")
        wait_for(lambda: "it will come again" in output.read_text())
        manager = {"Authorization": f"Bearer {reads}"}
        wait_for(
            lambda: (
                'tenfold_outbox{endpoint="frappe",state="waiting"} 1.0'
                in httpx.get(f"{url}/metrics", headers=manager, timeout=PATIENCE).text
            )
        )
        frappe.status["unknown"] = "Open"
        command = ["--ledger", str(tmp_path / "ledger.sqlite3"), "outbox"]
        assert main([*command, "list", "--state", "waiting", "--json"]) == 0
        for line in capsys.readouterr().out.splitlines():  # none if its own time has come meanwhile
            assert main([*command, "retry", str(json.loads(line)["number"])]) == 0
        wait_for(lambda: frappe.status["unknown"] == "Approved")
        server.terminate()
        assert server.wait(PATIENCE) == 0
    logs = "".join(file.read_text("utf-8", "replace") for file in tmp_path.glob("*.txt"))
    logs += (tmp_path / "security.jsonl").read_text()
    assert "webhooks: frappe: answered 503" in logs
    assert "webhooks: frappe takes events again" in logs
    for hidden in (CANARY, "hidden", SECRET, SECRET[6:], reads, "ACC-LOAP"):
        assert hidden not in logs

"""Heads kept outside: in a file, at a URL, by a time-stamping authority (OpenSSL's, run here); what they find later."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from inference.settings import ROOT
from ledger.__main__ import main
from ledger.ledger import Ledger
from ledger.records import Draft, link
from ledger.schema import GUARDS

CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger of six records."""
    made = tmp_path / "ledger.sqlite3"
    with closing(Ledger(made)) as ledger:
        for at in range(5):
            ledger.append(Draft("scored", f"r{at}", {"pd": 0.25}, {"answers": {}}))
    return made


@contextmanager
def serving(answer: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A real HTTP server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Keeper(BaseHTTPRequestHandler):
    """Keeps whatever is sent to /keep, and refuses the rest."""

    kept: ClassVar[list[dict[str, object]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/keep":
            self.kept.append(json.loads(body))
        self.send_response(200 if self.path == "/keep" else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A time-stamping server with a certificate of its own: its address, and the certificate of who vouches for it."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is needed to run a time-stamping server")
    folder = tmp_path_factory.mktemp("authority")
    (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    (folder / "usage").write_text("extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n")

    def run(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        run("req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN=Test {name}")
    run("req", *curve, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Test TSA")
    run("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "usage",
        "-out", "tsa.pem", "-days", "30")  # fmt: skip

    class Stamping(BaseHTTPRequestHandler):
        """https://www.rfc-editor.org/rfc/rfc3161#section-3.4"""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            query, reply = folder / "query.tsq", folder / "reply.tsr"
            query.write_bytes(body)
            if self.path == "/another":  # one that stamps what it likes
                run("ts", "-query", "-digest", "ab" * 32, "-sha256", "-cert", "-out", query)
            run("ts", "-reply", "-queryfile", query, "-out", reply, "-config", "tsa.cnf")
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(reply.read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    with serving(Stamping) as url:
        yield url, folder / "ca.pem"


def run(file: Path, *arguments: object) -> int:
    return main(["--ledger", str(file), *map(str, arguments)])


def test_a_head_in_a_file(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a stamp; all of them must hold, one file or a folder of some."""
    stamps = tmp_path / "elsewhere" / "stamps.jsonl"
    assert run(file, "stamp", stamps) == 0
    with closing(Ledger(file)) as ledger:
        ledger.append(Draft("scored", "later", {}))
    assert run(file, "stamp", stamps) == 0
    lines = [json.loads(line) for line in stamps.read_text().splitlines()]
    assert [one["seq"] for one in lines] == [6, 7]
    for place in (stamps, stamps.parent):
        assert run(file, "verify", "--stamps", place) == 0
        assert "2 stamps hold, the last of record 7" in capsys.readouterr().out
    assert run(file, "verify", "--stamps", tmp_path) == 2
    assert "no stamps found" in capsys.readouterr().err


def rewritten(file: Path, seq: int) -> None:
    """The chain written anew from a record on, as anyone can who can write the file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER entries_update")
        before = connection.execute("SELECT hash FROM entries WHERE seq = ?", (seq - 1,)).fetchone()[0]
        for at, body in connection.execute(
            "SELECT seq, body FROM entries WHERE seq >= ? ORDER BY seq", (seq,)
        ).fetchall():
            body = body.replace("0.25", "0.05")
            before = link(before, body)
            connection.execute("UPDATE entries SET body = ?, hash = ? WHERE seq = ?", (body, before, at))
        connection.execute(GUARDS[0])


def test_a_stamp_finds_a_chain_that_was_written_anew(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which verify alone cannot; nor can it miss records at the end."""
    stamps = tmp_path / "stamps.jsonl"
    assert run(file, "stamp", stamps) == 0
    rewritten(file, 4)
    assert run(file, "verify") == 0
    assert run(file, "verify", "--stamps", stamps) == 1
    assert "NOT WHOLE" in capsys.readouterr().out
    stamps.write_text(json.dumps({"seq": 9, "hash": "0" * 64, "time": "2026-01-01T00:00:00Z"}))
    assert run(file, "verify", "--stamps", stamps) == 1
    assert "record 9 is missing" in capsys.readouterr().out
    stamps.write_text("no stamp\n")
    assert run(file, "verify", "--stamps", stamps) == 2
    assert f"{stamps}:1: not a stamp" in capsys.readouterr().err


@pytest.mark.slow
def test_a_head_at_a_url(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sent by POST; what is not kept there is said, with status 2."""
    with serving(Keeper) as url:
        assert run(file, "stamp", f"{url}/keep") == 0
        assert Keeper.kept[-1]["seq"] == 6
        assert f"head {Keeper.kept[-1]['hash']}" in capsys.readouterr().out
        assert run(file, "stamp", f"{url}/elsewhere") == 2
        assert "answered 403" in capsys.readouterr().err
    assert run(file, "stamp", f"{url}/keep") == 2
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.slow
def test_a_head_signed_by_an_authority(
    file: Path, tmp_path: Path, authority: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """RFC 3161: the token verifies here and by hand; not with another certificate, nor for another head."""
    url, certificate = authority
    stamps = tmp_path / "stamps.jsonl"
    assert run(file, "stamp", stamps, "--tsa", url) == 0
    line = json.loads(stamps.read_text())
    token = stamps.with_name(line["token"])
    by_hand = ["openssl", "ts", "-verify", "-digest", line["hash"], "-in", token, "-CAfile", certificate]
    assert "Verification: OK" in subprocess.run(by_hand, capture_output=True, text=True, check=True).stdout
    assert run(file, "verify", "--stamps", stamps) == 0
    assert "1 tokens were not checked" in capsys.readouterr().out
    assert run(file, "verify", "--stamps", stamps, "--ca", certificate) == 0
    assert "1 tokens verify" in capsys.readouterr().out
    assert run(file, "verify", "--stamps", stamps, "--ca", certificate.with_name("other.pem")) == 1
    assert "does not prove it" in capsys.readouterr().out
    with closing(Ledger(file)) as ledger:
        ledger.append(Draft("scored", "later", {}))
    assert run(file, "stamp", stamps, "--tsa", url) == 0
    later = stamps.with_name(json.loads(stamps.read_text().splitlines()[1])["token"])
    shutil.copy(token, later)
    assert run(file, "verify", "--stamps", stamps, "--ca", certificate) == 1
    assert f"{later.name} does not prove it" in capsys.readouterr().out


@pytest.mark.slow
def test_an_authority_that_stamps_something_else(
    file: Path, tmp_path: Path, authority: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its token is not kept, and neither is the answer of a server that is no authority."""
    assert run(file, "stamp", tmp_path / "stamps.jsonl", "--tsa", f"{authority[0]}/another") == 2
    assert "stamped a digest that is not the head" in capsys.readouterr().err
    with serving(Keeper) as url:
        Keeper.kept.clear()
        assert run(file, "stamp", tmp_path / "stamps.jsonl", "--tsa", f"{url}/none") == 2
    assert not list(tmp_path.glob("stamps*"))


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stamp_every_so_often(file: Path, tmp_path: Path, stop: signal.Signals) -> None:
    """Until it is stopped; a ledger that cannot be read meanwhile is said, and the next stamp is made."""
    stamps = tmp_path / "stamps.jsonl"
    command = [sys.executable, "-m", "ledger", "--ledger", file, "stamp", stamps, "--every", "0.00002"]
    process = subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    away = file.rename(tmp_path / "away.sqlite3")
    assert "there is no ledger" in process.stderr.readline()
    away.rename(file)
    for _ in range(3):
        assert "record 6, head" in process.stdout.readline()
    process.send_signal(stop)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert run(file, "verify", "--stamps", stamps) == 0

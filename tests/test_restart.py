"""A server takes the place of another: nobody is refused, logged out or let in more often; one that cannot start leaves
the other as it was; and sockets that a supervisor holds are served."""

import asyncio
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
from test_accounts import PASSWORD

from inference.errors import BadSetting
from inference.release import open_release
from inference.settings import RELEASES, ROOT, default_release
from ledger.readonly import ReadOnlyStore
from ledger.verify import verify
from profiling.benchmarks.restart import EARLIER, restart
from profiling.benchmarks.serving import answers, free_port
from web.carried import Carried
from web.desk.waiting_answers import UnreadAnswers
from web.handover import meeting_place, predecessor
from web.listening import passed_on
from web.security.accounts import Accounts
from web.security.limits import Sender
from web.security.throttle import Throttle, tries

# What systemd does before it starts a service: the socket is descriptor 3, and the variables say so.
ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "app.py"])
"""
START = 300  # seconds that a server may take on a busy machine


@contextmanager
def server(tmp_path: Path, *words: str, port: int, said: str, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`python app.py WORDS`, from when it has said a line; stopped in the end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TENFOLD_", "SPACE_"))}
    environment = {
        **inherited, "PORT": str(port), "TMPDIR": str(tmp_path), "TENFOLD_LOG": "off", "TENFOLD_RATE": "0",
        "TENFOLD_LEDGER": str(tmp_path / "ledger.sqlite3"), "TENFOLD_USERS": "off",
        "TENFOLD_SECURITY_LOG": str(tmp_path / "security.jsonl"), **more,
    }  # fmt: skip
    output = tmp_path / f"output-{len(list(tmp_path.glob('output-*')))}.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "app.py", *words], cwd=ROOT, env=environment, stdout=stream,
                                   stderr=stream)  # fmt: skip
    try:
        until = time.monotonic() + START
        while not re.search(said, output.read_text()):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < until, output.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def first(tmp_path: Path, port: int, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A server that answers."""
    with server(tmp_path, port=port, said=r" on http://", **more) as process:
        until = time.monotonic() + START
        while not answers(f"http://127.0.0.1:{port}/livez"):
            assert time.monotonic() < until
            time.sleep(0.05)
        yield process


@pytest.mark.slow
def test_a_server_is_replaced_under_load(tmp_path: Path) -> None:
    """By one of another release: no request of any kind of client fails, both answered, and the ledger is whole."""
    outcome = restart(400, tmp_path, open_release(default_release()), open_release(RELEASES / EARLIER))
    assert (outcome.failed, outcome.complaints, outcome.status) == (0, [], 0)
    assert outcome.requests >= 400
    assert set(outcome.by_release) == {default_release().name, EARLIER}
    with closing(ReadOnlyStore(tmp_path / "ledger.sqlite3")) as store:
        assert verify(store).problem is None
    assert not list((tmp_path / f"tenfold-{os.getuid()}").iterdir())


@pytest.mark.slow
def test_who_is_logged_in_stays_and_who_guesses_waits(tmp_path: Path) -> None:
    """Sessions are in the file of users; failed logins go from process to process. A second one at once is refused."""
    users, port = tmp_path / "users.sqlite3", free_port()
    with closing(Accounts(users)) as accounts:
        accounts.add_user("ann", "officer", PASSWORD)
    url = f"http://127.0.0.1:{port}"
    with first(tmp_path, port, TENFOLD_USERS=str(users)) as old, httpx.Client(base_url=url) as ann:
        assert ann.post("/login", data={"name": "ann", "password": PASSWORD}).status_code == 303
        assert ann.get("/history").status_code == 200
        wrong = [httpx.post(f"{url}/login", data={"name": "bob", "password": str(n)}).status_code for n in range(6)]
        assert wrong == [401] * 5 + [429]
        with server(tmp_path, "--replace", port=port, said=rf"process {old.pid} has ended", TENFOLD_USERS=str(users)):
            assert old.wait(60) == 0
            assert ann.get("/history").status_code == 200
            # The wait has passed; the failures still count. A server that began anew would let five in.
            wrong = [httpx.post(f"{url}/login", data={"name": "bob", "password": str(n)}).status_code for n in range(2)]
            assert wrong == [401, 429]
    assert f'"replaces":{old.pid}' in (tmp_path / "security.jsonl").read_text()


def failing(tmp_path: Path, port: int, *words: str, **more: str) -> str:
    """What a server says that cannot take the place of another."""
    environment = {**os.environ, "PORT": str(port), "TMPDIR": str(tmp_path), "TENFOLD_USERS": "off", **more}
    done = subprocess.run([sys.executable, "app.py", *words], cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=START)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_server_that_cannot_start_leaves_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spoiled release, a log that cannot be written, one killed on the way: status 1 and why, or nothing at all; the
    old one goes on, and can be replaced later. While one is on its way no second one is let in."""
    port, url = free_port(), "http://127.0.0.1:{}/api/v1/release"
    spoiled = shutil.copytree(default_release(), tmp_path / default_release().name)
    (spoiled / "model.ubj").write_bytes(b"no model")
    (tmp_path / "file").touch()
    ledger = {"TENFOLD_LEDGER": str(tmp_path / "ledger.sqlite3")}
    with first(tmp_path, port) as old:
        said = failing(tmp_path, port, "--replace", TENFOLD_RELEASE=str(spoiled), **ledger)
        assert f"{spoiled / 'model.ubj'}: expected sha256" in said
        assert f"Process {old.pid} goes on" in said
        log = str(tmp_path / "file" / "p.jsonl")
        said = failing(tmp_path, port, "--replace", str(old.pid), TENFOLD_LOG=log, **ledger)
        assert f"{tmp_path / 'file'} is not a folder" in said
        assert f"Process {old.pid} goes on" in said
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        half_way = predecessor(old.pid, port)
        assert "is being replaced already" in failing(tmp_path, port, "--replace", **ledger)
        half_way.close()
        assert answers(url.format(port))
        with server(tmp_path, "--replace", str(old.pid), port=1, said=rf"process {old.pid} has ended"):
            assert old.wait(60) == 0
            assert answers(url.format(port))
    said = failing(tmp_path, port, "--replace", **ledger)
    assert f"no server of this user to replace: PORT {port}" in said


@pytest.mark.slow
def test_sockets_of_a_supervisor(tmp_path: Path) -> None:
    """As systemd passes them on: while one server is stopped and the next one starts, requests wait, and none is
    refused; the supervisor is told when it serves. Sockets for another process are left alone."""
    with ExitStack() as stack:
        held = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = held.getsockname()[1]
        supervisor = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(START)
        environment = {
            **os.environ, "TMPDIR": str(tmp_path), "TENFOLD_USERS": "off", "TENFOLD_LEDGER": "off",
            "TENFOLD_LOG": "off", "TENFOLD_SECURITY_LOG": "off", "NOTIFY_SOCKET": str(tmp_path / "notify"),
        }  # fmt: skip
        command = [sys.executable, "-c", ACTIVATED, str(held.fileno())]

        def started() -> "subprocess.Popen[bytes]":
            return stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[held.fileno()]))

        for _ in range(2):
            process = started()
            assert process.poll() is None
            # Before it is there: the request waits in the socket that the supervisor holds.
            assert httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=START).status_code == 200
            assert supervisor.recv(100) == f"READY=1\nMAINPID={process.pid}".encode()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        others = {**environment, "LISTEN_FDS": "1", "LISTEN_PID": "1", "PORT": str(port)}
        done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=others, capture_output=True, text=True,
                              timeout=START)  # fmt: skip
        assert (done.returncode, "Address already in use" in done.stderr) == (1, True)


@pytest.mark.slow
def test_what_a_supervisor_passes_on_is_checked() -> None:
    """No number, no socket, one that does not listen: the message says which; the variables are used once."""
    own = str(os.getpid())
    for count in ("x", "-1", "9999"):
        with pytest.raises(BadSetting, match="LISTEN_FDS: a number of sockets is needed"):
            passed_on({"LISTEN_PID": own, "LISTEN_FDS": count})
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"}
    assert passed_on(environment) == []
    assert environment == {}
    code = (
        "import os, socket, sys; from inference.errors import BadSetting; from web.listening import passed_on\n"
        "made = socket.socket(); os.dup2(made.fileno(), 3)\n"
        "try: passed_on({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'})\n"
        "except BadSetting as error: sys.exit(str(error))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=START)
    assert "descriptor 3 is not a TCP socket that listens" in done.stderr


def test_only_this_user_enters_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made for its owner alone; one that others may enter, or a link, is not used."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = meeting_place()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    with pytest.raises(OSError, match="not a folder of this user alone"):
        meeting_place()
    folder.rename(tmp_path / "other")
    folder.symlink_to(tmp_path / "other")
    with pytest.raises(BadSetting, match="not a folder of this user alone"):
        predecessor(None, 7860)


def test_answers_that_wait_go_along() -> None:
    """Those that are there, and those that come while the old server ends; each is given once, to who asked."""
    asyncio.run(answers_go_along())


async def answers_go_along() -> None:
    """The same, on an event loop."""
    old, new, ann = UnreadAnswers(), UnreadAnswers(), Sender("ann", True)
    old.expect(ann, "s1", "e1")
    old.deliver(ann, "s1", "e1", b"{}")
    old.expect(ann, "s2", "e2")
    successor = Carried(Throttle(), new)
    given = Carried(Throttle(), old)
    successor.take(given.give(successor.take))
    assert new.waits(ann, "s1")
    assert not new.waits(ann, "s2")
    old.deliver(ann, "s2", "e2", b'{"pd":1}')
    assert [answer async for answer in new.fetch(ann, "s2")] == [("e2", b'{"pd":1}')]
    assert not new.waits(Sender("bob", True), "s1")
    given.keep()
    old.expect(ann, "s3", "e3")
    old.deliver(ann, "s3", "e3", b"{}")
    assert not new.waits(ann, "s3")


def test_failed_logins_go_along() -> None:
    """Whoever waits, waits on."""
    old, new, tried = Throttle(), Throttle(), tries("ann", "192.0.2.1", None)
    while old.wait(tried) == 0:
        pass
    Carried(new, UnreadAnswers()).take({"failures": old.failures()})
    assert new.wait(tried) > 0

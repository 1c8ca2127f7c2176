"""Hostile pickles, loaded as `models adopt` loads them: of what they start nothing is left, and it has bounds."""

import os
import pickle
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from test_unpickle import ROWS, Calls

from inference.confined import KILLED, MEMORY, PROCESSES, Ended, run
from inference.settings import ROOT
from models.adoption.unpickle import BadPickle, convert

pytestmark = pytest.mark.slow

PATIENCE = 60  # seconds for what takes two on a quiet machine; nothing is asserted about them
NAMESPACES = shutil.which("unshare") and not subprocess.run(["unshare", "-Upr", "true"], capture_output=True).returncode
# The kernel refuses namespaces to what runs after this, as it does to all where an administrator has said so.
FORBID = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"]
KINDS = ["with namespaces", "without"]

# Starts a process of each kind that could outlive it; each has the mark on its command line and in its environment.
HOSTILE = """
import os, signal, sys
mark = {mark!r}
for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(one, signal.SIG_IGN)
def sleep(name):
    os.execve('/bin/sleep', [f'sleep-{{mark}}-{{name}}', '600'], {{'MARK': mark}})
if os.fork() == 0:
    sleep('forked')
if os.fork() == 0:
    os.setpgid(0, 0)
    sleep('group')
if os.fork() == 0:
    os.setsid()
    sleep('session')
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        sleep('daemon')
    os._exit(0)
if os.fork() == 0:
    os.setsid()
    for _ in range(600):  # always another one, for half a minute
        if os.fork():
            os._exit(0)
        if os.fork() == 0:
            sleep('again')
        signal.sigtimedwait([signal.SIGUSR1], 0.05)
"""
# Once four of them run, and the one that is never the same.
RUNNING = """
def running():
    for one in os.listdir('/proc'):
        try:
            yield one.isdigit() and f'sleep-{mark}' in open(f'/proc/{one}/cmdline').read()
        except OSError:
            pass
while sum(running()) < 5:
    pass
"""
ENDINGS = {"returns": RUNNING + "raise ValueError('five run')", "never ends": "signal.pause()"}
ADOPTING = (
    "import sys, numpy as np; from models.adoption.unpickle import convert\n"
    "convert(sys.stdin.buffer.read(), np.load(sys.argv[1]), {seconds})"
)


def marked(mark: str) -> list[int]:
    """The processes that have the mark on their command line or in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                said = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in said:
                found.append(int(folder.name))
    return found


def until(found: bool, mark: str) -> list[int]:
    """The marked processes, once there are some, or none; those that are there after all patience otherwise."""
    deadline = time.monotonic() + PATIENCE
    while bool(seen := marked(mark)) is not found and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


def hostile(mark: str, ending: str) -> bytes:
    return pickle.dumps(Calls(exec, HOSTILE.format(mark=mark) + ENDINGS[ending], {}))


@contextmanager
def adopting(folder: Path, kind: str, content: bytes, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """A process that loads a pickle as the command does, where namespaces may be made or may not."""
    if not NAMESPACES and kind == KINDS[0]:
        pytest.skip("this kernel lets this user make no namespaces")
    import numpy as np

    np.save(folder / "rows.npy", ROWS)
    (folder / "temporary").mkdir()
    command = [sys.executable, "-c", ADOPTING.format(seconds=seconds), str(folder / "rows.npy")]
    (folder / "pickle").write_bytes(content)
    with (folder / "pickle").open("rb") as given:
        process = subprocess.Popen(
            [*(FORBID if NAMESPACES and kind == KINDS[1] else []), *command], cwd=ROOT, stdin=given,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(folder / "temporary")},
        )  # fmt: skip
        with process:
            yield process
            process.kill()


@pytest.fixture
def mark() -> Iterator[str]:
    """A word that stands nowhere else; what carries it at the end is killed, so that no other test sees it."""
    made = f"hostile{secrets.token_hex(8)}"
    yield made
    for pid in marked(made):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left_when_it_ends_or_its_time_is_over(tmp_path: Path, mark: str, kind: str, ending: str) -> None:
    """Groups, sessions and daemons of its own are gone before the caller is told."""
    with adopting(tmp_path, kind, hostile(mark, ending), 8) as process:
        assert ending == "returns" or until(True, mark)
        said = process.stderr.read() if process.stderr else ""
        assert process.wait() == 1
        assert marked(mark) == []
    assert {"returns": "ValueError: five run", "never ends": "not loaded within 8 s"}[ending] in said
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_command_is_stopped(
    tmp_path: Path, mark: str, kind: str, sent: signal.Signals
) -> None:
    """By Ctrl-C, by a service manager, by kill -9."""
    with adopting(tmp_path, kind, hostile(mark, "never ends"), 600) as process:
        assert until(True, mark)
        process.send_signal(sent)
        assert process.wait() == -sent
        assert until(False, mark) == []


def test_it_cannot_reach_its_supervisor(tmp_path: Path, mark: str) -> None:
    """In namespaces it sees no process but its own, so it kills neither the supervisor nor the command."""
    code = HOSTILE.format(mark=mark) + (
        "others = sorted(int(one) for one in os.listdir('/proc') if one.isdigit())\n"
        "os.kill(1, signal.SIGKILL)\n"
        "raise ValueError(f'parent {os.getppid()}, first of {others[:2]}, still here')"
    )
    with adopting(tmp_path, KINDS[0], pickle.dumps(Calls(exec, code, {})), 60) as process:
        said = process.stderr.read() if process.stderr else ""
        assert process.wait() == 1
        assert marked(mark) == []
    assert "ValueError: parent 1, first of [1, 2], still here" in said


FILLING = """
import os, itertools
for at in itertools.count():
    with open(f"{os.environ['TMPDIR']}/{at}", "wb") as file:
        file.write(bytes(2**24))
"""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("bytearray(6 << 30)", "MemoryError"),
        (FILLING, "wrote more than 268,435,456 bytes"),
        ("import resource; raise ValueError(resource.getrlimit(resource.RLIMIT_CPU))", r"ValueError: \(\d{2,4}, \d+\)"),
    ],
    ids=["memory", "disk", "processor time"],
)  # fmt: skip
def test_it_has_bounds(code: str, told: str) -> None:
    """Wherever it runs: memory, what it writes in all, processor time."""
    with pytest.raises(BadPickle, match=told):
        convert(pickle.dumps(Calls(exec, code, {})), ROWS, 60)


def attempt(code: str, folder: Path | None = None, seconds: float = PATIENCE) -> tuple[Ended, str]:
    """A Python program, confined, and what it said."""
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"confined-{secrets.token_hex(4)}"  # noqa: S108
    with file.open("wb") as output:
        ended = run(
            [sys.executable, "-c", code], environment={"PATH": os.environ["PATH"]}, output=output, seconds=seconds,
            file_size=1 << 20, folder=folder, disk=1 << 24,
        )  # fmt: skip
    said = file.read_text()
    file.unlink()
    return ended, said


def test_in_namespaces_it_reaches_nothing(tmp_path: Path) -> None:
    """No network, not even of this machine; no file but in its folder; no privileges, and few processes."""
    if not NAMESPACES:
        pytest.skip("this kernel lets this user make no namespaces")
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = (
            "import os, resource, socket\n"
            "def attempt(what):\n"
            "    try: what(); print('done')\n"
            "    except OSError as error: print(error.strerror)\n"
            f"attempt(lambda: socket.create_connection({listening.getsockname()!r}, 5))\n"
            f"attempt(lambda: open({str(outside / 'file')!r}, 'w'))\n"
            f"attempt(lambda: open({str(inside / 'file')!r}, 'w'))\n"
            "attempt(lambda: socket.sethostname('other'))\n"
            "limits = [resource.getrlimit(one)[1] for one in (resource.RLIMIT_NPROC, resource.RLIMIT_DATA)]\n"
            "print(os.listdir('/run'), *limits)\n"
        )
        ended, said = attempt(code, inside)
    assert ended == Ended(0, "", isolated=True), said
    assert said.splitlines() == [
        "Network is unreachable", "Read-only file system", "done", "Operation not permitted",
        f"[] {PROCESSES} {MEMORY}",
    ]  # fmt: skip
    assert (inside / "file").exists()


def test_how_it_ended_is_told() -> None:
    """A status, a signal, its time; a supervisor that was killed counts as a killed command."""
    assert attempt("raise SystemExit(7)")[0].status == 7
    assert attempt("import os; os.abort()")[0].status == -signal.SIGABRT
    assert attempt("import signal; signal.pause()", seconds=1)[0][:2] == (None, "time")
    assert KILLED == -signal.SIGKILL

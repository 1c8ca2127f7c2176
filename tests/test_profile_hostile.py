"""Profiles, sessions, timings and logs made to do harm: refused or read, in little time, without a traceback."""

import gzip
import json
import marshal
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parts import some

from inference.settings import ROOT
from profiling.__main__ import main
from profiling.study.log_reader import MOST_NAMES, LogReader
from profiling.study.prof_reader import BadProfile, Function, read_profile
from profiling.study.stacks import session
from profiling.study.timings import BadTimings, load

WORK = ("/x/a.py", 1, "work")
PATIENCE = 60  # seconds of a command that takes one


def marshalled_text(text: bytes) -> bytes:
    return b"z" + bytes([len(text)]) + text


def marshalled_tuple(*parts: bytes, kept: bool = False) -> bytes:
    """A tuple; one that is `kept` can be referred to."""
    return bytes([0xA9 if kept else 0x29, len(parts)]) + b"".join(parts)


def doubling_key(times: int) -> bytes:
    """A dict whose key holds a tuple of twice a tuple of twice …: hashing it takes 2 to the power of `times`."""
    parts = [marshalled_tuple(marshalled_text(b"a"), kept=True)]
    for number in range(times):
        reference = b"r" + struct.pack("<i", number)
        parts.append(marshalled_tuple(reference, reference, kept=True))
    return b"{" + marshalled_tuple(*parts) + b"N0"


def nested_code(depth: int) -> bytes:
    """A code object in another's constants, and so on; the innermost is damaged, so that every layout is tried."""
    code = b"c" + b"\0" * 20 + b"?"
    for _ in range(depth):
        empty = marshalled_tuple()
        names = marshalled_text(b"f") + marshalled_text(b"n") + marshalled_text(b"q")
        code = b"c" + b"\0" * 20 + marshalled_text(b"") + marshalled_tuple(code) + empty * 3 + names + b"\0" * 4
        code += marshalled_text(b"") * 2
    return b"{" + marshalled_tuple(marshalled_text(b"profile"), b"i\0\0\0\0", code) + b"N0"


def bomb() -> bytes:
    """300 MB of nothing. A function, since it takes half a second where the file is only imported."""
    return gzip.compress(bytes(300 * 2**20), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (doubling_key(80), "found a tuple for a key"),
        (nested_code(40), "found a code object that cannot be read"),
        (
            marshal.dumps({WORK: (1, 1, 1e308, 1e308, {}), ("b", 1, "b"): (1, 1, 1e308, 1e308, {})}),
            "no program reaches",
        ),
        (marshal.dumps({WORK: (2**200, 2**200, 1.0, 1.0, {})}), "no program reaches"),
        (marshal.dumps({WORK: (1, 1, 1.0, 1.0, {WORK: 2**200})}), "no number of calls"),
        (marshal.dumps({("a" * 5_000_000, 1, "f"): (1, 1, 1.0, 1.0, {})}), "a name of more than 65,536 characters"),
        (bomb, "larger than 268,435,456 bytes"),
        (b"\x28\xb5\x2f\xfd more", "compressed by zstd, which is not read here: unpack it first"),
        (b"PK\x03\x04 more", "compressed by zip"),
        (b'{"frame_records": ' + b"[" * 100_000, "not a session as pyinstrument saves it"),
    ],
    ids=["doubling", "code", "seconds", "calls", "callers", "name", "gzip", "zstd", "zip", "deep"],
)
def test_a_profile_made_to_do_harm_is_refused_at_once(
    tmp_path: Path, content: bytes | Callable[[], bytes], reason: str
) -> None:
    """In a process that is ended after a minute; status 2 and one line."""
    file = tmp_path / "a.prof"
    file.write_bytes(content() if callable(content) else content)
    command = [sys.executable, "-m", "profiling", "report", str(file), "--html", str(tmp_path / "a.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2, done.stderr[-500:]
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_objects_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few compressed bytes can be millions of objects: no more are made than a large profile has."""
    monkeypatch.setattr("profiling.study.prof_reader.MOST_OBJECTS", 1000)
    (tmp_path / "a.prof").write_bytes(b"(" + struct.pack("<i", 100_000) + b"N" * 100_000)
    with pytest.raises(BadProfile, match="more than 1,000 objects"):
        read_profile(tmp_path / "a.prof")


def record(name: str, seconds: str) -> bytes:
    return f'{{"frame_records": [[["{name}\\u0000a.py\\u00001"], {seconds}]]}}'.encode()


@pytest.mark.parametrize("seconds", ["NaN", "1e400", "-1", "9" * 400, "null", '"1"', "[]"])
def test_a_session_has_times_that_can_be(seconds: str) -> None:
    """Anything else is no session; it would be an error in the middle of a report."""
    with pytest.raises(BadProfile, match="not a session"):
        session(record("work", seconds), "a.pyisession")


@pytest.mark.slow
def test_a_deep_stack_is_drawn(tmp_path: Path) -> None:
    """20,000 functions, each under the one before: the picture's cost grows with the depth, not with its square."""
    frames = [f"f{number}\0a.py\0{number}" for number in range(20_000)]
    (tmp_path / "a.pyisession").write_text(json.dumps({"frame_records": [[frames, 1.0]]}))
    assert main(["report", str(tmp_path / "a.pyisession"), "--html", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").stat().st_size < 5e6


@pytest.mark.parametrize(
    "changes",
    [{"wall": [float("nan")] * 9}, {"wall": ["1"] * 9}, {"wall": [10**400] * 9}, {"cpu": [-1.0] * 9}, {"wall": [True]}],
)
def test_timings_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    """By the file's name; nesting without end too."""
    timings = {"format": "tenfold timings 1", "target": "x", "wall": [1.0] * 9, "cpu": [1.0] * 9, **changes}
    file = tmp_path / "a.timings.json"
    for content in (json.dumps(timings), "[" * 100_000):
        file.write_text(content)
        with pytest.raises(BadTimings, match=r"a\.timings\.json: not timings"):
            load(file)


MARKUP = "<img src=x onerror=alert(1)></script><script>alert(2)</script><!--"
CURSOR = "\x1b[2J\x1b]0;title\x07\u202e\r\n"  # what a terminal obeys


def test_names_move_no_cursor_and_run_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are escapes on the terminal; markup in the page stays text; halves of characters too."""
    names: dict[object, object] = {
        ("/x/" + CURSOR, 1, MARKUP): (1, 1, 1.0, 1.0, {}),
        (MARKUP, 1, CURSOR): (1, 1, 1.0, 1.0, {}),
    }
    (tmp_path / "a.prof").write_bytes(marshal.dumps(names))
    (tmp_path / "b.pyisession").write_bytes(record("half \\ud800 of it", "1"))
    for name in ("a.prof", "b.pyisession"):
        assert main(["report", str(tmp_path / name), "--html", str(tmp_path / "page.html")]) == 0
        terminal = capsys.readouterr().out
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", terminal)
        page = (tmp_path / "page.html").read_text("utf-8")
        assert "<img" not in page
        assert page.count("<script") == 2
        assert "<!--" not in page
    assert r"half \ud800 of it" in terminal


def test_a_file_name_that_is_no_text_is_no_error(tmp_path: Path) -> None:
    """Linux allows any bytes in a file's name."""
    file = os.fsencode(tmp_path) + b"/caf\xe9 \x1b[2J.prof"
    Path(os.fsdecode(file)).write_bytes(marshal.dumps({WORK: (1, 1, 1.0, 1.0, {})}))
    command = [sys.executable, "-m", "profiling", "report", os.fsdecode(file), "--html", str(tmp_path / "a.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"caf\udce9 \x1b[2J.prof" in done.stdout
    assert (tmp_path / "a.html").exists()


def read(*lines: bytes) -> LogReader:
    reader = LogReader()
    for number, line in enumerate(lines, 1):
        reader.take(line, "a.jsonl", number)
    return reader


def measured(**more: object) -> bytes:
    return json.dumps({"timestamp": "2026-01-01T10:00:00Z", "duration": 0.5, **more}).encode()


OURS = b'{"time": "2026-01-01T10:00:00Z", "ms": {}, "dropped": %s}'


@pytest.mark.parametrize("dropped", [b'"abc"', b"[]", b"1e400", b"null", b"NaN", b"-1"])
@pytest.mark.parametrize("line", [OURS, b'{"dropped": %s}'])
def test_a_count_of_dropped_lines_that_is_no_number_is_skipped(line: bytes, dropped: bytes) -> None:
    """It stopped the reading before."""
    reader = read(line % dropped, measured())
    assert reader.dropped == 0
    assert len(reader.scores) == 1
    assert [*reader.skipped] == ["a count of dropped lines that is no number"]


@pytest.mark.slow
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z"])
def test_a_time_that_no_date_names_is_skipped(time: str, tmp_path: Path) -> None:
    """Others are shown, however far apart."""
    assert [*read(measured(timestamp=time)).skipped] == ["a time that cannot be read"]
    file = tmp_path / "a.jsonl"
    lines = [measured(timestamp=f"{year}-01-01T00:00:00Z") for year in range(1970, 9999)]
    file.write_bytes(b"\n".join([measured(timestamp=time), *lines]))
    assert main(["log", str(file), "--plot", str(tmp_path / "a.svg")]) == 0
    assert (tmp_path / "a.svg").read_text().count("<circle") <= 2 * 100


def test_figures_without_measure_are_not_known(tmp_path: Path) -> None:
    """Infinite ones have no place on an axis."""
    reader = read(
        measured(cpu_percent="inf", memory_usage_MB=1e299), measured(duration=1e299), measured(duration="inf")
    )
    assert len(reader.scores) == 1
    assert reader.scores.ordered("cpu_percent") == []
    assert reader.scores.ordered("rss_mb") == []
    (tmp_path / "a.jsonl").write_bytes(measured(cpu_percent="inf") + b"\n" + measured(cpu_percent=1e15))
    assert main(["log", str(tmp_path / "a.jsonl"), "--html", str(tmp_path / "a.html")]) == 0


def test_other_names_in_every_line_are_counted_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Releases, kinds of errors and sets of keys: neither memory nor tables grow with a log of names."""
    lines = [measured(release=f"r{number}", **{f"key{number}": 1}) for number in range(2000)]
    lines += [b'{"time": "2026-01-01T10:00:00Z", "ms": {}, "error": "e%d"}' % number for number in range(2000)]
    reader = read(*lines)
    assert len(reader.scores) == 2000
    assert len(reader.scores.names) == MOST_NAMES + 1
    assert len(reader.errors) == MOST_NAMES + 1
    assert reader.errors.total() == 2000
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    assert main(["log", str(tmp_path / "a.jsonl")]) == 0
    assert len(capsys.readouterr().out) < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("beginning", [b"", b'{"timestamp": "', b"\xff\xfe"])
def test_a_line_without_end_takes_no_memory(beginning: bytes, tmp_path: Path) -> None:
    """A gigabyte in a file of a megabyte: in 400 MB of memory."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(gzip.compress(beginning, 1) + gzip.compress(b"x" * 2**20, 1) * 1000)
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20)); "
        "from profiling.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "log", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert "1: longer than 1,048,576 bytes" in done.stdout


def test_names_of_a_log_move_no_cursor_and_run_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the terminal, in the page, the plot and the files for programs; halves of characters too."""
    lines = [measured(release=name) for name in (CURSOR, MARKUP, "half \ud800 of it")]
    lines.append(json.dumps({"time": "2026-01-01T10:00:00Z", "ms": {}, "error": CURSOR}).encode())
    file, page, change = (tmp_path / name for name in ("a.jsonl", "a.html", "a.json"))
    file.write_bytes(b"\n".join(lines))
    command = ["log", str(file), "--html", str(page), "--split", "half", "--json", str(change)]
    assert main(command) == 0
    terminal = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", terminal)
    assert r"half \ud800 of it" in terminal
    text = page.read_text("utf-8")
    assert "<img" not in text
    assert "<script" not in text
    json.loads(change.read_text("utf-8"))


def test_a_page_runs_no_script_but_its_own(tmp_path: Path) -> None:
    """Its policy names the one script by its hash; a log's page has none and allows none."""
    import base64
    import hashlib

    (tmp_path / "a.prof").write_bytes(marshal.dumps({WORK: (1, 1, 1.0, 1.0, {})}))
    (tmp_path / "a.jsonl").write_bytes(measured())
    assert main(["report", str(tmp_path / "a.prof"), "--html", str(tmp_path / "a.html")]) == 0
    assert main(["log", str(tmp_path / "a.jsonl"), "--html", str(tmp_path / "b.html")]) == 0
    policies: list[Any] = []
    for name in ("a.html", "b.html"):
        text = (tmp_path / name).read_text("utf-8")
        policies.append(re.search(r'Content-Security-Policy" content="([^"]+)"', text))
    assert all(some(policies))
    script = re.search(r"<script>(.*?)</script>", (tmp_path / "a.html").read_text("utf-8"), re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policies[0][1]
    assert "script-src" not in policies[1][1]
    assert all("default-src 'none'" in policy[1] for policy in some(policies))


def test_a_profile_of_one_function_without_names_is_read(tmp_path: Path) -> None:
    """Empty names, line numbers of any size, calls of no time."""
    odd = {("", 0, ""): (0, 0, 0.0, 0.0, {("", 0, ""): (1, 1, 0.0, 0.0)}), ("a", -(2**70), "b"): (1, 1, -1.0, -5.0, {})}
    (tmp_path / "a.prof").write_bytes(marshal.dumps(odd))
    assert Function("", 0, "") in read_profile(tmp_path / "a.prof").entries
    assert main(["report", str(tmp_path / "a.prof"), "--html", str(tmp_path / "a.html")]) == 0

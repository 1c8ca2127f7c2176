"""Files that commands write: the owner's alone from the first byte, and never a device, a link or the ledger itself."""

import csv
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from inference.settings import ROOT
from ledger.__main__ import main
from ledger.ledger import Ledger
from ledger.records import Draft
from ledger.store import Store
from ledger.verify import verify


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger of some records, with a sentence in each."""
    made = tmp_path / "ledger.sqlite3"
    with closing(Ledger(made)) as ledger:
        futures = [ledger.submit(Draft("scored", f"r{at}", {}, {"answers": {"note": "x" * 900}})) for at in range(3000)]
        assert futures[-1].result()
    return made


def modes(folder: Path) -> set[int]:
    """Modes of all files of a folder; one that is gone meanwhile has none."""
    found = set()
    for one in folder.iterdir():
        try:
            found.add(stat.S_IMODE(one.lstat().st_mode))
        except FileNotFoundError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("command", ["backup copy.sqlite3", "export out.csv", "export out.parquet"])
def test_nobody_else_may_read_it_at_any_moment(file: Path, tmp_path: Path, command: str) -> None:
    """Watched from the first byte on, with no umask to help; killed meanwhile, what is left is the owner's too."""
    verb, name = command.split()
    folder = tmp_path / "out"
    folder.mkdir()
    old = os.umask(0)
    try:
        arguments = [sys.executable, "-m", "ledger", "--ledger", str(file), verb, str(folder / name)]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            while not list(folder.iterdir()) and process.poll() is None:
                time.sleep(0.0002)
            seen = modes(folder)
            process.send_signal(signal.SIGKILL)
        left = modes(folder)
        assert seen | left == {0o600}
        assert main(["--ledger", str(file), verb, str(folder / name)]) == 0
        assert [one.name for one in folder.iterdir()] == [name]
        assert modes(folder) == {0o600}
    finally:
        os.umask(old)


def test_nobody_else_may_write_a_stamp(file: Path, tmp_path: Path) -> None:
    """With no umask to help: who could change a stamp could make a rewritten chain look whole."""
    old = os.umask(0)
    try:
        assert main(["--ledger", str(file), "stamp", str(tmp_path / "stamps.jsonl")]) == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "stamps.jsonl").stat().st_mode) == 0o644


@pytest.mark.slow
def test_what_is_no_file_of_ones_own_is_refused(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A device, a pipe, a link, a folder, the ledger, its log, a hard link to it: refused with status 2, untouched."""
    other = tmp_path / "other.csv"
    other.write_text("kept")
    link, pipe, hard = tmp_path / "link.csv", tmp_path / "pipe.csv", tmp_path / "hard.csv"
    link.symlink_to(other)
    os.mkfifo(pipe)
    hard.hardlink_to(file)
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    (tmp_path / "null.csv").symlink_to("/dev/null")
    before = file.read_bytes()
    for verb in ("backup", "export", "stamp"):
        for target in (link, pipe, hard, folder, tmp_path / "null.csv"):
            assert main(["--ledger", str(file), verb, str(target)]) == 2, (verb, target)
            assert str(target) in capsys.readouterr().err
    for target in (file, Path(f"{file}-wal"), Path("/dev/null"), Path("/dev/full")):
        for verb in ("backup", "stamp"):
            assert main(["--ledger", str(file), verb, str(target)]) == 2, (verb, target)
    assert file.read_bytes() == before
    assert other.read_text() == "kept"
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with closing(Store(file)) as opened:
        assert verify(opened).problem is None


# The peak of the process itself: what the kernel tells its parent counts the parent's own memory before the start too.
EXPORTING = (
    "import sys; from ledger.__main__ import main; status = main(sys.argv[1:])\n"
    "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))); sys.exit(status)"
)


@pytest.mark.slow
def test_an_export_streams(tmp_path: Path) -> None:
    """Ten times the records need hardly more memory."""
    peaks = []
    for count in (2_000, 20_000):
        made = tmp_path / f"ledger-{count}.sqlite3"
        with closing(Ledger(made)) as ledger:
            drafts = (Draft("scored", f"r{at}", {"pd": 0.25}, {"answers": {"n": "x" * 700}}) for at in range(count))
            futures = [ledger.submit(one) for one in drafts]
            assert futures[-1].result()
        for name in ("out.csv", "out.parquet"):
            command = [sys.executable, "-c", EXPORTING, "--ledger", str(made), "export", str(tmp_path / name)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            peaks.append(int(done.stdout.split()[-2]) / 1024)
        with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
            assert sum(1 for _ in csv.DictReader(stream)) == count + 1
    small_csv, small_parquet, large_csv, large_parquet = peaks
    assert large_csv - small_csv < 20  # MB; the records alone are 18 MB more, and were held several times
    assert large_parquet - small_parquet < 60  # one row group

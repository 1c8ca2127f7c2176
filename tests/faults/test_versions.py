"""Other versions of the ledger and of the app: what an older one wrote is read, what a later one wrote is refused."""

import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from parts import some
from scale import report, times

from inference.release import open_release
from inference.settings import RELEASES, ROOT, default_release
from ledger import queries
from ledger.__main__ import main
from ledger.events import Scored
from ledger.schema import VERSION
from ledger.store import Store
from ledger.verify import verify
from profiling.benchmarks.serving import free_port, served

# What tests/data/write_ledger.py wrote in each version: a case of each release before and after a purge.
HEADS = {
    1: "1ba6a5b790147d88a0cda884aa4d80327e718f59346283c7cab8e0c8494fc260",
    2: "c39d014a0158c9e8e998e9403d02134ffe47c54304fcd4b5ff9c517d6b5ecbc1",
    3: "8c0e6041bc7bd7a5431dc0eddbfaedf0379128fda7dc00b1661fdb30c79b3c15",
}
EXAMPLE = open_release(default_release()).form.example
DATA = Path(__file__).resolve().parents[1] / "data"


KINDS = {
    1: {"begun": 1, "scored": 4, "decided": 4, "agreed": 4, "contested": 4, "purged": 1},
    2: {
        "begun": 1, "scored": 4, "decided": 8, "agreed": 4, "contested": 4, "notified": 4, "held": 2, "purged": 1,
        "cleaned": 1,
    },
    3: {
        "begun": 1, "scored": 4, "assigned": 4, "noted": 4, "decided": 8, "agreed": 4, "contested": 4, "notified": 4,
        "held": 2, "purged": 1, "cleaned": 1,
    },
}  # fmt: skip
ERASED = {1: 8, 2: 12, 3: 16}  # personal parts
KEPT = {1: 8, 2: 12, 3: 16}  # records that name the reference of a case that is kept
UNFINISHED = {1: 3, 2: 0, 3: 0}  # exit status of verify: no program of version 1 said whether its purge left anything


@pytest.fixture(params=HEADS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A ledger as a version left it, and its head."""
    file = tmp_path / "old.sqlite3"
    file.write_bytes(gzip.decompress((DATA / f"ledger-{request.param}.sqlite3.gz").read_bytes()))
    return file, HEADS[request.param]


def command(file: Path, *arguments: str) -> int:
    return main(["--ledger", str(file), *arguments])


def test_every_version_has_its_ledger() -> None:
    """Whoever raises the version first writes a ledger of the old one, and keeps it here."""
    assert sorted(HEADS) == list(range(1, VERSION + 1))


def test_an_old_ledger_is_read(
    old: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    """It verifies with the head of then, replays where the releases are still here, shows and exports each record."""
    file, head = old
    version = next(version for version, kept in HEADS.items() if kept == head)
    assert command(file, "verify", "--head", head) == UNFINISHED[version]
    records, erased = (int(one) for one in re.findall(r"(\d+) (?:records are|personal)", capsys.readouterr().out))
    assert (records, erased) == (sum(KINDS[version].values()), ERASED[version])
    with closing(Store(file)) as opened, opened.reading() as connection:
        all_of_them = list(queries.records(connection))
    found = [one.event for one in all_of_them]
    assert Counter(one.kind for one in found) == KINDS[version]
    here = {open_release(manifest.parent).digest for manifest in RELEASES.glob("*/manifest.json")}
    scores = [one for one in found if isinstance(one, Scored) and not one.erased]
    replayable = sum(one.release in here for one in scores)
    assert command(file, "replay") == 0  # none differs
    said = capsys.readouterr().out
    assert f"{4 - replayable} impossible" in said
    assert f"{replayable} same" in said or not replayable
    for one in some(found):
        assert command(file, "show", one.id) == 0
        assert json.loads(capsys.readouterr().out)[0]["id"] == one.id
    assert command(file, "export", str(tmp_path / "out.csv")) == 0
    assert (tmp_path / "out.csv").read_text("utf-8").count("kept é") == KEPT[version]
    report("versions_old_ledger", record_property, records=records, replayed=replayable)


def of_version(file: Path, version: int, mode: str = "WAL") -> Path:
    """The ledger as another version marks it, its log emptied into it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute(f"PRAGMA user_version={version}")
        other.execute(f"PRAGMA journal_mode={mode}")
    return file


@pytest.mark.parametrize("version", [0, VERSION + 1])
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_ledger_of_another_version_is_refused(
    old: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], version: int, mode: str
) -> None:
    """Every command says which version it found and which one it writes; not a byte of the folder changes."""
    file = of_version(old[0], version, mode)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    outside = tmp_path.parent / f"{tmp_path.name}-out"
    for arguments in (
        ["verify"], ["replay"], ["show", "begun"], ["head"], ["export", f"{outside}.csv"],
        ["purge", "--before", "2020-01-01"], ["backup", f"{outside}.sqlite3"],
    ):  # fmt: skip
        assert command(file, *arguments) == 2
        assert f"a ledger of version {version}, and this program writes version {VERSION}" in capsys.readouterr().err
    assert main(["restore", str(file), f"{outside}.sqlite3"]) == 2
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    assert not list(tmp_path.parent.glob(f"{outside.name}*"))


def test_the_app_does_not_start_on_a_ledger_of_another_version(old: tuple[Path, str], tmp_path: Path) -> None:
    """Exit status 1, one message, and the file is as it was."""
    file = of_version(old[0], VERSION + 1)
    before = file.read_bytes()
    own = {"TENFOLD_LEDGER": str(file), "TENFOLD_LOG": str(tmp_path / "p.jsonl"), "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Tenfold cannot start: ledger ")
    assert f"a ledger of version {VERSION + 1}" in done.stderr
    assert "TENFOLD_LEDGER names another file" in done.stderr
    assert file.read_bytes() == before


def test_a_database_of_another_program_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SQLite would turn it to a write-ahead log as it opens it."""
    file = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE t (x)")
    before = file.read_bytes()
    assert command(file, "verify") == 2
    assert "not a ledger of Tenfold" in capsys.readouterr().err
    assert file.read_bytes() == before


# --- two real servers on one ledger; the last test leaves them of no use ---


class Shared(NamedTuple):
    """A ledger and what asks the servers that are on it."""

    file: Path
    clients: list[httpx.Client]

    def mark(self, version: int) -> int:
        """What another version does to the file; how many records there are then."""
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            (count,) = other.execute("SELECT count(*) FROM entries").fetchone()
            other.execute(f"PRAGMA user_version={version}")
            other.execute("COMMIT")
        return int(count)

    def recorded(self) -> list[str]:
        """Ids of all scores; the ledger is verified first."""
        with closing(Store(self.file)) as opened:
            assert verify(opened).problem is None
            with opened.reading() as connection:
                return [one.header.id for one in queries.records(connection, ["scored"])]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    file = folder / "ledger.sqlite3"
    own = {"TENFOLD_LEDGER": str(file), "TENFOLD_LOG": str(folder / "p.jsonl")}
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:

        def start(_: int) -> httpx.Client:
            url = stack.enter_context(served([sys.executable, "app.py"], "/readyz", own))
            return stack.enter_context(httpx.Client(base_url=url, timeout=60))

        yield Shared(file, list(pool.map(start, range(2))))


def ask(client: httpx.Client, reference: str) -> httpx.Response:
    """A score under an Idempotency-Key."""
    body = {"answers": EXAMPLE, "reference": reference}
    return client.post("/api/v1/score", json=body, headers={"Idempotency-Key": reference})


def test_two_servers_share_a_ledger(shared: Shared, record_property: Any) -> None:
    """Under load, every request sent to both with one Idempotency-Key: one record each, told by both, in one chain."""
    requests = times(100, 3000)
    with ThreadPoolExecutor(8) as pool:
        asked = [[pool.submit(ask, client, f"R{at}") for client in shared.clients] for at in range(requests)]
        answers = [[one.result() for one in both] for both in asked]
    assert {one.status_code for both in answers for one in both} == {200}
    told = [{one.json()["id"] for one in both} for both in answers]
    assert {len(ids) for ids in told} == {1}
    recorded = shared.recorded()
    assert sorted(recorded) == sorted(id for ids in told for id in ids)
    report("versions_two_servers", record_property, requests=2 * requests, records=len(recorded), lost=0, duplicated=0)


def test_readyz_sees_another_version_before_anybody_asks(shared: Shared) -> None:
    """A server that nobody uses is red too, and green again once the file is as it was."""
    shared.mark(VERSION + 1)
    ready = shared.clients[0].get("/readyz")
    shared.mark(VERSION)
    assert ready.status_code == 503
    assert f"version {VERSION + 1}" in ready.text
    assert shared.clients[0].get("/readyz").status_code == 200


def test_a_ledger_that_another_version_takes_over(shared: Shared, record_property: Any) -> None:
    """Under load: from then on both servers answer 503 and write nothing, and what was told is there and whole."""
    before = shared.recorded()
    begun = threading.Event()

    def load(name: int) -> list[httpx.Response]:
        answers = []
        for at in range(times(40, 1000)):
            answers.append(ask(shared.clients[name % 2], f"{name}-{at}"))
            if at == 5:
                begun.set()
        return answers

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(load, name) for name in range(4)]
        assert begun.wait(60)
        count = shared.mark(VERSION + 1)
        answers = [one for each in running for one in each.result()]
    told = [one.json()["id"] for one in answers if one.status_code == 200]
    refused = sum(one.status_code == 503 for one in answers)
    assert len(told) + refused == len(answers)
    assert refused
    for client in shared.clients:
        assert ask(client, "late").status_code == 503
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
    assert shared.mark(VERSION) == count
    assert sorted(shared.recorded()) == sorted([*before, *told])
    report("versions_taken_over", record_property, answered=len(told), refused=refused, lost=0)

"""docs/ledger-format.md: its verifier agrees with ours on real ledgers, and every kind that is written stands in it."""

import gzip
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from ledger_cases import writing_to

from inference.scorer import Scorer
from inference.settings import ROOT
from ledger.__main__ import main
from ledger.decisions import scored
from ledger.events import KINDS
from ledger.ledger import Ledger
from ledger.readonly import ReadOnlyStore
from ledger.verify import verify

DOCUMENT = (ROOT / "docs" / "ledger-format.md").read_text("utf-8")
DATA = Path(__file__).with_name("data")


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of the document, in a folder where nothing of ours can be imported."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    file = tmp_path_factory.mktemp("verifier") / "verifier.py"
    file.write_text(program)
    return file


def told(verifier: Path, ledger: Path) -> tuple[int, str]:
    """Exit status and what it says."""
    done = subprocess.run(
        [sys.executable, "-I", str(verifier), str(ledger)], cwd=verifier.parent, capture_output=True, text=True
    )
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Two cases, one of them erased."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        write.decide("2022-01-02", write.score("2022-01-01", "old"))
        write.decide("2026-01-02", write.score("2026-01-01", "new"))
    assert main(["--ledger", str(file), "purge", "--before", "2023-01-01"]) == 0
    return file


@pytest.mark.slow
def test_the_documents_verifier_agrees(verifier: Path, ledger: Path, tmp_path: Path, scorer: Scorer) -> None:
    """On a real score, a purged ledger, and one of version 1: the same head."""
    real, old = tmp_path / "real.sqlite3", tmp_path / "old.sqlite3"
    with closing(Ledger(real)) as opened:
        example = scorer.release.form.example
        opened.append(scored(scorer.score(example), scorer.release, example, by="test", channel="api"))
    old.write_bytes(gzip.decompress((DATA / "ledger-1.sqlite3.gz").read_bytes()))
    for file in (real, ledger, old):
        with closing(ReadOnlyStore(file)) as opened_again:
            found = verify(opened_again)
        assert told(verifier, file) == (0, f"{found.records} records are whole, head {found.head}")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE entries SET body = replace(body, '0.12', '0.13') WHERE seq = 2", "record 2 is missing or was changed"),
        ("DELETE FROM personal WHERE seq = 4", "record 4: its personal part is missing"),
        (
            "UPDATE personal SET body = replace(body, 'answer', 'ANSWER') WHERE seq = 4",
            "record 4: its personal part was",
        ),
        ("DELETE FROM personal; DELETE FROM entries WHERE seq = 3", "record 3 is missing or was changed"),
    ],
)
def test_the_documents_verifier_finds_changes(verifier: Path, ledger: Path, sql: str, says: str) -> None:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.executescript(sql)
    status, said = told(verifier, ledger)
    assert status == 1
    assert said.startswith(says)


def test_every_kind_is_documented() -> None:
    """A kind that is added to ledger/events.py is added to the document too."""
    assert len(KINDS) == 17
    for kind in KINDS:
        assert re.search(rf"^\| .*`{kind}`.* \|", DOCUMENT, re.MULTILINE), kind

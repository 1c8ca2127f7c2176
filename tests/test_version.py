"""The version: stated once, and shown by all that show it."""

import gzip
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from parts import some, visiting

from inference.scorer import Scorer
from inference.settings import ROOT, Settings
from inference.version import VERSION
from ledger import queries
from ledger.events import Scored
from ledger.ledger import Ledger
from ledger.readonly import ReadOnlyStore

CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def scores(file: Path) -> list[Scored]:
    """The scores of a ledger, in their order; there is at least one."""
    with closing(ReadOnlyStore(file)) as opened, opened.reading() as connection:
        return some(record.event for record in queries.records(connection) if isinstance(record.event, Scored))


def versions_of_changelog() -> list[str]:
    return re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)


def test_the_changelog_begins_with_this_version() -> None:
    """Sections by version, newest first, and each one's tag is named where tags are explained."""
    listed = versions_of_changelog()
    assert listed[0] == VERSION
    assert sorted(listed, key=lambda text: [int(part) for part in text.split(".")], reverse=True) == listed
    assert len(set(listed)) == len(listed) >= 2
    contributing = (ROOT / "docs" / "contributing.md").read_text("utf-8")
    assert re.findall(r"`v([0-9.]+)`", contributing) == listed[::-1]


@pytest.mark.slow
def test_the_package_has_it(tmp_path: Path) -> None:
    """What setuptools makes of pyproject.toml; it imports nothing of ours for it."""
    program = (
        "import sys; from setuptools.config.pyprojecttoml import read_configuration as read\n"
        "print(read('pyproject.toml')['project']['version'], 'inference' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{VERSION} False\n", done.stderr


def test_the_command_says_it_without_a_package() -> None:
    """And answers before it imports anything that is installed."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "tenfold", "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, f"tenfold {VERSION}\n"), done.stderr


@pytest.mark.slow
def test_a_server_says_it(default_scorer: Scorer, settings: Settings, tmp_path: Path) -> None:
    """`/readyz`, the foot of the desk in both languages, the API's description, and the record of a score."""
    from web.server import create_app  # here: it brings Gradio, which make quick does without

    file = tmp_path / "ledger.sqlite3"
    with closing(Ledger(file)) as kept:
        app = create_app(default_scorer, settings, kept)
        with visiting(app) as client:
            assert client.get("/readyz").json()["version"] == VERSION
            assert client.get("/api/v1/openapi.json").json()["info"]["version"] == VERSION
            for page in ("/", "/fr/"):
                assert f"Tenfold {VERSION} ·" in client.get(page).text
            answers = {"answers": dict(default_scorer.release.form.example)}
            score = client.post("/api/v1/score", json=answers).json()
    (event,) = scores(file)
    assert (event.id, event.version) == (score["id"], VERSION)


@pytest.mark.parametrize("form", [1, 2])
def test_records_of_before_are_read(tmp_path: Path, form: int) -> None:
    """Those that 0.1.0 wrote: their version is unknown."""
    file = tmp_path / "old.sqlite3"
    file.write_bytes(gzip.decompress((ROOT / "tests" / "data" / f"ledger-{form}.sqlite3.gz").read_bytes()))
    assert {event.version for event in scores(file)} == {None}

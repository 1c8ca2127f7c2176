"""`python -m profiling.documents.structure` counts a package's files, arrows and floors."""

import subprocess
import sys
from pathlib import Path

import pytest

from inference.settings import ROOT
from profiling.documents.structure import arrows, between_rooms, floors, table


def test_a_small_package(tmp_path: Path) -> None:
    """Three modules in a row are three floors and two arrows; imports inside functions count, of others none."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "__init__.py").touch()
    (tmp_path / "web" / "low.py").write_text("import json\n")
    (tmp_path / "web" / "middle.py").write_text("from web.low import one\n")
    (tmp_path / "web" / "high.py").write_text("def late():\n    from web import middle\n    from ledger import store\n")
    found = arrows(tmp_path, "web")
    assert found == {"web": set(), "web.low": set(), "web.middle": {"web.low"}, "web.high": {"web.middle"}}
    assert floors(found) == 3


def test_rooms_are_folders_and_lone_modules() -> None:
    """What is imported within a room is no arrow between rooms, and two ways into a room are one arrow."""
    imports = {
        "web": set(),
        "web.low": set(),
        "web.cards": set(),
        "web.cards.scale": {"web.low"},
        "web.cards.score": {"web.cards.scale", "web.low"},
        "web.cases.routes": {"web.cards.score", "web.cards.scale"},
    }
    rooms = between_rooms(imports)
    assert rooms == {"web.low": set(), "web.cards": {"web.low"}, "web.cases": {"web.cards"}}
    assert floors(rooms) == 3


def test_a_table_of_another_checkout(tmp_path: Path) -> None:
    """Its own files are counted, not ours."""
    for package in ("inference", "ledger", "models", "web", "profiling"):
        (tmp_path / package / "room").mkdir(parents=True)
        (tmp_path / package / "low.py").write_text("import json\n")
        (tmp_path / package / "room" / "high.py").write_text(f"from {package} import low\n\n\n")
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table(tmp_path).splitlines()[2:]]
    assert rows == [[row[0], "2", "4", "3", "2", "1", "2", "2", "1", "2"] for row in rows]
    assert len(rows) == 5


def test_a_circle_has_no_floors() -> None:
    """Two modules that import each other."""
    assert floors({"a": {"b"}, "b": {"a"}}) is None


@pytest.mark.slow
def test_the_command_prints_each_package() -> None:
    """A row a package, none of them a circle."""
    done = subprocess.run(
        [sys.executable, "-m", "profiling.documents.structure"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [row[0].strip("| ") for row in rows] == ["inference", "ledger", "models", "web", "profiling"]
    assert "circle" not in done.stdout

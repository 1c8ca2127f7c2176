"""`python -m profiling.documents.structure` counts a package's files, arrows and floors."""

import subprocess
import sys
from pathlib import Path

import pytest

from inference.settings import ROOT
from profiling.documents.structure import arrows, floors


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

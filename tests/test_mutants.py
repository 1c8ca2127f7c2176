"""The list of small changes that must each make a test fail (`make mutants`): it fits the code as it is now."""

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mutants.run import ROOT, Mutant, copy, mutants

LISTED = mutants()
LEAST = {"inference": 20, "ledger": 20, "web": 20}  # web: who may enter, and who may decide


def test_there_are_enough() -> None:
    """At least sixty, over scoring, the ledger and who may enter; no two are the same."""
    assert len(LISTED) >= 60
    assert len({(one.file, one.find, one.replace) for one in LISTED}) == len(LISTED)
    counts = Counter(one.file.partition("/")[0] for one in LISTED)
    assert {part: counts[part] >= least for part, least in LEAST.items()} == dict.fromkeys(LEAST, True)
    entering = {f"web/security/{name}.py" for name in ("entrance", "accounts", "login")}
    entering |= {"web/cases/rules.py", "web/person.py"}
    assert entering <= {one.file for one in LISTED}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", LISTED, ids=str)
def test_a_change_can_still_be_made(mutant: Mutant) -> None:
    """Its text is there exactly once, the changed file is another program that compiles, and its test is there."""
    text = (ROOT / mutant.file).read_text("utf-8")
    changed = mutant.applied(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    file, _, name = mutant.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text("utf-8")


TRIED = """
import sys
from pathlib import Path
from run import Mutant, tried

for find, replace, test in (
    ("x * 2", "x * 3", "test_it"),
    ("x * 2", "x + x", "test_it"),
    ("x ** 2", "x * 3", "test_it"),
    ("x", "y", "test_it"),
    ("x * 2", "x *", "test_it"),
    ("x * 2", "x * 3", "test_gone"),
):
    mutant = Mutant("doubling.py", find, replace, f"test_doubling.py::{test}", "why")
    print(tried(mutant, Path(sys.argv[1])).partition(":")[0])
"""


@pytest.mark.slow
def test_the_runner_tells_killed_from_survived(tmp_path: Path) -> None:
    """In a tree of its own: a change that its test notices, one that it does not, two that cannot be made (not there,
    and there twice), and two that no test has judged: no Python, and a test that is not there. The file is as it was.
    """
    tree = tmp_path / "tree"
    tree.mkdir()
    code = "def double(x):\n    return x * 2  # twice\n"
    (tree / "doubling.py").write_text(code)
    (tree / "test_doubling.py").write_text("from doubling import double\n\ndef test_it():\n    assert double(3) == 6\n")
    command = [sys.executable, "-c", TRIED, str(tree)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "mutants")}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "killed", "survived", "cannot be made", "cannot be made", "not judged", "not judged",
    ], done.stderr  # fmt: skip
    assert (tree / "doubling.py").read_text() == code


@pytest.mark.slow
def test_a_copy_is_the_tree(tmp_path: Path) -> None:
    """What git knows or does not ignore, byte for byte, and nothing of an environment."""
    made = copy(tmp_path / "copy")
    for name in ("app.py", "inference/policy.py", "tests/mutants/changes.toml", "models/releases/DEFAULT"):
        assert (made / name).read_bytes() == (ROOT / name).read_bytes()
    assert not (made / ".venv").exists()


@pytest.mark.slow
def test_a_name_that_names_nothing_is_no_success() -> None:
    """`make mutants ONLY=…` with a wrong name runs nothing, and says so with exit status 1."""
    command = [sys.executable, str(ROOT / "tests" / "mutants" / "run.py"), "no such mutant"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "No mutant is named" in done.stdout

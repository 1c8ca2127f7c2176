"""Other parameters for a lender's recipe: only if asked, seeded, inside the training loans, and nothing is written."""

import re
from pathlib import Path
from typing import Any

import pytest
from lenders import frame, written

from models.commands import main
from models.own_search import REPEATS, search_file

pytestmark = pytest.mark.slow
POOR = "[model]\ntrees = 3\ndepth = 1\nlearning_rate = 0.01\n"
DATED = 'date = "issued"\nread = { dates = "%Y-%m-%d" }\ngroup = "customer"\n'
LEFT = 'leave_out = [{ column = "defaulted", why = "after the fact" }]\n'


def test_a_poor_recipe_gets_lines_to_paste(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines are those of the best row, the recipe takes them, and then nothing is clearly better."""
    recipe = written(tmp_path, frame(), model=POOR)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert main(["search", str(recipe), "--candidates", "2"]) == 0
    told = capsys.readouterr().out
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert re.search(r"Better by 0\.\d{4} of AUC, in every part", told)
    rows = [line for line in told.splitlines() if line.startswith("| 0.")]
    assert len(rows) == 3
    assert len(rows[0].split("|")[2].split(",")) == REPEATS
    lines = told.partition("these lines:\n\n")[2]
    recipe.write_text(recipe.read_text("utf-8").replace(POOR, f"[model]\n{lines}\n"), "utf-8")
    assert main(["search", str(recipe), "--candidates", "2"]) == 0
    assert "Nothing is clearly better than own.toml as it stands" in capsys.readouterr().out


def test_later_loans_take_no_part(tmp_path: Path) -> None:
    """With the outcomes of the loans that judge turned round it says the same; by another seed it does not."""
    data = frame(dated=True)
    recipe = written(tmp_path, data, loans=DATED + LEFT, split='test_from = "2023-01"', model=POOR)
    told = search_file(recipe, 2)
    late = data["issued"] >= "2023-01"
    data.loc[late, "bad"] = data.loc[late, "bad"].map({"1": "0", "0": "1"})
    again: Any = written(tmp_path, data, loans=DATED + LEFT, split='test_from = "2023-01"', model=POOR)
    assert search_file(again, 2) == told
    assert search_file(again, 2, seed=1) != told
    assert "half-life" in told


def test_what_cannot_be_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An open question, a scorecard, no such recipe: said, with status 1 or 2."""
    recipe = written(tmp_path, frame(), model='[model]\nkind = "scorecard"\n')
    assert main(["search", str(recipe)]) == 1
    assert "model.kind: a scorecard has no parameters to search" in capsys.readouterr().err
    recipe = written(tmp_path, frame(), model=POOR + "# ASK which?\n")
    assert main(["search", str(recipe)]) == 1
    assert "ASK which?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["search", "nothing"])
    assert "no recipe nothing; there are consumer, sba" in capsys.readouterr().err

"""History of a lender's own loans: what earlier loans of a group had come to, as known at the time."""

from pathlib import Path

import numpy as np
import pytest
from lenders import MODEL, frame, written
from parts import some

from models.evaluation import ALL_COLUMNS, RELEASE
from models.history import PRIOR_CHARGE_OFFS
from models.own_history import FIGURES, OwnHistory, blank, known_bad
from models.own_loans import train_file
from models.recipe import Loans
from models.recipe_file import read_recipe
from models.toml_file import BadFile

FIELDS = [
    {"name": "region", "kind": "choice", "digits": None, "choices": [{"code": "north"}, {"code": "south"}]},
    {"name": "use", "kind": "choice", "digits": None, "choices": [{"code": "car"}, {"code": "home"}]},
]
JANUARY = 12 * 2020


def past(horizon: int | None = None) -> OwnHistory:
    """Ten loans a month and region in January and February; in March two of January's went bad in the south."""
    region = ["north"] * 10 + ["south"] * 10
    bad = np.zeros(40, np.int8)
    bad[[10, 11]] = 1
    loans = Loans(
        {"region": region * 2, "use": ["car", "home"] * 20}, bad,
        np.repeat([JANUARY, JANUARY + 1], 20).astype(np.int32),
        np.where(bad == 1, 0 if horizon else JANUARY + 2, 0).astype(np.int32),
    )  # fmt: skip
    last = Loans({"region": ["north"], "use": ["car"]}, np.zeros(1, np.int8), np.array([JANUARY + 24], np.int32),
                 np.zeros(1, np.int32))  # fmt: skip
    every = Loans(
        {name: [*loans.answers[name], *last.answers[name]] for name in loans.answers},
        np.concatenate([loans.bad, last.bad]), np.concatenate([loans.months, last.months]),
        np.concatenate([loans.bad_months, last.bad_months]),
    )  # fmt: skip
    return OwnHistory([("region",), ("use", "region")], FIELDS, every, horizon)


def index(history: OwnHistory, month: int, key: str = "region") -> dict[str, float]:
    table = history.tables(month)[key]
    return dict(zip([*table.keys, "all"], table.values[:, FIGURES.index("index")].tolist(), strict=True))


def test_a_default_counts_from_the_month_after_it() -> None:
    """In March nothing is known; from April on the south's index is above one and the north's below, by hand."""
    history = past()
    assert index(history, JANUARY + 2) == {"north": 1.0, "south": 1.0, "all": 1.0}
    # All went bad at a pace of 2 of 20 loans of January: 1 loan is expected of each region's ten.
    assert index(history, JANUARY + 3) == pytest.approx({
        "north": (0 + PRIOR_CHARGE_OFFS) / (1 + PRIOR_CHARGE_OFFS),
        "south": (2 + PRIOR_CHARGE_OFFS) / (1 + PRIOR_CHARGE_OFFS), "all": 1.0,
    })  # fmt: skip


def test_without_a_day_of_default_the_horizon_says_when() -> None:
    """Bad loans of January are known to be bad twelve months later, and not before."""
    history = past(horizon=12)
    assert index(history, JANUARY + 12)["south"] == 1.0
    assert index(history, JANUARY + 13)["south"] > 1.0


def test_a_pair_is_shrunk_towards_its_second_answer() -> None:
    """No loan of use and region is alone: each pair lies near its region."""
    pairs = index(past(), JANUARY + 3, "use|region")
    assert list(pairs) == ["car|north", "car|south", "home|north", "home|south", "all"]
    assert pairs["car|south"] > 1 > pairs["car|north"]


def test_a_default_before_the_loan_is_no_day() -> None:
    """Where the day of default lies before the application the horizon counts; without one nothing is known."""
    loans = Loans({}, np.array([1, 1, 0], np.int8), np.array([10, 10, 10], np.int32), np.array([9, 12, 0], np.int32))
    assert known_bad(loans, 0, 6).tolist() == [16, 12, -1]
    assert known_bad(loans, 0, None).tolist() == [-1, 12, -1]


def test_blank_tables_have_the_shape() -> None:
    """For a check of the features before loans are read."""
    tables, made = blank([("use", "region")], FIELDS), past().tables(JANUARY + 3)
    assert tables["use|region"].keys == made["use|region"].keys
    assert tables["use|region"].values.shape == made["use|region"].values.shape


DATED = 'date = "issued"\nread = { dates = "%Y-%m-%d" }\ngroup = "customer"\nhistory = ["home", ["job", "home"]]\n'
LEFT = 'leave_out = [{ column = "defaulted", why = "after the fact" }]\n'


@pytest.mark.slow
@pytest.mark.parametrize("dated_default", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_later_loans_judge_with_history(tmp_path: Path, dated_default: bool, weighted: bool) -> None:
    """With and without days of default and weights: tables are in the release, which scores as trained."""
    data = frame(dated=True)
    loans = DATED + ('default_date = "defaulted"\n' if dated_default else LEFT)
    if weighted:
        data["exposure"] = data["amount"]
        loans += 'weight = "exposure"\n'
    made = train_file(written(tmp_path, data, loans=loans), tmp_path / "out")
    tables = made.release.manifest.training["tables_as_of"]
    assert tables is not None
    assert {name.partition(".")[0] for name in made.release.rows.columns if ".index" in name} == {"home", "job|home"}
    samples = [row["sample"] for row in made.report.rows if row["model"] == RELEASE]
    assert [sample.partition(", ")[2] for sample in samples] == ["frozen tables", "refreshed tables"]
    assert (made.trained.loans.weights is not None) == weighted
    values = made.trained.sample.values[:50]
    served = made.release.rows.build(values)
    np.testing.assert_array_equal(served, made.trained.builder.build(values))
    at = made.release.rows.columns.index("home.index")
    assert len(np.unique(served[:, at])) > 2
    card = (made.release.folder / "MODEL_CARD.md").read_text("utf-8")
    assert "history tables" in card
    assert all(row["model"] != ALL_COLUMNS for row in some(made.report.rows))


@pytest.mark.parametrize(
    ("loans", "model", "told"),
    [
        ('history = ["home"]', MODEL, r"loans\.history: needs loans\.date"),
        (
            DATED.replace('["home", ["job", "home"]]', '["income"]') + LEFT,
            MODEL,
            r"loans\.history\[1\]: a choice field",
        ),
        (DATED + LEFT, '[model]\nkind = "scorecard"\n', r"loans\.history: is not for a scorecard"),
    ],
)
def test_what_history_needs(tmp_path: Path, loans: str, model: str, told: str) -> None:
    """Each with its line, before a loan is read."""
    with pytest.raises(BadFile, match=r"line \d+: " + told):
        read_recipe(written(tmp_path, frame(dated=True)[:10], loans=loans, model=model))


def test_a_horizon_without_months_does_not_say_when(tmp_path: Path) -> None:
    """Nor does any other kind of history work in a lender's recipe."""
    recipe = written(tmp_path, frame(dated=True)[:10], loans=DATED + LEFT)
    recipe.write_text(recipe.read_text("utf-8").replace("24 months", "not known"), "utf-8")
    with pytest.raises(BadFile, match=r"loans\.history: needs loans\.default_date, or a horizon in months"):
        read_recipe(recipe)
    more = '\n[[features]]\nkind = "history"\ntable = "t"\nkey = [{ of = "home" }]\ncolumns = ["x"]\n'
    with pytest.raises(BadFile, match=r"say loans\.history instead"):
        read_recipe(written(tmp_path, frame()[:10], more=more))

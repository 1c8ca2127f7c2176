"""History tables: what was known then, compared with loans of the same age, shrunk towards the parent."""

import numpy as np
import pandas as pd
import pytest
from parts import some

from models.data import loans
from models.history import PRIOR_CHARGE_OFFS, PRIOR_LOANS, Events, Level, table
from models.recipes.sba import STATES
from models.recipes.sba_history import INDEX, TABLES, SbaHistory, month

pytestmark = pytest.mark.slow

AS_OF = 200401


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return loans.sba()


@pytest.fixture(scope="module")
def history(frame: pd.DataFrame) -> SbaHistory:
    return SbaHistory(tuple(STATES), TABLES, frame)


def test_tables_know_nothing_of_what_came_later(frame: pd.DataFrame, history: SbaHistory) -> None:
    """Without every approval and charge-off from a month on, that month's tables are the same bits."""
    then = frame[frame["approved"] < AS_OF].copy()
    then.loc[(then["charged_off_month"] >= AS_OF).fillna(False), "charged_off_month"] = pd.NA
    known = SbaHistory(tuple(STATES), TABLES, then).tables(month(AS_OF))
    for name, expected in some(history.tables(month(AS_OF)).items()):
        assert known[name].keys == expected.keys
        assert known[name].values.tobytes() == expected.values.tobytes(), name


def test_tables_move_with_the_month(history: SbaHistory) -> None:
    """A later month knows more: every table differs from the one of a year before."""
    before = {name: found.values.copy() for name, found in history.tables(month(AS_OF - 100)).items()}
    for name, later in some(history.tables(month(AS_OF)).items()):
        assert (later.values != before[name]).any(), name


def test_tables_are_finite_and_indices_positive(history: SbaHistory) -> None:
    """Every figure is finite, and a charge-off index is above 0 and of the order of 1."""
    for name, found in some(history.tables(month(AS_OF)).items()):
        assert np.isfinite(found.values).all(), name
    state = history.tables(month(AS_OF))["state"].values[:, : len(INDEX)]
    assert (state > 0.2).all()
    assert (state < 5).all()


def test_a_code_without_loans_takes_its_prefix(history: SbaHistory) -> None:
    """A six-digit code that no loan carries shows its four digits' figures in the six-digit columns."""
    industry = history.tables(month(AS_OF))["industry"]
    at = {key: i for i, key in enumerate(industry.keys)}
    group = at["7221"]  # a prefix: no loan carries it
    four, six = industry.values[group], industry.values[at["722110"]]
    assert (four != six).any()
    starts = dict(zip(TABLES["industry"], np.cumsum([0, *map(len, TABLES["industry"].values())]), strict=False))
    indices = {level: four[at : at + len(INDEX)] for level, at in starts.items()}
    assert np.allclose(indices["naics6"], indices["naics4"])
    assert not np.allclose(indices["naics4"], indices["naics3"])


def events(bad_share: list[float], months: int = 40, each: int = 200) -> Events:
    """Groups of loans, the same number a month; of each month's the share goes bad twelve months later."""
    approved = np.repeat(np.arange(months), each * len(bad_share))
    number = np.tile(np.tile(np.arange(each), len(bad_share)), months)
    share = np.tile(np.repeat(bad_share, each), months)
    bad = np.where((number < share * each) & (approved + 12 < months), approved + 12, -1)
    return Events(0, months, approved, bad, {"number": number.astype(np.float64)})


def test_index_is_observed_over_expected_shrunk_towards_the_parent() -> None:
    """A group twice as bad as another has an index of 4/3 against 2/3, drawn to 1 by the prior's weight."""
    past = events([0.2, 0.1])
    everything = Level.of(past, "all", np.zeros(len(past.approved), np.int64))
    group = np.tile(np.repeat([0, 1], 200), 40).astype(np.int64)
    level = Level.of(past, "group", group, everything, [0, 0])
    expected = 12 * 30.0  # a month's 400 loans lose 60; half of them in each group, over twelve months
    found = level.features(40)["index12"]
    for at, observed in enumerate((12 * 40.0, 12 * 20.0)):
        assert found[at] == pytest.approx((observed + PRIOR_CHARGE_OFFS) / (expected + PRIOR_CHARGE_OFFS))


def test_index_of_all_is_one_and_ends_the_table() -> None:
    """The last row of a table is the topmost level: an index of 1."""
    past = events([0.3, 0.1])
    everything = Level.of(past, "all", np.zeros(len(past.approved), np.int64))
    group = np.tile(np.repeat([0, 1], 200), 40).astype(np.int64)
    level = Level.of(past, "group", group, everything, [0, 0])
    made = table(["a", "b"], [(level, np.array([0, 1]), ["index12", "number12"])], 40)
    assert made.keys == ("a", "b")
    assert made.values.shape == (3, 2)
    assert made.values[2].tolist() == [1.0, pytest.approx(99.5)]


def test_a_traits_mean_is_shrunk_towards_its_parents() -> None:
    """30 loans as the parent's mean are added to a group's own: ten loans move it a little, a thousand nearly all the
    way, none not at all. A loan that does not state the trait counts nowhere."""
    group = np.repeat([0, 1, 0], [10, 1000, 5])
    amount = np.repeat([100.0, 20.0, np.nan], [10, 1000, 5])
    past = Events(0, 12, np.zeros(1015, np.int64), np.full(1015, -1), {"amount": amount})
    everything = Level.of(past, "all", np.zeros(1015, np.int64))
    level = Level.of(past, "group", group, everything, [0, 0, 0])
    mean = (10 * 100 + 1000 * 20) / 1010
    for name in ("amount12", "amount36"):
        assert everything.features(12)[name].tolist() == [pytest.approx(mean)]
        assert level.features(12)[name].tolist() == [
            pytest.approx((10 * 100 + PRIOR_LOANS * mean) / (10 + PRIOR_LOANS)),
            pytest.approx((1000 * 20 + PRIOR_LOANS * mean) / (1000 + PRIOR_LOANS)),
            pytest.approx(mean),
        ]


def test_loans_of_unknown_group_count_nowhere() -> None:
    """A loan without a code is in no group, and not among the peers that groups are compared with."""
    past = events([0.2, 0.9])
    everything = Level.of(past, "all", np.zeros(len(past.approved), np.int64))
    known_only = np.tile(np.repeat([0, -1], 200), 40).astype(np.int64)
    level = Level.of(past, "group", known_only, everything, [0])
    assert level.features(40)["index12"].tolist() == [1.0]

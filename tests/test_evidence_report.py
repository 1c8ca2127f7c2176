"""What a release is measured by, on loans whose end is known, and who is decided otherwise by another one."""

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lenders import frame, written
from parts import some
from sklearn.metrics import brier_score_loss

from inference.application import Application
from inference.policy import APPROVE, DECISIONS
from inference.release import Release, open_release
from inference.settings import current_releases
from inference.watch.expected import month_of
from models.commands import main
from models.evidence.charts import Axis, top_of
from models.evidence.compare import compare, text
from models.evidence.decisions import by_decision, money
from models.evidence.evaluate import as_json, evaluate
from models.evidence.figures import Rates, brier, calibration, discrimination, gains, quarters, segments
from models.evidence.groups import Group, GroupTable, group_tables, shares
from models.evidence.report import broke, write_report
from models.evidence.scored_loans import FOLDS, GIVEN, LATER, NoLoans, ScoredLoans, given_loans, score_loans
from models.metrics import measures
from models.own_loans import train_file

RANDOM = np.random.default_rng(0)
PD = np.round(RANDOM.beta(2, 5, 4000), 2)  # rounded, so that there are ties
BAD = (RANDOM.random(4000) < PD).astype(np.int8)


@pytest.fixture(scope="module")
def consumer() -> Release:
    return open_release(current_releases()["consumer"])


@pytest.fixture(scope="module")
def by_folds(consumer: Release) -> ScoredLoans:
    return score_loans(consumer, given_loans(consumer, None, None))


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Release, ScoredLoans]:
    """A release of dated loans of customers, with a column to look at, and its own loans scored."""
    folder = tmp_path_factory.mktemp("lender")
    data = frame(dated=True)
    data["gender"] = np.where(data["seniority"].astype(int) > 5, "f", "m")
    said = written(
        folder, data,
        loans='date = "issued"\ndefault_date = "defaulted"\ngroup = "customer"\nlook_at = ["gender"]\n'
        'read = { dates = "%Y-%m-%d" }',
    )  # fmt: skip
    release = train_file(said, folder / "out").release
    return said, release, score_loans(release, given_loans(release, said, None))


def test_brier_parts_are_murphys_and_add_up() -> None:
    """Table 7.3 of Wilks 1995 (twelve probabilities of rain, as shares of 10,000 forecasts): its rate is 0.162."""
    stated = np.array([0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    rate = np.array([0.006, 0.019, 0.059, 0.15, 0.277, 0.377, 0.511, 0.587, 0.723, 0.779, 0.934, 0.933])
    n = np.array([4112, 671, 1833, 986, 616, 366, 303, 275, 245, 220, 170, 203])
    wet = np.round(rate * n).astype(int)
    pds = np.repeat(stated, n)
    bad = np.concatenate([np.repeat([1, 0], [w, m - w]) for w, m in zip(wet, n, strict=True)]).astype(np.int8)
    groups = [Rates(str(p), int(m), int(w), float(p), w / m, 0, 1) for p, m, w in zip(stated, n, wet, strict=True)]
    found = brier(bad, pds, groups)
    assert bad.mean() == pytest.approx(0.162, abs=1e-3)
    assert found.within == pytest.approx(0, abs=1e-12)
    assert found.uncertainty == pytest.approx(0.162 * 0.838, abs=1e-3)
    assert found.score == pytest.approx(found.reliability - found.resolution + found.uncertainty)
    assert found.reliability == pytest.approx(float(n @ (stated - wet / n) ** 2) / n.sum())


def test_brier_parts_add_up_where_pds_differ_within_groups() -> None:
    """What is within the tenths is not lost (Stephenson, Coelho and Jolliffe 2008: variance less twice covariance)."""
    groups = calibration(BAD, PD)
    found = brier(BAD, PD, groups)
    assert found.score == pytest.approx(brier_score_loss(BAD, PD))
    parts = np.array_split(np.argsort(PD, kind="stable"), 10)
    within = sum(
        ((PD[part] - PD[part].mean()) ** 2).sum()
        - 2 * ((PD[part] - PD[part].mean()) * (BAD[part] - BAD[part].mean())).sum()
        for part in parts
    )
    assert found.within == pytest.approx(within / len(PD))
    assert found.within != pytest.approx(0, abs=1e-6)


def test_gini_is_the_area_of_the_gains_curve() -> None:
    """The curve's accuracy ratio is the Gini (Engelmann, Hayden and Tasche 2003); order among equals is nothing."""
    tenths, curve = gains(BAD, PD)
    x, y = np.array(curve).T
    area = float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())
    assert (2 * area - 1) / (1 - BAD.mean()) == pytest.approx(2 * measures(BAD, PD)["auc"] - 1, abs=2e-3)
    order = RANDOM.permutation(len(PD))
    assert gains(BAD[order], PD[order])[1] == curve
    assert tenths[-1].caught == pytest.approx(1)
    assert tenths[0].lift == pytest.approx(10 * tenths[0].caught)
    remain = np.sort(PD)[: len(PD) // 2]
    assert tenths[4].rate == pytest.approx(remain.mean(), abs=0.03)


def test_groups_are_measured_as_fairlearn_does() -> None:
    """The example of fairlearn's user guide (common fairness metrics): ratio 0.666…, difference of recall 0.2."""
    y_true = np.array([0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    y_pred = np.array([0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0])
    member = np.array(list("bbabbcccaacabccbcc"))
    nothing = Rates("", 0, 0, *[float("nan")] * 4)
    found = []
    for name in "abc":
        inside = member == name
        approved, of_good = shares(y_pred[inside] == 1, (1 - y_true[inside]).astype(np.int8))
        found.append(Group(nothing, approved, of_good, 0.5, 0.5))
    assert [group.good_approved for group in found] == pytest.approx([0.5, 0.6, 0.4])
    table = GroupTable("group", found, [])
    assert table.approval_ratio == pytest.approx(2 / 3)
    assert table.opportunity_difference == pytest.approx(0.2)


@pytest.mark.slow
def test_undated_loans_of_the_recipe_are_judged_by_folds(consumer: Release, by_folds: ScoredLoans) -> None:
    """What the release says of loans that it has seen is better than what models say that have not."""
    assert by_folds.standing == FOLDS
    seen = score_loans(consumer, given_loans(consumer, None, None), folds=False)
    found = discrimination(by_folds.bad, by_folds.pds)
    card = next(row for row in consumer.manifest.training["metrics"]["table"] if row["model"] == "this release")  # type: ignore[index]
    assert found["auc"].value == pytest.approx(card["auc"], abs=0.003)
    assert found["auc"].low < card["auc"] < found["auc"].high
    assert measures(seen.bad, seen.pds)["auc"] > found["auc"].value + 0.01
    assert found["gini"].low == pytest.approx(2 * found["auc"].low - 1)
    assert quarters(by_folds) == ("", [])


@pytest.mark.slow
def test_dated_loans_are_judged_by_later_ones(lender: tuple[Path, Release, ScoredLoans]) -> None:
    """None of these was granted in the months of training, or to a customer of these; quarters hold every loan."""
    _, release, scored = lender
    assert scored.standing == LATER
    last = month_of(str(release.manifest.training["to"]))
    assert scored.judging.months.min() > last
    assert len(scored.judging) == int((scored.months > last).sum())
    against, found = quarters(scored)
    assert sum(quarter.rates.loans for quarter in found) == len(scored)
    assert sum(quarter.rates.loans for quarter in found if quarter.trained_on) == scored.trained_on.sum()
    assert all(bool(quarter.drift) != quarter.trained_on for quarter in some(found))
    assert against.startswith("2020-01 to ")
    changed = scored.where(~scored.trained_on)
    moved = ScoredLoans(
        release, "", LATER, np.concatenate([scored.values[scored.trained_on], changed.values]),
        np.concatenate([scored.pds[scored.trained_on], changed.pds**0.5]),
        np.concatenate([scored.bad[scored.trained_on], changed.bad]),
        np.concatenate([scored.months[scored.trained_on], changed.months]),
        np.concatenate([scored.trained_on[scored.trained_on], changed.trained_on]), None,
    )  # fmt: skip
    assert all(
        quarter.drift["pd"].alarm for quarter in some(quarter for quarter in quarters(moved)[1] if quarter.drift)
    )
    assert not any(quarter.drift["pd"].alarm for quarter in some(quarter for quarter in found if quarter.drift))


@pytest.mark.slow
def test_the_answers_tell_a_group_that_follows_from_one_of_them(lender: tuple[Path, Release, ScoredLoans]) -> None:
    _, _, scored = lender
    (table,) = group_tables(scored.judging)
    assert [group.rates.label for group in table.groups] == ["f", "m"]
    assert sum(group.rates.loans for group in table.groups) == len(scored.judging)
    assert all(group.telling > 0.99 for group in some(table.groups))
    assert table.approval_ratio < 1
    chance = scored.judging
    assert chance.looked_at is not None
    shuffled = chance.looked_at.assign(gender=np.random.default_rng(1).permutation(chance.looked_at["gender"]))
    (untold,) = group_tables(
        ScoredLoans(
            chance.release, "", LATER, chance.values, chance.pds, chance.bad, chance.months, chance.trained_on, shuffled
        )
    )
    assert all(0.4 < group.telling < 0.6 for group in some(untold.groups))


@pytest.mark.slow
def test_decisions_and_money_are_the_policys_one_by_one(by_folds: ScoredLoans) -> None:
    """Each loan's suggestion by `decide`, its amount, margin and loss added up by hand."""
    release = by_folds.release
    position = release.form.position("amount")
    expected = dict.fromkeys(DECISIONS, (0, 0.0))
    for values, pd, bad in zip(by_folds.values.tolist(), by_folds.pds.tolist(), by_folds.bad.tolist(), strict=True):
        name = release.policy.decide(pd, Application(tuple(values))).suggestion
        count, earned = expected[name]
        amount = values[position]
        expected[name] = (count + 1, earned + (-1.0 * amount if bad else 0.2 * amount))
    for name, found in zip(DECISIONS, by_decision(by_folds), strict=True):
        assert (found.rates.loans, found.earned) == pytest.approx(expected[name]), name


def test_a_guarantee_covers_its_share_of_a_loss() -> None:
    release = open_release(current_releases()["sba"])
    answers = {**release.form.example, "amount": 1_000, "guaranteed_share": 75}
    values = np.array([release.form.parse(answers).values] * 2)
    lent, earned = money(release, values, np.array([0, 1], np.int8))
    assert lent.tolist() == [1_000, 1_000]
    assert earned.tolist() == pytest.approx([100, -0.62 * 250])


@pytest.mark.slow
def test_every_changed_decision_is_counted_once(lender: tuple[Path, Release, ScoredLoans]) -> None:
    """The same loans with PDs pushed up by 0.03: whom it moves, counted by hand; the same release moves nobody."""
    _, _, scored = lender
    riskier = ScoredLoans(
        scored.release, scored.source, scored.standing, scored.values, np.minimum(scored.pds + 0.03, 0.999), scored.bad,
        scored.months, scored.trained_on, None,
    )  # fmt: skip
    assert compare(scored, scored).swap.otherwise == 0
    found = compare(scored, riskier)
    policy, judged = scored.release.policy, np.flatnonzero(~scored.trained_on)
    pairs = [
        tuple(
            policy.decide(float(one.pds[place]), Application(tuple(one.values[place].tolist()))).suggestion
            for one in (scored, riskier)
        )
        for place in judged.tolist()
    ]
    assert found.swap.loans == len(judged)
    assert found.swap.otherwise == sum(old != new for old, new in pairs) > 0
    for moved in found.swap.moved:
        assert moved.decided.rates.loans == pairs.count((moved.old, moved.new))
    only_old = [place for place, pair in zip(judged, pairs, strict=True) if pair[0] == APPROVE != pair[1]]
    assert (APPROVE, APPROVE) in pairs
    assert found.swap.only_old.rates.loans == len(only_old) > 0
    assert found.swap.only_old.rates.bad == scored.bad[only_old].sum()
    assert found.swap.only_new.rates.loans == 0
    before, after = found.swap.approved_bad_rates
    assert after < before
    assert f"{found.swap.otherwise:,} of {len(judged):,} loans" in text(found)


def test_segments_hold_every_loan_that_is_stated_or_not(by_folds: ScoredLoans) -> None:
    found = [segment for segment in segments(by_folds.release.form, by_folds) if segment.field == "income"]
    assert [segment.rates.label for segment in found][-1] == "not stated"
    assert sum(segment.rates.loans for segment in found) == len(by_folds)
    assert found[-1].rates.loans == int(np.isnan(by_folds.values[:, by_folds.release.form.position("income")]).sum())


def test_the_first_quarter_of_a_lasting_break_is_said() -> None:
    def quarter(label: str, low: float, high: float) -> SimpleNamespace:
        return SimpleNamespace(rates=Rates(label, 100, 20, 0.2, 0.2, low, high))

    calm, above = quarter("2006 Q1", 0.1, 0.3), [quarter(f"2006 Q{n}", 0.25, 0.3) for n in (2, 3)]
    assert "from 2006 Q2 on the bad rate lies above" in broke([calm, *above])  # type: ignore[list-item]
    assert broke([*above, calm]) == ""  # type: ignore[list-item]


def test_a_picture_stays_inside_its_frame() -> None:
    axis = Axis(top_of([0.2, float("nan"), 0.63]), 3)
    assert axis.top == pytest.approx(0.6615)
    assert axis.marks == pytest.approx([0, 0.2, 0.4, 0.6])
    assert axis.up(axis.top) == 12
    assert 52 < axis.across(0) < axis.across(2) < 626


@pytest.mark.slow
def test_evaluate_writes_a_page_that_loads_nothing_and_its_figures(
    lender: tuple[Path, Release, ScoredLoans], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command: the lender's recipe, against itself; no answer of a loan is on the page, and JSON has no NaN."""
    said, release, scored = lender
    folder = str(release.folder)
    assert main(["evaluate", folder, "--recipe", str(said), "--against", folder, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    page = (tmp_path / f"{release.name}.evaluation.html").read_text("utf-8")
    figures = json.loads((tmp_path / f"{release.name}.evaluation.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert f"on {len(scored.judging):,} loans" in printed
    assert not re.search(r"https?://|src=|url\(|@import", page)
    assert "<script" not in page
    for section in ("discrimination", "quarters", "stability", "gains", "segments", "groups", "sensitivity", "against"):
        assert f'<section id="{section}">' in page, section
    assert figures["groups"][0]["approval_ratio"] < 1
    assert figures["against"]["swap"]["otherwise"] == 0
    assert figures["discrimination"]["auc"]["value"] == pytest.approx(measures(*both(scored.judging))["auc"])


def both(scored: ScoredLoans) -> tuple[np.ndarray, np.ndarray]:
    return scored.bad, scored.pds


@pytest.mark.slow
def test_a_csv_of_answers_judges_and_lists_whom_a_release_moves(
    consumer: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file by field names; whether it was trained on is not known, and said."""
    file = tmp_path / "new.csv"
    frame().head(400).to_csv(file, index=False)
    scored = score_loans(consumer, given_loans(consumer, None, file))
    assert (scored.standing, len(scored)) == (GIVEN, 400)
    page = write_report(evaluate(scored))
    assert "is not known" in page
    assert '<section id="quarters">' not in page
    listed = tmp_path / "moved.csv"
    folder = str(consumer.folder)
    assert main(["compare", folder, folder, str(file), "--list", str(listed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["swap"]["loans"] == 400
    assert list(csv.reader(listed.read_text().splitlines())) == [["loan", "old", "new", "old_pd", "new_pd", "bad"]]


@pytest.mark.slow
def test_what_cannot_judge_is_refused_with_what_to_give(
    lender: tuple[Path, Release, ScoredLoans], consumer: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, release, _ = lender
    assert main(["evaluate", str(release.folder), "--out", str(tmp_path)]) == 1
    assert "--recipe NAME.toml" in capsys.readouterr().err
    file = tmp_path / "few.csv"
    good = frame()[lambda one: one["bad"] == "0"].head(300)
    rest = frame()[lambda one: one["bad"] == "1"].head(20)
    good.to_csv(file, index=False)
    rest.to_csv(file, index=False, mode="a", header=False)
    assert main(["evaluate", str(consumer.folder), "--loans", str(file), "--out", str(tmp_path)]) == 1
    assert "320 loans to judge by, 20 of them bad; 25 of each outcome are needed" in capsys.readouterr().err
    sba = open_release(current_releases()["sba"])
    with pytest.raises(NoLoans, match="no answers for guaranteed_share"):
        score_loans(sba, given_loans(release, said, None))
    assert not list(tmp_path.glob("*.html"))


def test_json_has_null_for_what_is_not_a_number(by_folds: ScoredLoans) -> None:
    assert as_json({"a": [float("nan"), 1.5]}) == {"a": [None, 1.5]}
    assert as_json(Rates("x", 10, 5, 0.2, 0.5, 0.3, 0.7))["verdict"] == "above"

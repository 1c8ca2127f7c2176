"""How good a release is, beside its rivals in the same run: tables for the console, manifest and card.

A rival gets what the release got: the same loans, folds and vintages, and the same two numbers of calibration.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from tqdm import tqdm

from inference.blocks import Feature, Matrix, NotStatedSpec, NumbersSpec, OneHotSpec
from inference.intervals import wilson
from inference.rows import RowBuilder
from models.metrics import Decile, Floats, Labels, deciles, intervals, measures
from models.recipe import Loans, Recipe
from models.scorecard import Scorecard
from models.train import FOLDS, Trained, calibrate, cross_validate, fit, folds, predict_later, prepare

RELEASE = "this release"
FREE = "XGBoost, same columns, no constraints"
PLAIN = "XGBoost, ten fields"
SCORECARD = "optbinning scorecard, ten fields and their ratios"
REAL_TIME = "real time, 36-month label"


@dataclass(frozen=True, slots=True)
class Result:
    """One model on one sample of loans that it had not seen."""

    model: str
    sample: str
    bad: Labels
    pds: list[Floats]  # one array a repeat
    headline: bool = False  # the release itself, as it serves

    @property
    def measures(self) -> dict[str, float]:
        """Each measure averaged over the repeats."""
        found = [measures(self.bad, pd) for pd in self.pds]
        return {name: float(np.mean([one[name] for one in found])) for name in found[0]}

    @property
    def deciles(self) -> list[Decile]:
        """Calibration by decile, all repeats together."""
        return deciles(np.concatenate([self.bad] * len(self.pds)), np.concatenate(self.pds))

    @property
    def tenths(self) -> dict[str, dict[str, Any]]:
        """Calibration where it matters most: the lowest and the highest tenth, with 95 % intervals of the bad rate.

        A loan counts once, however many repeats there are.
        """
        ends = self.deciles[0], self.deciles[-1]
        return {
            name: {
                "mean_pd": one.mean_pd,
                "bad_rate": one.bad / one.loans,
                "interval": list(wilson(one.bad / len(self.pds), one.loans / len(self.pds))),
            }
            for name, one in zip(("lowest", "highest"), ends, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All results of a release; `rows` are their measures, with 95 % bootstrap intervals for the headline ones."""

    results: list[Result]
    rows: list[dict[str, Any]]

    @property
    def metrics(self) -> dict[str, Any]:
        """For the manifest: the table, and calibration by decile of the headline rows."""
        return {
            "table": self.rows,
            "deciles": {
                one.sample: [
                    {"mean_pd": d.mean_pd, "bad_rate": d.bad / d.loans, "loans": d.loans // len(one.pds)}
                    for d in one.deciles
                ]
                for one in self.results
                if one.headline
            },
        }

    @property
    def text(self) -> str:
        """Markdown: the table of models, their lowest and highest tenths, then calibration by decile."""
        return "\n\n".join([self.table(), self.tenths(), self.calibration()])

    def table(self) -> str:
        """Models against samples, with intervals where they were computed."""
        lines = [
            "| model | loans not seen | n | AUC | KS | Brier | log loss | mean PD | observed |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for row in self.rows:
            cells = []
            for name in ("auc", "ks", "brier", "log_loss", "mean_pd"):
                cell = f"{row[name]:.3f}"
                if "intervals" in row and name != "mean_pd":
                    low, high = row["intervals"][name]
                    cell += f" ({low:.3f}–{high:.3f})"
                cells.append(cell)
            lines.append(
                f"| {row['model']} | {row['sample']} | {row['loans']:,} | {' | '.join(cells)} | {row['bad_rate']:.3f} |"
            )
        return "\n".join(lines)

    def tenths(self) -> str:
        """Mean PD and observed rate in the lowest and the highest tenth, for every row."""
        lines = [
            "| model | loans not seen | lowest tenth: PD | observed (95 % interval) | highest tenth: PD "
            "| observed (95 % interval) |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
        ]
        for row in self.rows:
            cells = " | ".join(tenth(row["tenths"][name]) for name in ("lowest", "highest"))
            lines.append(f"| {row['model']} | {row['sample']} | {cells} |")
        return "\n".join(lines)

    def calibration(self) -> str:
        """Predicted and observed rate by decile of PD, for the headline rows."""
        shown = [one for one in self.results if one.headline]
        lines = [
            "| decile | " + " | ".join(f"{one.sample}: PD | observed" for one in shown) + " |",
            "| ---: | " + " | ".join("---: | ---:" for _ in shown) + " |",
        ]
        for number, groups in enumerate(zip(*[one.deciles for one in shown], strict=True), 1):
            cells = " | ".join(f"{d.mean_pd:.3f} | {d.bad / d.loans:.3f}" for d in groups)
            lines.append(f"| {number} | {cells} |")
        return "\n".join(lines)


def tenth(found: dict[str, Any]) -> str:
    """Two cells of a table: mean PD, and the observed rate with its interval."""
    low, high = found["interval"]
    return f"{found['mean_pd']:.3f} | {found['bad_rate']:.3f} ({low:.3f}–{high:.3f})"


def report(trained: Trained) -> Report:
    """Evaluate a trained recipe on loans it has not seen, and its rivals on the same loans."""
    results = later_results(trained) if trained.recipe.later else fold_results(trained)
    rows = []
    for one in tqdm(results, desc="measures", disable=None):
        row = {"model": one.model, "sample": one.sample, "loans": len(one.bad), **one.measures, "tenths": one.tenths}
        rows.append(row | ({"intervals": intervals(one.bad, one.pds)} if one.headline else {}))
    return Report(results, rows)


def fold_results(trained: Trained) -> list[Result]:
    """Undated loans: the release's repeated folds, and rivals on the same folds."""
    bad = trained.sample.bad
    sample = f"{len(trained.unseen)} × {FOLDS} folds"
    unconstrained = replace(trained.recipe, monotone={})
    free = cross_validate(unconstrained, trained.builder.columns, trained.sample, len(trained.unseen))
    pds = [trained.calibration.pds(p) for _, p in trained.unseen]
    return [
        Result(RELEASE, sample, bad, pds, headline=True),
        Result(FREE, sample, bad, calibrated(bad, [p for _, p in free])),
        Result(SCORECARD, sample, bad, calibrated(bad, scorecard_folds(trained))),
    ]


def calibrated(bad: Labels, repeats: list[Floats]) -> list[Floats]:
    """A rival's repeats, with calibration fitted on them as the release's is on its own."""
    calibration = calibrate(np.concatenate(repeats), np.concatenate([bad] * len(repeats)))
    return [calibration.pds(p) for p in repeats]


def scorecard_folds(trained: Trained) -> list[Floats]:
    """For each repeat of the release's folds, every loan's probability from a scorecard that had not seen it."""
    values, bad = trained.sample.values, trained.sample.bad
    form, features = trained.form, trained.recipe.features  # what a worker gets; a row builder cannot be sent there

    def one(seen: npt.NDArray[np.intp], unseen: npt.NDArray[np.intp]) -> Floats:
        return Scorecard(form, features).fit(values[seen], bad[seen]).pds(values[unseen])

    jobs = [pair for repeat in range(len(trained.unseen)) for pair in folds(trained.sample, repeat)]
    found = Parallel(n_jobs=2)(delayed(one)(*job) for job in tqdm(jobs, desc="scorecards", disable=None))
    repeats = [np.empty(len(bad)) for _ in trained.unseen]
    for at, ((_, unseen), p) in enumerate(zip(jobs, found, strict=True)):
        repeats[at // FOLDS][unseen] = p
    return repeats


def later_results(trained: Trained) -> list[Result]:
    """Dated loans: later vintages with tables frozen at the release's date, and refreshed monthly."""
    recipe, form, sample = trained.recipe, trained.form, trained.sample
    every = recipe.load()
    (unseen_at, unseen_p), *_ = trained.unseen
    unseen = Result(
        "this recipe, trained before",
        "calibration window",
        sample.bad[unseen_at],
        [trained.calibration.pds(unseen_p)],
    )
    rivals = later_rivals(trained)
    horizon = 36
    real_time = fit_in_real_time(trained, every, horizon)
    results = [unseen]
    for name, (start, until) in recipe.later.items():
        loans = every.where((every.months >= start) & (every.months < until))
        values = form.encode(loans.answers)
        frozen = trained.builder.build(values)
        refreshed = prepare(recipe, form, trained.history, loans).rows

        def pd(rows: Matrix) -> list[Floats]:
            return [trained.calibration.pds(probability(trained.model, rows))]

        results += [
            Result(RELEASE, f"{name}, frozen tables", loans.bad, pd(frozen), headline=True),
            Result(RELEASE, f"{name}, refreshed tables", loans.bad, pd(refreshed)),
            Result(FREE, f"{name}, frozen tables", loans.bad, [rivals[FREE](values, frozen)]),
            Result(PLAIN, name, loans.bad, [rivals[PLAIN](values, frozen)]),
            Result(SCORECARD, name, loans.bad, [rivals[SCORECARD](values, frozen)]),
            Result(REAL_TIME, f"{name}, lifetime", loans.bad, [probability(real_time, frozen)]),
            Result(
                REAL_TIME,
                f"{name}, 36 months",
                within(loans.months, loans.bad_months, horizon),
                [probability(real_time, frozen)],
            ),
        ]
    return results


Model = Callable[[Floats, Matrix], Floats]  # (encoded answers, rows with the release's tables) -> PDs


def later_rivals(trained: Trained) -> dict[str, Model]:
    """Rivals trained on the release's own loans, calibrated on its last part by one trained before."""
    recipe, form, sample = trained.recipe, trained.form, trained.sample
    _, split, _ = recipe.window or (0, 0, 1)
    free = replace(recipe, monotone={})
    unworded = [{**spec, "reasons": []} for spec in recipe.fields]  # no applicant is told of a yardstick
    bare = replace(free, features=plain_features(recipe), fields=unworded)
    plain = RowBuilder(form, bare.features)
    plain_sample = replace(sample, rows=plain.build(sample.values))
    before = sample.months < split
    after, free_p = predict_later(free, form, trained.history, sample, split)
    _, plain_p = predict_later(bare, form, None, plain_sample, split)
    early_card = Scorecard(form, recipe.features).fit(sample.values[before], sample.bad[before])
    card_p = early_card.pds(sample.values[after])
    in_free, in_plain, in_card = (calibrate(p, sample.bad[after]) for p in (free_p, plain_p, card_p))
    free_model = fit(free, trained.builder.columns, sample.rows, sample.bad, sample.months)
    plain_model = fit(bare, plain.columns, plain_sample.rows, sample.bad, sample.months)
    card = Scorecard(form, recipe.features).fit(sample.values, sample.bad)
    return {
        FREE: lambda _, rows: in_free.pds(probability(free_model, rows)),
        PLAIN: lambda values, _: in_plain.pds(probability(plain_model, plain.build(values))),
        SCORECARD: lambda values, _: in_card.pds(card.pds(values)),
    }


def fit_in_real_time(trained: Trained, every: Loans, horizon: int) -> Any:
    """What a bank could have fitted at the release's date: only outcomes known by then, within so many months."""
    recipe = trained.recipe
    start, _, end = recipe.window or (0, 0, 1)
    known = every.where((every.months >= start) & (every.months < end - horizon))
    rows = prepare(recipe, trained.form, trained.history, known).rows
    soon = within(known.months, known.bad_months, horizon)
    return fit(recipe, trained.builder.columns, rows, soon, known.months)


def within(months: npt.NDArray[np.int32], bad_months: npt.NDArray[np.int32], horizon: int) -> Labels:
    """Bad within so many months of approval."""
    return ((bad_months > 0) & (bad_months - months < horizon)).astype(np.int8)


def probability(model: Any, rows: Matrix) -> Floats:
    """The second column of predict_proba as float64."""
    return np.asarray(model.predict_proba(rows)[:, 1], np.float64)


def plain_features(recipe: Recipe) -> tuple[Feature, ...]:
    """The ten answers as they are, without ratios and history."""
    return tuple(spec for spec in recipe.features if isinstance(spec, NumbersSpec | NotStatedSpec | OneHotSpec))

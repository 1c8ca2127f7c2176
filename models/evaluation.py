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
from models.train import (
    FEWEST,
    Trained,
    calibrate,
    cross_validate,
    fit,
    folds,
    full_model,
    predict_later,
    prepare,
)

RELEASE = "this release"
FREE = "XGBoost, same columns, no constraints"
PLAIN = "XGBoost, ten fields"
SCORECARD = "optbinning scorecard, ten fields and their ratios"
REAL_TIME = "real time, {}-month label"
ALL_COLUMNS = "XGBoost, all columns, asked or not"


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


def report(trained: Trained, rivals: bool = True) -> Report:
    """Evaluate a trained recipe on loans it has not seen, and beside it what all columns give, and its rivals if asked.

    Later loans judge where there are some; else folds, or the last part of the training window.
    """
    results = later_results(trained, rivals) if trained.recipe.later else unseen_results(trained, rivals)
    rows = []
    for one in tqdm(results, desc="measures", disable=None):
        row = {"model": one.model, "sample": one.sample, "loans": len(one.bad), **one.measures, "tenths": one.tenths}
        rows.append(row | ({"intervals": intervals(one.bad, one.pds)} if one.headline else {}))
    return Report(results, rows)


def unseen_results(trained: Trained, rivals: bool) -> list[Result]:
    """The release on the loans it was calibrated on, which its models had not seen; others on the same loans."""
    recipe, sample = trained.recipe, trained.sample
    places = trained.unseen[0][0]
    bad = sample.bad[places]
    name = f"{len(trained.unseen)} × {recipe.folds} folds" if trained.folded else "last part of the training window"
    pds = [trained.calibration.pds(p) for _, p in trained.unseen]
    found = [Result(RELEASE, name, bad, pds, headline=True)]
    if sample.every is not None:
        found.append(Result(ALL_COLUMNS, name, bad, calibrated(bad, full_unseen(trained))))
    if rivals:
        unconstrained = replace(recipe, monotone={}, kind="trees", teacher=False)
        found.append(Result(FREE, name, bad, calibrated(bad, free_unseen(trained, unconstrained))))
        found.append(Result(SCORECARD, name, bad, calibrated(bad, scorecard_unseen(trained))))
    return found


def full_unseen(trained: Trained) -> list[Floats]:
    """Probabilities of the same loans by models of all columns that had not seen them, one array a repeat."""
    if trained.folded:
        repeats = len(trained.unseen)
        return [p for _, p in cross_validate(trained.recipe, (), trained.sample, repeats, full=True)]
    before, places = parts(trained)
    return [probability(full_model(trained.recipe, trained.sample.at(before), 2), trained.sample.at(places).every)]


def free_unseen(trained: Trained, free: Recipe) -> list[Floats]:
    if trained.folded:
        return [p for _, p in cross_validate(free, trained.builder.columns, trained.sample, len(trained.unseen))]
    _, split, _ = trained.recipe.window or (0, 0, 1)
    return [predict_later(free, trained.form, trained.history, trained.sample, split)[1]]


def scorecard_unseen(trained: Trained) -> list[Floats]:
    if trained.folded:
        return scorecard_folds(trained)
    before, places = parts(trained)
    values, bad = trained.sample.values, trained.sample.bad
    card = Scorecard(trained.form, trained.recipe.features).fit(values[before], bad[before])
    return [card.pds(values[places])]


def parts(trained: Trained) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Of a window that is split by time: the loans trained on before, and those that judged."""
    _, split, _ = trained.recipe.window or (0, 0, 1)
    return np.flatnonzero(trained.sample.months < split), trained.unseen[0][0]


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

    k = trained.recipe.folds
    jobs = [pair for repeat in range(len(trained.unseen)) for pair in folds(trained.sample, repeat, k)]
    found = Parallel(n_jobs=2)(delayed(one)(*job) for job in tqdm(jobs, desc="scorecards", disable=None))
    repeats = [np.empty(len(bad)) for _ in trained.unseen]
    for at, ((_, unseen), p) in enumerate(zip(jobs, found, strict=True)):
        repeats[at // k][unseen] = p
    return repeats


def later_results(trained: Trained, with_rivals: bool) -> list[Result]:
    """Dated loans: later vintages, with tables of history frozen at the release's date, and refreshed monthly."""
    recipe, form, sample, every = trained.recipe, trained.form, trained.sample, trained.loans
    (unseen_at, unseen_p), *others = trained.unseen
    before = "calibration folds" if trained.folded else "calibration window"
    pds = [trained.calibration.pds(p) for p in (unseen_p, *(p for _, p in others))]
    results = [Result("this recipe, trained before", before, sample.bad[unseen_at], pds)]
    rivals = later_rivals(trained) if with_rivals else {}
    if sample.every is not None:
        rivals[ALL_COLUMNS] = full_later(trained)
    real_time = fit_in_real_time(trained, every) if recipe.real_time else None
    tables = ", frozen tables" if trained.history else ""
    for name, (start, until) in recipe.later.items():
        loans = every.where((every.months >= start) & (every.months < until))
        judged = prepare(recipe, form, trained.history, loans)
        frozen = trained.builder.build(judged.values)

        def pd(rows: Matrix) -> list[Floats]:
            return [trained.calibration.pds(probability(trained.model, rows))]

        results.append(Result(RELEASE, f"{name}{tables}", loans.bad, pd(frozen), headline=True))
        if trained.history is not None:
            results.append(Result(RELEASE, f"{name}, refreshed tables", loans.bad, pd(judged.rows)))
        for model, predict in rivals.items():
            rows = judged.every if model == ALL_COLUMNS and judged.every is not None else frozen
            of = name if model in (PLAIN, SCORECARD, ALL_COLUMNS) else f"{name}{tables}"
            results.append(Result(model, of, loans.bad, [predict(judged.values, rows)]))
        if real_time is not None and recipe.real_time:
            model, soon = REAL_TIME.format(recipe.real_time), within(loans.months, loans.bad_months, recipe.real_time)
            p = probability(real_time, frozen)
            results.append(Result(model, f"{name}, lifetime", loans.bad, [p]))
            if len(np.unique(soon)) == 2:
                results.append(Result(model, f"{name}, {recipe.real_time} months", soon, [p]))
    return results


Model = Callable[[Floats, Matrix], Floats]  # (encoded answers, rows with the release's tables) -> PDs


def later_rivals(trained: Trained) -> dict[str, Model]:
    """Rivals trained on the release's own loans, calibrated on its last part by one trained before."""
    recipe, form, sample = trained.recipe, trained.form, trained.sample
    _, split, _ = recipe.window or (0, 0, 1)
    free = replace(recipe, monotone={}, kind="trees", teacher=False)
    unworded = [{**spec, "reasons": []} for spec in recipe.fields]  # no applicant is told of a yardstick
    bare = replace(free, features=plain_features(recipe), fields=unworded)
    plain = RowBuilder(form, bare.features)
    plain_sample = replace(sample, rows=plain.build(sample.values))
    bad = np.concatenate([sample.bad[at] for at, _ in trained.unseen])
    if trained.folded:
        free_p = np.concatenate(free_unseen(trained, free))
        plain_p = np.concatenate([p for _, p in cross_validate(bare, plain.columns, plain_sample, len(trained.unseen))])
    else:
        _, free_p = predict_later(free, form, trained.history, sample, split)
        _, plain_p = predict_later(bare, form, None, plain_sample, split)
    card_p = np.concatenate(scorecard_unseen(trained))
    in_free, in_plain, in_card = (calibrate(p, bad) for p in (free_p, plain_p, card_p))
    free_model = fit(free, trained.builder.columns, sample.rows, sample.bad, sample.months)
    plain_model = fit(bare, plain.columns, plain_sample.rows, sample.bad, sample.months)
    card = Scorecard(form, recipe.features).fit(sample.values, sample.bad)
    found: dict[str, Model] = {
        FREE: lambda _, rows: in_free.pds(probability(free_model, rows)),
        PLAIN: lambda values, _: in_plain.pds(probability(plain_model, plain.build(values))),
        SCORECARD: lambda values, _: in_card.pds(card.pds(values)),
    }
    if list(bare.features) == list(recipe.features):  # the answers as they are is what the release has
        del found[PLAIN]
    return found


def full_later(trained: Trained) -> Model:
    """The model of all columns, trained and calibrated on the release's own loans."""
    recipe, sample = trained.recipe, trained.sample
    repeats = full_unseen(trained)
    bad = np.concatenate([sample.bad[at] for at, _ in trained.unseen])
    calibration = calibrate(np.concatenate(repeats), bad)
    model = full_model(recipe, sample, 2)
    return lambda _, rows: calibration.pds(probability(model, rows))


def fit_in_real_time(trained: Trained, every: Loans) -> Any:
    """What a bank could have fitted at the release's date: only outcomes known by then, within so many months.

    None where no date of default is known, or too few such loans of either outcome are old enough.
    """
    recipe = trained.recipe
    start, _, end = recipe.window or (0, 0, 1)
    horizon = recipe.real_time or 0
    known = every.where((every.months >= start) & (every.months < end - horizon))
    soon = within(known.months, known.bad_months, horizon)
    if min(soon.sum(), len(soon) - soon.sum()) < FEWEST:
        return None
    rows = prepare(recipe, trained.form, trained.history, known).rows
    return fit(recipe, trained.builder.columns, rows, soon, known.months, weights=known.weights)


def within(months: npt.NDArray[np.int32], bad_months: npt.NDArray[np.int32], horizon: int) -> Labels:
    """Bad within so many months of approval."""
    return ((bad_months > 0) & (bad_months - months < horizon)).astype(np.int8)


def probability(model: Any, rows: Matrix | None) -> Floats:
    """The second column of predict_proba as float64."""
    return np.asarray(model.predict_proba(rows)[:, 1], np.float64)


def plain_features(recipe: Recipe) -> tuple[Feature, ...]:
    """The ten answers as they are, without ratios and history."""
    return tuple(spec for spec in recipe.features if isinstance(spec, NumbersSpec | NotStatedSpec | OneHotSpec))

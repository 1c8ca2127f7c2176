"""How good a release is, beside simpler models in the same run: tables for the console, manifest and card."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer
from tqdm import tqdm

from inference.rows import Matrix, RowBuilder
from models.evaluate import Decile, Floats, Labels, deciles, intervals, measures
from models.recipe import Recipe
from models.train import Trained, fit, folds, prepare


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
        """Markdown: the table of models, then calibration by decile."""
        return "\n\n".join([self.table(), self.calibration()])

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


def report(trained: Trained) -> Report:
    """Evaluate a trained recipe on loans it has not seen, and simpler models on the same loans."""
    results = later_results(trained) if trained.recipe.later else fold_results(trained)
    rows = []
    for one in tqdm(results, desc="measures", disable=None):
        row = {"model": one.model, "sample": one.sample, "loans": len(one.bad), **one.measures}
        rows.append(row | ({"intervals": intervals(one.bad, one.pds)} if one.headline else {}))
    return Report(results, rows)


def fold_results(trained: Trained) -> list[Result]:
    """Undated loans: the release's repeated folds, and a scorecard on the same folds."""
    bad = trained.sample.bad
    pds = [trained.calibration.pds(p) for _, p in trained.unseen]
    plain = RowBuilder(trained.form, plain_features(trained.recipe))
    rows = plain.build(trained.sample.values)
    scorecards = []
    for repeat in tqdm(range(len(pds)), desc="scorecard", disable=None):
        pd = np.empty(len(bad))
        for seen, unseen in folds(trained.sample, repeat):
            model = scorecard(plain.columns, trained.recipe).fit(rows[seen], bad[seen])
            pd[unseen] = model.predict_proba(rows[unseen])[:, 1]
        scorecards.append(pd)
    sample = f"{len(pds)} × 5 folds"
    return [
        Result("this release", sample, bad, pds, headline=True),
        Result("logistic scorecard, ten fields", sample, bad, scorecards),
    ]


def later_results(trained: Trained) -> list[Result]:
    """Dated loans: later vintages with tables frozen at the release's date, and refreshed monthly."""
    recipe, form, sample = trained.recipe, trained.form, trained.sample
    every = recipe.load()
    end = recipe.window[2] if recipe.window else 0
    plain = RowBuilder(form, plain_features(recipe))
    plain_rows = plain.build(sample.values)
    (unseen_at, unseen_p), *_ = trained.unseen
    unseen = Result(
        "this recipe, trained before",
        "calibration window",
        sample.bad[unseen_at],
        [trained.calibration.pds(unseen_p)],
    )
    simple = fit(replace(recipe, monotone={}), plain.columns, plain_rows, sample.bad, sample.months)
    card = scorecard(plain.columns, recipe).fit(plain_rows, sample.bad)
    # What a bank could have fitted in real time: only outcomes known at the release's date.
    horizon = 36
    known = every.where((every.months >= recipe.window[0]) & (every.months < end - horizon)) if recipe.window else every
    known_rows = prepare(recipe, form, trained.history, known).rows
    soon = within(known.months, known.bad_months, horizon)
    real_time = fit(recipe, trained.builder.columns, known_rows, soon, known.months)
    results = [unseen]
    for name, (start, until) in recipe.later.items():
        loans = every.where((every.months >= start) & (every.months < until))
        values = form.encode(loans.answers)
        frozen = trained.builder.build(values)
        refreshed = prepare(recipe, form, trained.history, loans).rows

        def pd(rows: Matrix) -> list[Floats]:
            return [trained.calibration.pds(probability(trained.model, rows))]

        results += [
            Result("this release", f"{name}, frozen tables", loans.bad, pd(frozen), headline=True),
            Result("this release", f"{name}, refreshed tables", loans.bad, pd(refreshed)),
            Result("XGBoost, ten fields", name, loans.bad, [probability(simple, plain.build(values))]),
            Result("logistic scorecard, ten fields", name, loans.bad, [probability(card, plain.build(values))]),
            Result("real time, 36-month label", f"{name}, lifetime", loans.bad, [probability(real_time, frozen)]),
            Result(
                "real time, 36-month label",
                f"{name}, 36 months",
                within(loans.months, loans.bad_months, horizon),
                [probability(real_time, frozen)],
            ),
        ]
    return results


def within(months: npt.NDArray[np.int32], bad_months: npt.NDArray[np.int32], horizon: int) -> Labels:
    """Bad within so many months of approval."""
    return ((bad_months > 0) & (bad_months - months < horizon)).astype(np.int8)


def probability(model: Any, rows: Matrix) -> Floats:
    """The second column of predict_proba as float64."""
    return np.asarray(model.predict_proba(rows)[:, 1], np.float64)


def plain_features(recipe: Recipe) -> list[Any]:
    """The ten answers as they are, without ratios and history."""
    return [spec for spec in recipe.features if spec["kind"] in {"numbers", "not_stated", "one_hot"}]


def scorecard(columns: Sequence[str], recipe: Recipe) -> Any:
    """A scorecard as the industry builds them: numbers in quantile bins, one weight a bin, logistic."""
    numbers = [at for at, name in enumerate(columns) if name in {spec["name"] for spec in recipe.fields}]
    # Narrow bins (many numbers are 0) are merged, which is what is wanted; the warning says no more.
    warnings.filterwarnings("ignore", "Bins whose width are too small", UserWarning)
    bins = KBinsDiscretizer(
        8, encode="onehot", strategy="quantile", quantile_method="averaged_inverted_cdf", random_state=0
    )
    encode = ColumnTransformer([("bins", bins, numbers)], remainder="passthrough")
    return make_pipeline(encode, LogisticRegression(C=1.0, max_iter=500))

"""From a recipe to a trained model: fields counted, rows built, model fitted, probabilities calibrated."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from tqdm import tqdm
from xgboost import XGBClassifier

from inference.application import Form
from inference.blocks import Matrix, Table
from inference.calibration import Calibration, logit
from inference.fields import field_from_json
from inference.rows import RowBuilder
from models.recipe import HistoryTables, Loans, Recipe

Floats = npt.NDArray[np.float64]
REPEATS, FOLDS = 5, 5


@dataclass(frozen=True, slots=True)
class Sample:
    """Loans as the model sees them. All arrays have m rows."""

    values: Floats  # (m, n_fields), encoded answers as they were given
    rows: Matrix  # (m, n_features); of training loans, with the recipe's blur
    bad: npt.NDArray[np.int8]
    months: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Trained:
    """What training a recipe gave, ready to be exported and evaluated."""

    recipe: Recipe
    fields: list[dict[str, Any]]  # the manifest's field descriptions, with counts
    form: Form
    builder: RowBuilder  # as the release serves: with the tables of the release's own month
    tables: Mapping[str, Table]
    history: HistoryTables | None
    sample: Sample  # the training loans
    model: XGBClassifier
    calibration: Calibration
    unseen: list[tuple[npt.NDArray[np.intp], Floats]]  # (loans of the sample, raw p by models that had not seen them)


def train(recipe: Recipe, loans: Loans | None = None) -> Trained:
    """Train a recipe on its loans (or on those given). Deterministic on one machine."""
    fields, form, history, sample = prepared(recipe, loans)
    _, split, end = recipe.window or (0, 0, 1)
    tables = history.tables(end) if history else {}
    builder = RowBuilder(form, recipe.features, tables)
    if recipe.window:
        unseen = [predict_later(recipe, form, history, sample, split)]
    else:
        unseen = cross_validate(recipe, builder.columns, sample)
    calibration = calibrate(
        np.concatenate([p for _, p in unseen]), np.concatenate([sample.bad[at] for at, _ in unseen])
    )
    model = fit(recipe, builder.columns, sample.rows, sample.bad, sample.months)
    return Trained(recipe, fields, form, builder, tables, history, sample, model, calibration, unseen)


def prepared(
    recipe: Recipe, loans: Loans | None = None
) -> tuple[list[dict[str, Any]], Form, HistoryTables | None, Sample]:
    """What every training begins with: fields counted on the window's loans, the form, the history, the sample."""
    loans = loans or recipe.load()
    start, _, end = recipe.window or (0, 0, 1)
    loans = loans.where((loans.months >= start) & (loans.months < end))
    fields = counted(recipe, loans)
    form = Form(tuple(field_from_json(spec) for spec in fields))
    history = recipe.history() if recipe.history else None
    return fields, form, history, prepare(recipe, form, history, loans, training=True)


def prepare(recipe: Recipe, form: Form, history: HistoryTables | None, loans: Loans, training: bool = False) -> Sample:
    """Encode and build; where there is history, each month's rows with that month's tables.

    Loans to train on (`training`) are blurred as the recipe says; loans to judge by never are.
    """
    values = form.encode(loans.answers)
    built = blurred(recipe, form, values) if training else values
    if history is None:
        return Sample(values, RowBuilder(form, recipe.features).build(built), loans.bad, loans.months)
    months, inverse = np.unique(loans.months, return_inverse=True)
    rows: list[Matrix] = []
    for number, month in enumerate(tqdm(months.tolist(), desc=f"{recipe.name}: rows by month", disable=None)):
        builder = RowBuilder(form, recipe.features, history.tables(month))
        rows.append(builder.build(built[inverse == number]))
    order = np.argsort(inverse, kind="stable")  # where the rows of each month belong
    together = np.empty((len(values), rows[0].shape[1]), np.float32)
    together[order] = np.concatenate(rows)
    return Sample(values, together, loans.bad, loans.months)


def blurred(recipe: Recipe, form: Form, values: Floats) -> Floats:
    """Encoded answers (m, n_fields) with the recipe's number fields moved at random, evenly up and down; seeded.

    Loans crowd at round sums and at the shares that programmes guarantee, and trees put their thresholds right beside
    such a crowd: a loan of 1 % less then counts among the next crowd. Noise in the training answers smooths that away
    (Bishop 1995, "Training with noise is equivalent to Tikhonov regularization"). An answer at most halves, 0 stays 0
    (it often is a kind of its own), and what is not stated stays so.
    """
    random = np.random.default_rng(0)
    found = values.copy()
    for name, (share, least) in recipe.blur.items():
        own = values[:, form.names.index(name)]
        by = random.uniform(-1, 1, len(own)) * np.maximum(share * own, least)
        found[:, form.names.index(name)] = np.where(own == 0, 0.0, np.maximum(own + by, own / 2))
    return found


def fit(
    recipe: Recipe,
    columns: Sequence[str],
    rows: Matrix,
    bad: npt.NDArray[np.int8],
    months: npt.NDArray[np.int32],
    threads: int = 2,
) -> XGBClassifier:
    """The recipe's model on these rows. A fixed number of threads: sums of floats depend on it."""
    weights = None if recipe.half_life is None else 0.5 ** ((months.max() - months) / recipe.half_life)
    model = XGBClassifier(
        objective="binary:logistic",
        tree_method="hist",
        n_jobs=threads,
        monotone_constraints=tuple(recipe.constraint(column) for column in columns),
        **{"random_state": 0, **recipe.parameters},
    )
    return model.fit(rows, bad, sample_weight=weights)


def cross_validate(
    recipe: Recipe, columns: Sequence[str], sample: Sample, repeated: int = REPEATS
) -> list[tuple[npt.NDArray[np.intp], Floats]]:
    """Repeated stratified folds: for each repeat, every loan's p from a model that had not seen it."""

    def one(seen: npt.NDArray[np.intp], unseen: npt.NDArray[np.intp]) -> Floats:
        model = fit(recipe, columns, sample.rows[seen], sample.bad[seen], sample.months[seen], threads=1)
        return model.predict_proba(sample.rows[unseen])[:, 1].astype(np.float64)

    splits = [list(folds(sample, repeat)) for repeat in range(repeated)]
    jobs = [pair for repeat in splits for pair in repeat]
    found = Parallel(n_jobs=2)(delayed(one)(*job) for job in tqdm(jobs, desc=f"{recipe.name}: folds", disable=None))
    everyone = np.arange(len(sample.bad))
    repeats = []
    for repeat in range(repeated):
        p = np.empty(len(sample.bad))
        for (_, unseen), predicted in zip(splits[repeat], found[repeat * FOLDS : (repeat + 1) * FOLDS], strict=True):
            p[unseen] = predicted
        repeats.append((everyone, p))
    return repeats


def folds(sample: Sample, repeat: int) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """The folds of one repeat: (seen, unseen) loans."""
    yield from StratifiedKFold(FOLDS, shuffle=True, random_state=repeat).split(sample.rows, sample.bad)


def predict_later(
    recipe: Recipe, form: Form, history: HistoryTables | None, sample: Sample, split: int
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Train before the month `split`, predict what came after with tables as of then: as a release serves."""
    before = sample.months < split
    later = np.flatnonzero(~before)
    frozen = RowBuilder(form, recipe.features, history.tables(split) if history else {})
    model = fit(recipe, frozen.columns, sample.rows[before], sample.bad[before], sample.months[before])
    return later, model.predict_proba(frozen.build(sample.values[later]))[:, 1].astype(np.float64)


def calibrate(p: Floats, bad: npt.NDArray[np.int8]) -> Calibration:
    """Two numbers by maximum likelihood: logit(PD) = a + b · logit(p) (Platt 1999, without his smoothing)."""
    regression = LogisticRegression(C=math.inf, tol=1e-10, max_iter=1000).fit(logit(p)[:, None], bad)
    return Calibration(float(regression.intercept_[0]), float(regression.coef_[0, 0]))


def counted(recipe: Recipe, loans: Loans) -> list[dict[str, Any]]:
    """The recipe's fields with what the training loans say: ranges, counts of choices, the reference."""
    return [_counted(spec, loans.answers[spec["name"]]) for spec in recipe.fields]


def _counted(spec: Mapping[str, Any], answers: Sequence[object]) -> dict[str, Any]:
    if spec["kind"] == "number":
        numbers = np.array([value for value in answers if value is not None], np.float64)
        # An observed value, never one between two: bounds that a reader can check in the data.
        at = [0.005, 0.05, 0.5, 0.95, 0.995]
        low, p5, median, p95, high = (float(q) for q in np.quantile(numbers, at, method="inverted_cdf"))
        return {**spec, "usual": [low, high], "typical": [p5, p95], "reference": median}
    counts: dict[object, int] = {}
    for answer in answers:
        counts[answer] = counts.get(answer, 0) + 1
    choices = [{**choice, "count": counts.get(choice["code"], 0)} for choice in spec["choices"]]
    most = max(choices, key=lambda choice: choice["count"])["code"]
    # Long lists stay unset in the reference applicant: no industry is the usual one.
    return {**spec, "choices": choices, "reference": most if len(choices) <= 20 else None}

"""From a recipe to a trained model: fields counted, rows built, model fitted, probabilities calibrated."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from tqdm import tqdm
from xgboost import XGBClassifier

from inference.application import Form
from inference.blocks import Matrix, Table
from inference.calibration import Calibration, logit
from inference.fields import field_from_json
from inference.rows import RowBuilder
from models.few_loans import scorecard
from models.recipe import HistoryTables, Loans, Recipe

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
FEWEST = 25  # loans of each outcome needed for a calibration
INNER = 3  # folds in which a teacher predicts loans that it has not seen


@dataclass(frozen=True, slots=True)
class Sample:
    """Loans as the model sees them. All arrays have m rows."""

    values: Floats  # (m, n_fields), encoded answers as they were given
    rows: Matrix  # (m, n_features); of training loans, with the recipe's blur
    bad: npt.NDArray[np.int8]
    months: npt.NDArray[np.int32]
    people: npt.NDArray[np.int64] | None = None  # the customer of each loan, if known
    weights: Floats | None = None  # weights in training, if they differ
    every: Matrix | None = None  # (m, n): the answers and all columns that are not asked, for the yardstick

    def __len__(self) -> int:
        return len(self.bad)

    def subset(self, places: Places) -> "Sample":
        """The loans at these places."""

        def selected(array: npt.NDArray[Any] | None) -> Any:
            return None if array is None else array[places]

        return Sample(
            self.values[places], self.rows[places], self.bad[places], self.months[places], selected(self.people),
            selected(self.weights), selected(self.every),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of training a recipe, ready to be exported and evaluated."""

    recipe: Recipe
    fields: list[dict[str, Any]]  # the manifest's field descriptions, with counts
    form: Form
    builder: RowBuilder  # as the release serves: with the tables of the release's own month
    tables: Mapping[str, Table]
    history: HistoryTables | None
    sample: Sample  # the training loans
    model: XGBClassifier
    calibration: Calibration
    unseen: list[tuple[Places, Floats]]  # (loans of the sample, raw p by models that had not seen them)
    loans: Loans  # all there are, later ones included
    folded: bool  # whether `unseen` is every loan by folds; else the last part, by one model trained before it


def train(recipe: Recipe, loans: Loans | None = None) -> Trained:
    """Train a recipe on its loans (or on those given). Deterministic on one machine."""
    loans = loans or recipe.load()
    fields, form, history, sample = prepared(recipe, loans)
    _, split, end = recipe.window or (0, 1, 1)
    tables = history.tables(end) if history else {}
    builder = RowBuilder(form, recipe.features, tables)
    folded = split == end
    if folded:
        unseen = cross_validate(recipe, builder.columns, sample, recipe.repeats)
    else:
        unseen = [predict_later(recipe, form, history, sample, split)]
    calibration = calibrate(
        np.concatenate([p for _, p in unseen]), np.concatenate([sample.bad[places] for places, _ in unseen])
    )
    model = fitted(recipe, builder.columns, sample)
    return Trained(recipe, fields, form, builder, tables, history, sample, model, calibration, unseen, loans, folded)


def prepared(
    recipe: Recipe, loans: Loans | None = None
) -> tuple[list[dict[str, Any]], Form, HistoryTables | None, Sample]:
    """The first step of every training: fields counted on the window's loans, the form, the history, the sample."""
    loans = loans or recipe.load()
    start, _, end = recipe.window or (0, 0, 1)
    if recipe.window:
        loans = loans.where((loans.months >= start) & (loans.months < end))
    fields = counted(recipe, loans)
    form = Form(tuple(field_from_json(spec) for spec in fields))
    history = recipe.history() if recipe.history else None
    return fields, form, history, prepare(recipe, form, history, loans, training=True)


def prepare(recipe: Recipe, form: Form, history: HistoryTables | None, loans: Loans, training: bool = False) -> Sample:
    """Encode and build; with history, each month's rows use that month's tables.

    Loans to train on (`training`) are blurred as the recipe says; loans that judge never are.
    """
    values = form.encode(loans.answers)
    built = blurred(recipe, form, values) if training else values
    if history is None:
        return sample_of(values, RowBuilder(form, recipe.features).build(built), loans)
    months, inverse = np.unique(loans.months, return_inverse=True)
    rows: list[Matrix] = []
    for number, month in enumerate(tqdm(months.tolist(), desc=f"{recipe.name}: rows by month", disable=None)):
        builder = RowBuilder(form, recipe.features, history.tables(month))
        rows.append(builder.build(built[inverse == number]))
    order = np.argsort(inverse, kind="stable")  # where the rows of each month belong
    ordered = np.empty((len(values), rows[0].shape[1]), np.float32)
    ordered[order] = np.concatenate(rows)
    return sample_of(values, ordered, loans)


def sample_of(values: Floats, rows: Matrix, loans: Loans) -> Sample:
    every = None if loans.others is None else np.column_stack([values, loans.others]).astype(np.float32)
    return Sample(values, rows, loans.bad, loans.months, loans.people, loans.weights, every)


def blurred(recipe: Recipe, form: Form, values: Floats) -> Floats:
    """Encoded answers (m, n_fields) with the recipe's number fields moved at random, evenly up and down; seeded.

    Loans crowd at round sums and at the shares that programmes guarantee, and trees put their thresholds right beside
    such a crowd: a loan 1 % smaller then falls into the next one. Noise in the training answers smooths that away
    (Bishop 1995, "Training with noise is equivalent to Tikhonov regularization"). An answer at most halves, 0 stays 0
    (it is often a kind of its own), and "not stated" stays not stated.
    """
    random = np.random.default_rng(0)
    noisy = values.copy()
    for name, (share, least) in recipe.blur.items():
        answers = values[:, form.names.index(name)]
        noise = random.uniform(-1, 1, len(answers)) * np.maximum(share * answers, least)
        noisy[:, form.names.index(name)] = np.where(answers == 0, 0.0, np.maximum(answers + noise, answers / 2))
    return noisy


def fit(
    recipe: Recipe,
    columns: Sequence[str],
    rows: Matrix,
    bad: npt.NDArray[Any],
    months: npt.NDArray[np.int32],
    threads: int = 2,
    weights: Floats | None = None,
) -> XGBClassifier:
    """The recipe's model on these rows. A fixed number of threads: sums of floats depend on it.

    `bad` (m,) may hold probabilities: a loan then counts as bad in that proportion and as good for the rest.
    """
    if recipe.half_life is not None:
        newer = 0.5 ** ((months.max() - months) / recipe.half_life)
        weights = newer if weights is None else weights * newer
    signs = tuple(recipe.constraint(column) for column in columns)
    if recipe.kind == "scorecard":
        return scorecard(rows, bad, signs, weights)
    if bad.dtype.kind == "f":
        unweighted = np.ones(len(bad)) if weights is None else weights
        weights = np.concatenate([unweighted * bad, unweighted * (1 - bad)])
        rows, bad = np.concatenate([rows, rows]), np.repeat(np.array([1, 0], np.int8), len(bad))
    model = XGBClassifier(
        objective="binary:logistic",
        tree_method="hist",
        n_jobs=threads,
        monotone_constraints=signs,
        **{"random_state": 0, **recipe.parameters},
    )
    return model.fit(rows, bad, sample_weight=weights)


def fitted(recipe: Recipe, columns: Sequence[str], sample: Sample, threads: int = 2) -> XGBClassifier:
    """The recipe's model on the sample; with a teacher, on its PDs of loans that it had not seen."""
    labels = taught(recipe, sample, threads) if recipe.teacher and sample.every is not None else sample.bad
    return fit(recipe, columns, sample.rows, labels, sample.months, threads, sample.weights)


def taught(recipe: Recipe, sample: Sample, threads: int) -> Floats:
    """Calibrated PDs (m,) of a model of all columns, each by a model that had not seen the loan."""
    p = np.empty(len(sample))
    for seen, unseen in folds(sample, 0, INNER):
        model = full_model(recipe, sample.subset(seen), threads)
        p[unseen] = model.predict_proba(sample.subset(unseen).every)[:, 1]
    return calibrate(p, sample.bad).pds(p)


def full_model(recipe: Recipe, sample: Sample, threads: int) -> XGBClassifier:
    """The yardstick: the same trees on the answers and on all columns that are not asked, without directions."""
    if sample.every is None:
        raise ValueError(f"recipe {recipe.name}: its loans have no columns that are not asked")
    free = replace(recipe, monotone={}, kind="trees")
    names = [str(column) for column in range(sample.every.shape[1])]
    return fit(free, names, sample.every, sample.bad, sample.months, threads, sample.weights)


def cross_validate(
    recipe: Recipe, columns: Sequence[str], sample: Sample, repeated: int | None = None, *, full: bool = False
) -> list[tuple[Places, Floats]]:
    """Repeated stratified folds: for each repeat, every loan's p from a model that had not seen it.

    With `full` the model is that of all columns.
    """
    repeats, k = recipe.repeats if repeated is None else repeated, recipe.folds

    def one_fold(seen: Places, unseen: Places) -> Floats:
        before, after = sample.subset(seen), sample.subset(unseen)
        if full:
            return np.asarray(full_model(recipe, before, 1).predict_proba(after.every)[:, 1], np.float64)
        return np.asarray(fitted(recipe, columns, before, 1).predict_proba(after.rows)[:, 1], np.float64)

    splits = [list(folds(sample, repeat, k)) for repeat in range(repeats)]
    jobs = [pair for repeat in splits for pair in repeat]
    models = "all columns" if full else "folds"
    predictions = Parallel(n_jobs=2, backend="threading")(
        delayed(one_fold)(*job) for job in tqdm(jobs, desc=f"{recipe.name}: {models}", disable=None)
    )
    everyone = np.arange(len(sample))
    by_repeat = []
    for repeat in range(repeats):
        p = np.empty(len(sample))
        for (_, unseen), predicted in zip(splits[repeat], predictions[repeat * k : (repeat + 1) * k], strict=True):
            p[unseen] = predicted
        by_repeat.append((everyone, p))
    return by_repeat


def folds(sample: Sample, repeat: int, k: int = 5) -> Iterator[tuple[Places, Places]]:
    """The folds of one repeat: (seen, unseen) loans; all loans of one customer are in one fold."""
    if sample.people is None:
        yield from StratifiedKFold(k, shuffle=True, random_state=repeat).split(sample.rows, sample.bad)
    else:
        splitter = StratifiedGroupKFold(k, shuffle=True, random_state=repeat)
        yield from splitter.split(sample.rows, sample.bad, sample.people)


def predict_later(
    recipe: Recipe, form: Form, history: HistoryTables | None, sample: Sample, split: int
) -> tuple[Places, Floats]:
    """Train on loans before the month `split` and predict later ones with tables as of then, as a release serves.

    A later loan of a customer that is trained on is left out.
    """
    before = np.flatnonzero(sample.months < split)
    later = np.flatnonzero(sample.months >= split)
    if sample.people is not None:
        later = later[~np.isin(sample.people[later], sample.people[before])]
    frozen = RowBuilder(form, recipe.features, history.tables(split) if history else {})
    model = fitted(recipe, frozen.columns, sample.subset(before))
    return later, model.predict_proba(frozen.build(sample.values[later]))[:, 1].astype(np.float64)


def calibrate(p: Floats, bad: npt.NDArray[np.int8]) -> Calibration:
    """Two numbers by maximum likelihood: logit(PD) = a + b · logit(p) (Platt 1999, without his smoothing)."""
    regression = LogisticRegression(C=math.inf, tol=1e-10, max_iter=1000).fit(logit(p)[:, None], bad)
    return Calibration(float(regression.intercept_[0]), float(regression.coef_[0, 0]))


def counted(recipe: Recipe, loans: Loans) -> list[dict[str, Any]]:
    """The recipe's fields with ranges, counts of choices and the reference from the training loans."""
    return [_counted(spec, loans.answers[spec["name"]]) for spec in recipe.fields]


def _counted(spec: Mapping[str, Any], answers: Sequence[object]) -> dict[str, Any]:
    if spec["kind"] == "number":
        numbers = np.array([value for value in answers if value is not None], np.float64)
        # An observed value, never one between two: bounds that a reader can check in the data.
        shares = [0.005, 0.05, 0.5, 0.95, 0.995]
        low, p5, median, p95, high = (float(q) for q in np.quantile(numbers, shares, method="inverted_cdf"))
        return {**spec, "usual": [low, high], "typical": [p5, p95], "reference": median}
    counts: dict[object, int] = {}
    for answer in answers:
        counts[answer] = counts.get(answer, 0) + 1
    choices = [{**choice, "count": counts.get(choice["code"], 0)} for choice in spec["choices"]]
    most = max(choices, key=lambda choice: choice["count"])["code"]
    # Long lists stay unset in the reference applicant: no industry is the usual one.
    return {**spec, "choices": choices, "reference": most if len(choices) <= 20 else None}

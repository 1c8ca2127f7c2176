"""A logistic scorecard for lenders with few bad loans, written as trees: whatever serves a release serves it.

Each column is cut into at most four bins; a bin's weight of evidence enters a logistic regression with a penalty. What
comes out is a sum of one number a column, and so is a forest of one tree a column: the same PD, by any engine.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

from inference.blocks import Matrix

Floats = npt.NDArray[np.float64]
CUTS = (0.25, 0.5, 0.75)
SMOOTHING = 5.0  # loans of the average bad rate that every bin is thought to have besides its own
PENALTY = 1.0  # of the regression, on weights of evidence
ROOT = 2147483647  # XGBoost's mark for "no parent"


def scorecard(rows: Matrix, bad: npt.NDArray[Any], signs: Sequence[int], weights: Floats | None) -> XGBClassifier:
    """The scorecard of `rows` (m, n) and `bad` (m,), its columns' directions as in `signs` (n,): +1, -1 or 0."""
    bad = np.asarray(bad, np.float64)
    weights = np.ones(len(bad)) if weights is None else weights
    edges = [cuts(rows[:, at]) for at in range(rows.shape[1])]
    bins = np.stack([np.searchsorted(own, rows[:, at], side="right") for at, own in enumerate(edges)], axis=1)
    evidence = [weight_of_evidence(bins[:, at], len(own) + 1, bad, weights, signs[at]) for at, own in enumerate(edges)]
    coded = np.stack([own[bins[:, at]] for at, own in enumerate(evidence)], axis=1)
    kept = [at for at, own in enumerate(evidence) if len(own) > 1 and np.ptp(own) > 0]
    factors, intercept = np.zeros(rows.shape[1]), float(math.log(weights @ bad / (weights @ (1 - bad))))
    while kept:  # a negative factor would turn a bin's meaning round, and its direction
        regression = LogisticRegression(C=1 / PENALTY, max_iter=1000).fit(coded[:, kept], bad > 0.5, weights)
        negative = [at for at, factor in zip(kept, regression.coef_[0], strict=True) if factor <= 0]
        if not negative:
            factors[kept], intercept = regression.coef_[0], float(regression.intercept_[0])
            break
        kept = [at for at in kept if at not in negative]
    trees = [ladder(at, edges[at], factors[at] * evidence[at], rows.shape[1]) for at in kept]
    return as_classifier(trees, intercept, rows.shape[1])


def cuts(column: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where a column is cut, rising: its quartiles; of few values, between each two."""
    distinct = np.unique(column)
    if len(distinct) <= len(CUTS) + 1:
        return distinct[1:]
    found = np.unique(np.quantile(column, CUTS, method="inverted_cdf")).astype(np.float32)
    return np.asarray(found[found > distinct[0]])


def weight_of_evidence(bins: npt.NDArray[np.intp], n: int, bad: Floats, weights: Floats, sign: int) -> Floats:
    """(n,): log of a bin's odds of bad over those of all, shrunk towards 0; rising or falling where `sign` says so."""
    rate = float(weights @ bad / weights.sum())
    loans: Floats = np.asarray(np.bincount(bins, weights, n) + SMOOTHING, np.float64)
    bads = np.bincount(bins, weights * bad, n) + SMOOTHING * rate
    rates: Floats = np.asarray(bads / loans, np.float64)
    if sign:
        rates = np.asarray(pooled(rates[::sign], loans[::sign])[::sign])
    return np.asarray(np.log(rates / (1 - rates)) - math.log(rate / (1 - rate)))


def pooled(rates: Floats, loans: Floats) -> Floats:
    """The nearest rates that never fall: neighbours that do are put together (isotonic regression)."""
    blocks: list[list[float]] = []  # [rate, loans, bins]
    for rate, count in zip(rates.tolist(), loans.tolist(), strict=True):
        blocks.append([rate, count, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            above = blocks.pop()
            below = blocks[-1]
            total = below[1] + above[1]
            blocks[-1] = [(below[0] * below[1] + above[0] * above[1]) / total, total, below[2] + above[2]]
    return np.repeat([one[0] for one in blocks], [int(one[2]) for one in blocks])


def ladder(column: int, edges: npt.NDArray[np.float32], points: Floats, n_columns: int) -> dict[str, Any]:
    """One tree as XGBoost writes it: below the first edge the first points, else on to the next edge."""
    steps = len(edges)
    nodes = 2 * steps + 1  # step k is node 2k; its left child 2k + 1 is a leaf
    left, right, parents = [-1] * nodes, [-1] * nodes, [ROOT] * nodes
    conditions, indices = [0.0] * nodes, [0] * nodes
    for step in range(steps):
        at = 2 * step
        left[at], right[at], conditions[at], indices[at] = at + 1, at + 2, float(edges[step]), column
        parents[at + 1] = parents[at + 2] = at
        conditions[at + 1] = float(points[step])
    conditions[2 * steps] = float(points[-1])
    gain = float(np.var(points)) if steps else 0.0
    return {
        "base_weights": [0.0] * nodes, "categories": [], "categories_nodes": [], "categories_segments": [],
        "categories_sizes": [], "default_left": [0] * nodes, "id": 0, "left_children": left,
        "loss_changes": [gain if child >= 0 else 0.0 for child in left], "parents": parents, "right_children": right,
        "split_conditions": conditions, "split_indices": indices, "split_type": [0] * nodes,
        "sum_hessian": [1.0] * nodes,
        "tree_param": {"num_deleted": "0", "num_feature": str(n_columns), "num_nodes": str(nodes),
                       "size_leaf_vector": "1"},
    }  # fmt: skip


def as_classifier(trees: list[dict[str, Any]], intercept: float, n_columns: int) -> XGBClassifier:
    """A classifier whose margin is the intercept and one leaf a tree."""
    blank = XGBClassifier(n_estimators=1, max_depth=1, n_jobs=1).fit(np.eye(2, n_columns, dtype=np.float32), [0, 1])
    model = json.loads(bytes(blank.get_booster().save_raw("json")))
    learner = model["learner"]
    inside = learner["gradient_booster"]["model"]
    trees = trees or [ladder(0, np.zeros(0, np.float32), np.zeros(1), n_columns)]
    inside["trees"] = [{**one, "id": at} for at, one in enumerate(trees)]
    inside["tree_info"] = [0] * len(trees)
    inside["iteration_indptr"] = list(range(len(trees) + 1))
    inside["gbtree_model_param"]["num_trees"] = str(len(trees))
    learner["learner_model_param"]["base_score"] = f"[{1 / (1 + math.exp(-intercept)):.9E}]"
    made = XGBClassifier()
    made.load_model(bytearray(json.dumps(model).encode()))
    return made

"""A logistic scorecard for lenders with few bad loans, written as trees, so that every engine serves it.

Each column is cut into at most four bins; a bin's weight of evidence enters a logistic regression with a penalty. The
result is a sum of one number per column, as is a forest with one tree per column: the same PD by any engine.
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
SMOOTHING = 5.0  # loans at the average bad rate that are added to every bin
PENALTY = 1.0  # of the regression, on weights of evidence
ROOT = 2147483647  # XGBoost's mark for "no parent"


def scorecard(rows: Matrix, bad: npt.NDArray[Any], signs: Sequence[int], weights: Floats | None) -> XGBClassifier:
    """The scorecard of `rows` (m, n) and `bad` (m,), its columns' directions as in `signs` (n,): +1, -1 or 0."""
    bad = np.asarray(bad, np.float64)
    weights = np.ones(len(bad)) if weights is None else weights
    edges = [cuts(rows[:, column]) for column in range(rows.shape[1])]
    bins = np.stack(
        [np.searchsorted(limits, rows[:, column], side="right") for column, limits in enumerate(edges)], axis=1
    )
    evidence = [
        weight_of_evidence(bins[:, column], len(limits) + 1, bad, weights, signs[column])
        for column, limits in enumerate(edges)
    ]
    coded = np.stack([weights[bins[:, column]] for column, weights in enumerate(evidence)], axis=1)
    columns = [column for column, weights in enumerate(evidence) if len(weights) > 1 and np.ptp(weights) > 0]
    factors, intercept = np.zeros(rows.shape[1]), float(math.log(weights @ bad / (weights @ (1 - bad))))
    while columns:  # a negative factor would reverse the meaning of the bins, and the direction
        regression = LogisticRegression(C=1 / PENALTY, max_iter=1000).fit(coded[:, columns], bad > 0.5, weights)
        negative = [column for column, factor in zip(columns, regression.coef_[0], strict=True) if factor <= 0]
        if not negative:
            factors[columns], intercept = regression.coef_[0], float(regression.intercept_[0])
            break
        columns = [column for column in columns if column not in negative]
    trees = [ladder(column, edges[column], factors[column] * evidence[column], rows.shape[1]) for column in columns]
    return as_classifier(trees, intercept, rows.shape[1])


def cuts(column: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where a column is cut, in rising order: at its quartiles, or between all values if they are few."""
    distinct = np.unique(column)
    if len(distinct) <= len(CUTS) + 1:
        return distinct[1:]
    edges = np.unique(np.quantile(column, CUTS, method="inverted_cdf")).astype(np.float32)
    return np.asarray(edges[edges > distinct[0]])


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
    """The nearest rates that never fall: neighbours that fall are pooled (isotonic regression)."""
    blocks: list[list[float]] = []  # [rate, loans, bins]
    for rate, count in zip(rates.tolist(), loans.tolist(), strict=True):
        blocks.append([rate, count, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            above = blocks.pop()
            below = blocks[-1]
            total = below[1] + above[1]
            blocks[-1] = [(below[0] * below[1] + above[0] * above[1]) / total, total, below[2] + above[2]]
    return np.repeat([block[0] for block in blocks], [int(block[2]) for block in blocks])


def ladder(column: int, edges: npt.NDArray[np.float32], points: Floats, n_columns: int) -> dict[str, Any]:
    """One tree as XGBoost writes it: below the first edge the first points, else on to the next edge."""
    steps = len(edges)
    nodes = 2 * steps + 1  # step k is node 2k; its left child 2k + 1 is a leaf
    left, right, parents = [-1] * nodes, [-1] * nodes, [ROOT] * nodes
    conditions, indices = [0.0] * nodes, [0] * nodes
    for step in range(steps):
        node = 2 * step
        left[node], right[node], conditions[node], indices[node] = node + 1, node + 2, float(edges[step]), column
        parents[node + 1] = parents[node + 2] = node
        conditions[node + 1] = float(points[step])
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
    """A classifier whose margin is the intercept plus one leaf of each tree."""
    blank = XGBClassifier(n_estimators=1, max_depth=1, n_jobs=1).fit(np.eye(2, n_columns, dtype=np.float32), [0, 1])
    model = json.loads(bytes(blank.get_booster().save_raw("json")))
    learner = model["learner"]
    inside = learner["gradient_booster"]["model"]
    trees = trees or [ladder(0, np.zeros(0, np.float32), np.zeros(1), n_columns)]
    inside["trees"] = [{**tree, "id": number} for number, tree in enumerate(trees)]
    inside["tree_info"] = [0] * len(trees)
    inside["iteration_indptr"] = list(range(len(trees) + 1))
    inside["gbtree_model_param"]["num_trees"] = str(len(trees))
    learner["learner_model_param"]["base_score"] = f"[{1 / (1 + math.exp(-intercept)):.9E}]"
    classifier = XGBClassifier()
    classifier.load_model(bytearray(json.dumps(model).encode()))
    return classifier

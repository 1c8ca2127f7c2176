"""XGBoost's binary forests on bits: margins and probabilities equal to XGBoost's to the last bit, and faster.

    from inference.bins import Forest

    Forest(booster).predict_proba(rows)  # (m, n_features) float32 -> (m,) float32

`booster` is an `xgboost.Booster` of binary:logistic trees. What cannot be covered is refused with the reason
(`UnfitForest`). Needs Numba: the extra `engines`.
"""

from inference.bins.forest import Forest
from inference.trees import UnfitForest

__all__ = ["Forest", "UnfitForest"]

"""Scoring: ten answers in, one explained decision out. `from inference import predict_credit_score` is all it takes."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.errors import InvalidApplication
    from inference.scorer import Score, predict_credit_score

__all__ = ["InvalidApplication", "Score", "predict_credit_score"]


def __getattr__(name: str) -> object:
    """What `__all__` names, imported when it is first asked for: commands that do not score stay light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "inference.errors" if name == "InvalidApplication" else "inference.scorer"
    found: object = getattr(import_module(module), name)
    return found

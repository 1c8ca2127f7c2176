"""Scoring: ten answers in, one explained decision out. Start with `from inference import predict_credit_score`."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.errors import InvalidApplication
    from inference.scorer import Score, predict_credit_score

__all__ = ["InvalidApplication", "Score", "predict_credit_score"]


def __getattr__(name: str) -> object:
    """Import a name of `__all__` on first use, so that commands that do not score start quickly."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "inference.errors" if name == "InvalidApplication" else "inference.scorer"
    value: object = getattr(import_module(module), name)
    return value

"""Whether two results are the same: numbers within a tolerance, arrays and frames element by element."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

TOLERANCE = 1e-6  # of numbers: absolute below 1, relative above


def equal(first: Any, second: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether results agree: the same types of things in the same order, floats within the tolerance, NaN with NaN.

    Objects without an equality of their own are compared by their attributes.
    """
    if first is second:
        return True
    if isinstance(first, bool) or isinstance(second, bool) or first is None or second is None:
        return bool(first == second)
    if is_array(first) or is_array(second):
        return equal_arrays(first, second, tolerance)
    if isinstance(first, int | float) and isinstance(second, int | float):
        return close(first, second, tolerance)
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(equal(first[key], second[key], tolerance) for key in first)
    if isinstance(first, str | bytes) or isinstance(second, str | bytes):
        return bool(first == second)
    if isinstance(first, Sequence) and isinstance(second, Sequence):
        return len(first) == len(second) and all(equal(a, b, tolerance) for a, b in zip(first, second, strict=True))
    if type(first) is not type(second):
        return bool(first == second)
    if is_dataclass(first):
        names = [field.name for field in fields(first) if field.compare]
        return all(equal(getattr(first, name), getattr(second, name), tolerance) for name in names)
    if "__eq__" not in {name for kind in type(first).__mro__[:-1] for name in vars(kind)} and hasattr(
        first, "__dict__"
    ):
        return equal(vars(first), vars(second), tolerance)
    return bool(first == second)


def close(first: float, second: float, tolerance: float) -> bool:
    return first == second or (math.isnan(first) and math.isnan(second)) or (
        abs(first - second) <= tolerance * max(1.0, abs(first), abs(second))
    )  # fmt: skip


def is_array(value: Any) -> bool:
    """Arrays of NumPy and what can become one: frames, series, their scalars."""
    return hasattr(value, "__array__") and hasattr(value, "shape")


def equal_arrays(old: Any, new: Any, tolerance: float) -> bool:
    """Element by element; a value that is not an array counts as one without dimensions."""
    first, second = (value.__array__().tolist() if is_array(value) else value for value in (old, new))
    if getattr(old, "shape", ()) != getattr(new, "shape", ()):
        return False
    return equal(first, second, tolerance)

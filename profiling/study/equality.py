"""Whether two results are the same: numbers within a tolerance, arrays and frames element by element."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

TOLERANCE = 1e-6  # of numbers: absolute below 1, relative above


def equal(one: Any, other: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether results agree: the same types of things in the same order, floats within the tolerance, NaN with NaN.

    Of objects that do not say when they are equal, what they hold is compared.
    """
    if one is other:
        return True
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return bool(one == other)
    if is_array(one) or is_array(other):
        return equal_arrays(one, other, tolerance)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return close(one, other, tolerance)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(one[key], other[key], tolerance) for key in one)
    if isinstance(one, str | bytes) or isinstance(other, str | bytes):
        return bool(one == other)
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return len(one) == len(other) and all(equal(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if type(one) is not type(other):
        return bool(one == other)
    if is_dataclass(one):
        names = [field.name for field in fields(one) if field.compare]
        return all(equal(getattr(one, name), getattr(other, name), tolerance) for name in names)
    if "__eq__" not in {name for kind in type(one).__mro__[:-1] for name in vars(kind)} and hasattr(one, "__dict__"):
        return equal(vars(one), vars(other), tolerance)
    return bool(one == other)


def close(one: float, other: float, tolerance: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other)) or (
        abs(one - other) <= tolerance * max(1.0, abs(one), abs(other))
    )  # fmt: skip


def is_array(value: Any) -> bool:
    """Arrays of NumPy and what can become one: frames, series, their scalars."""
    return hasattr(value, "__array__") and hasattr(value, "shape")


def equal_arrays(one: Any, other: Any, tolerance: float) -> bool:
    """Element by element; what is no array counts as one without dimensions."""
    first, second = (value.__array__().tolist() if is_array(value) else value for value in (one, other))
    if getattr(one, "shape", ()) != getattr(other, "shape", ()):
        return False
    return equal(first, second, tolerance)

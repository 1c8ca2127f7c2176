"""Compiles loops by Numba, and keeps what was compiled beside the code, as Python keeps its own.

Numba's cache asks for a folder that can be written, and fails where reading or writing does. Here a folder that is only
read serves too, and a file that is damaged, or that cannot be written, costs the time of compiling and nothing else.
What was compiled for another processor, by another Numba or from another source is never used: Numba keeps them too.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator, UserWideCacheLocator

Loop: TypeAlias = Callable[..., Any]  # Numba's own types are known only to Numba
FOLDER = Path(__file__).with_name("__pycache__")  # trusted as the compiled Python in it is


class Beside(InTreeCacheLocator):  # type: ignore[misc]
    """`__pycache__` beside the code, also where it can only be read."""

    @classmethod
    def from_function(cls, py_func: Loop, py_file: str) -> "Beside | None":
        beside: Beside | None = super().from_function(py_func, py_file)
        if beside is None and any(FOLDER.glob("*.nbi")):
            return cls(py_func, py_file)
        return beside


class Places(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (Beside, UserWideCacheLocator)


class Kept(FunctionCache):  # type: ignore[misc]
    """A cache that may fail."""

    _impl_class = Places

    def load_overload(self, sig: object, target_context: object) -> object:
        with suppress(Exception):  # a damaged pickle raises whatever it likes
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: object, data: object) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


def loop(**options: object) -> Callable[[Loop], Loop]:
    """Compile a function on its first call, and keep it; it lets go of the interpreter's lock."""

    def compiled(function: Loop) -> Loop:
        dispatcher: Any = njit(nogil=True, **options)(function)
        with suppress(RuntimeError, OSError):  # no place for it: each start compiles
            dispatcher._cache = Kept(function)
        return dispatcher  # type: ignore[no-any-return]

    return compiled

"""Optional packages: the extras of pyproject.toml. A command that lacks a package names the extra to install."""

from collections.abc import Iterator
from contextlib import contextmanager

from inference.errors import TenfoldError

EXTRAS = {  # extra -> the modules that its packages provide
    "train": ("pandas", "pyarrow", "matplotlib", "optbinning", "onnx", "onnxmltools", "tqdm", "python_calamine"),
    "engines": ("onnxruntime", "daal4py", "numba"),
    "book": ("pyarrow", "fsspec", "python_calamine"),
    "profile": ("jinja2", "orjson", "psutil", "snakeviz"),
}


class MissingExtra(TenfoldError):
    """A package is not installed; the message says which one and how to install it."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Wrap imports of an extra's packages. Raises `MissingExtra` if one of them is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS[name]:
            raise
        raise MissingExtra(f"{package} is not installed: run {how_to_install(name)}") from None


def how_to_install(name: str) -> str:
    """The command that installs an extra, run in the project's folder."""
    return f"pip install -e '.[{name}]' (or 'make setup', which installs all extras)"

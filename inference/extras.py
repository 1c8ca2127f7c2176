"""Optional packages: the extras of pyproject.toml. A command that lacks a package names the extra to install."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from inference.errors import TenfoldError

EXTRAS = {  # extra -> the modules that its packages provide
    "train": ("pandas", "pyarrow", "matplotlib", "optbinning", "onnx", "onnxmltools", "tqdm", "python_calamine"),
    "engines": ("onnxruntime", "daal4py", "numba"),
    "book": ("pyarrow", "fsspec", "python_calamine"),
    "cluster": ("dask", "distributed"),
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


def is_installed(name: str) -> bool:
    """Whether all packages of an extra are there, without importing any."""
    return all(find_spec(module) is not None for module in EXTRAS[name])


def install_commands(name: str) -> tuple[str, str]:
    """The commands of which each installs an extra, run in the project's folder: for who has `make run`, and for who
    has an environment of their own."""
    return "make setup", f"pip install -e '.[{name}]'"


def how_to_install(name: str) -> str:
    """Both commands, in a sentence."""
    ours, theirs = install_commands(name)
    return f"'{ours}', which installs all extras (or {theirs})"

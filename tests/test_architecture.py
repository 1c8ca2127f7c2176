"""The house: who may import whom, with every import of the tree read by `ast`."""

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from inference.settings import ROOT

# What each part may import of the others; the core knows nobody.
ALLOWED = {
    "inference": set(),
    "models": {"inference"},
    "ledger": {"inference"},
    "web": {"inference", "ledger"},
    "profiling": {"inference", "ledger", "models"},
    "app": {"inference", "ledger", "web"},
    "tenfold": {"inference"},  # it imports a command's module when it runs it
}
FOREIGN = {"pandas", "gradio", "fastapi", "starlette", "uvicorn", "sklearn", "matplotlib", "pyarrow", "sqlalchemy"}
BOOK = ("inference", "book", "pyarrow")
ENGINES = {"xgboost", "onnxruntime", "daal4py"}


def modules() -> dict[str, Path]:
    """Every module of ours, by its dotted name."""
    files = [file for part in ALLOWED for file in (ROOT / part).rglob("*.py")] + [ROOT / "app.py", ROOT / "tenfold.py"]
    names = (file.relative_to(ROOT).with_suffix("").parts for file in files)
    return {".".join(name).removesuffix(".__init__"): file for name, file in zip(names, files, strict=True)}


MODULES = modules()


@cache
def imports(module: str) -> set[str]:
    """Dotted names of all that a module imports, at its top or inside a function, relative or not."""
    found = set()
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            name = ".".join([*above, *([node.module] if node.module else [])])
            # `from package import module` imports the module too.
            found |= {name, *(f"{name}.{alias.name}" for alias in node.names if f"{name}.{alias.name}" in MODULES)}
    return found


def part(name: str) -> str:
    return name.partition(".")[0]


def test_the_tree_is_read() -> None:
    """The modules of the core are all there, and their imports are seen."""
    assert {"inference.rows", "inference.scorer", "models.train", "models.recipes.consumer"} <= MODULES.keys()
    assert "inference.application" in imports("inference.rows")
    assert "xgboost" in imports("inference.engines")  # imported inside a function
    assert "models.data.loans" in imports("models.recipes.sba")  # from models.data import loans


@pytest.mark.parametrize("module", MODULES)
def test_parts_import_one_way(module: str) -> None:
    """inference <- models; inference <- ledger <- web <- app; profiling sees all but the web; and no other way."""
    others = {part(name) for name in imports(module)} & ALLOWED.keys() - {part(module)}
    assert others <= ALLOWED[part(module)]


def test_the_core_knows_no_framework() -> None:
    """inference/ imports nothing of pandas, scikit-learn, the web or plotting; Arrow only where files are scored."""
    found = {(module, name) for module in MODULES if part(module) == "inference" for name in imports(module)}
    foreign = {(module, part(name)) for module, name in found if part(name) in FOREIGN}
    assert not {(module, name) for module, name in foreign if (*module.split(".")[:2], name) != BOOK}


def test_only_engines_imports_engines() -> None:
    """Of the code that serves, only inference/engines.py imports XGBoost, ONNX Runtime or oneDAL."""
    serving = [module for module in MODULES if part(module) in ("inference", "ledger", "web", "app")]
    assert {module for module in serving if ENGINES & {part(name) for name in imports(module)}} == {"inference.engines"}


# Where values have types throughout. `Any` is left only where another package has none, and a comment says which.
TYPED = ["inference", "ledger"]
UNTYPED_PACKAGE = re.compile(r"#.*\b(\w+) has no types")


@pytest.mark.slow
@pytest.mark.parametrize("package", TYPED)
def test_any_is_only_what_a_package_without_types_gives(package: str) -> None:
    """No value of ours is `Any`, or may be: a line that has it says which package it comes from."""
    files = [file for module, file in MODULES.items() if part(module) == package]
    assert len(files) > 10
    found = {
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Attribute) and node.attr == "Any")
        if not UNTYPED_PACKAGE.search(file.read_text("utf-8").splitlines()[node.lineno - 1])
    }
    assert not found


PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
ORDER = re.findall(r"^- `([^`]+\.py)` (.+)$", PAGE, re.MULTILINE)  # (file, what it is), as the page has them


def first_paragraph(file: str) -> str:
    """The first paragraph of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse((ROOT / file).read_text("utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


@pytest.mark.slow
def test_the_page_has_every_module() -> None:
    """docs/architecture.md names each once, with the first paragraph of its docstring; empty files are left out."""
    files = [file.relative_to(ROOT).as_posix() for file in MODULES.values() if file.read_text("utf-8").strip()]
    assert Counter(file for file, _ in ORDER) == Counter(files)
    assert {file: first_paragraph(file) for file in files} == dict(ORDER)


@pytest.mark.slow
def test_every_import_points_up_the_page() -> None:
    """Within packages too: no module imports what stands below it."""
    at = {
        name: number for number, (file, _) in enumerate(ORDER) for name, path in MODULES.items() if path == ROOT / file
    }
    # A package comes with each of its modules; what its __init__.py has is imported when it is asked for.
    arrows = [(one, name) for one in at for name in imports(one) & at.keys() if not f"{one}.".startswith(f"{name}.")]
    assert len(arrows) > 500
    assert not [(one, name) for one, name in arrows if at[name] > at[one]]


def test_one_application_can_be_followed() -> None:
    """The files and functions on the way from the form to the log are there."""
    steps = re.findall(r"`([\w/]+\.py)`: `([\w.]+)`", PAGE)
    assert len(steps) >= 10
    for file, name in steps:
        found: object = import_module(file.removesuffix(".py").replace("/", "."))
        for part_of_name in name.split("."):
            found = getattr(found, part_of_name)
        assert callable(found)


def test_no_module_is_named_for_leftovers() -> None:
    """A module says what is in it: none is called utils, helpers, common or misc."""
    leftovers = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [name for name in MODULES if leftovers & set(name.split("."))]


@pytest.mark.slow
def test_nothing_outside_the_recipes_knows_a_release_by_name() -> None:
    """The code that serves names no embedded release: another one put in its place just works."""
    serving = [module for module in MODULES if part(module) in ("inference", "ledger", "web", "app")]
    texts = {
        (module, node.value)
        for module in serving
        for node in ast.walk(ast.parse(MODULES[module].read_text()))
        if isinstance(node, ast.Constant) and node.value in ("consumer", "sba")
    }
    assert not texts


@pytest.mark.slow
def test_a_wrong_setting_is_said_before_what_takes_seconds_is_imported() -> None:
    """app.py by itself imports neither Gradio nor an engine."""
    program = (
        "import app, sys; sys.exit(', '.join(sys.modules.keys() & {'gradio', 'xgboost', 'fastapi', 'pandas'}) or None)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr

"""The house: who may import whom, with every import of the tree read by `ast`."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
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
}
FOREIGN = {"pandas", "gradio", "fastapi", "starlette", "uvicorn", "sklearn", "matplotlib", "pyarrow", "sqlalchemy"}
ENGINES = {"xgboost", "onnxruntime", "daal4py"}


def modules() -> dict[str, Path]:
    """Every module of ours, by its dotted name."""
    files = [file for part in ALLOWED for file in (ROOT / part).rglob("*.py")] + list(ROOT.glob("app.py"))
    names = (file.relative_to(ROOT).with_suffix("").parts for file in files)
    return {".".join(name).removesuffix(".__init__"): file for name, file in zip(names, files, strict=True)}


MODULES = modules()


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


IMPORTS = {module: imports(module) for module in MODULES}


def part(name: str) -> str:
    return name.partition(".")[0]


def test_the_tree_is_read() -> None:
    """The modules of the core are all there, and their imports are seen."""
    assert {"inference.rows", "inference.scorer", "models.train", "models.recipes.consumer"} <= MODULES.keys()
    assert "inference.application" in IMPORTS["inference.rows"]
    assert "xgboost" in IMPORTS["inference.engines"]  # imported inside a function
    assert "models.data.loans" in IMPORTS["models.recipes.consumer"]  # from models.data import loans


@pytest.mark.parametrize("module", MODULES)
def test_parts_import_one_way(module: str) -> None:
    """inference <- models; inference <- ledger <- web <- app; profiling sees all but the web; and no other way."""
    others = {part(name) for name in IMPORTS[module]} & ALLOWED.keys() - {part(module)}
    assert others <= ALLOWED[part(module)]


def test_the_core_knows_no_framework() -> None:
    """inference/ imports nothing of pandas, scikit-learn, the web or plotting."""
    found = {(module, name) for module in MODULES if part(module) == "inference" for name in IMPORTS[module]}
    assert not {(module, name) for module, name in found if part(name) in FOREIGN}


def test_only_engines_imports_engines() -> None:
    """Of the code that serves, only inference/engines.py imports XGBoost, ONNX Runtime or oneDAL."""
    serving = [module for module in MODULES if part(module) in ("inference", "ledger", "web", "app")]
    assert {module for module in serving if ENGINES & {part(name) for name in IMPORTS[module]}} == {"inference.engines"}


def test_no_module_imports_itself_by_way_of_others() -> None:
    """The modules have an order in which each comes after all that it imports."""
    ours = {module: {name for name in IMPORTS[module] if name in MODULES and name != module} for module in MODULES}
    assert len(list(TopologicalSorter(ours).static_order())) == len(MODULES)  # CycleError names a cycle


def test_no_module_is_named_for_leftovers() -> None:
    """A module says what is in it: none is called utils, helpers, common or misc."""
    leftovers = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [name for name in MODULES if leftovers & set(name.split("."))]


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


def test_a_wrong_setting_is_said_before_what_takes_seconds_is_imported() -> None:
    """app.py by itself imports neither Gradio nor an engine."""
    program = (
        "import app, sys; sys.exit(', '.join(sys.modules.keys() & {'gradio', 'xgboost', 'fastapi', 'pandas'}) or None)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr

"""How a package is laid out: files, lines, arrows and floors: `python -m profiling.documents.structure [FOLDER]`.

An arrow is one module that imports another of the package. A floor is the longest way down from a module to one that
imports none: modules in one circle stand on one floor. `FOLDER` is another checkout, to compare with.
"""

import argparse
import ast
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from inference.settings import ROOT

PACKAGES = ("inference", "ledger", "models", "web", "profiling")


def arrows(folder: Path, package: str) -> dict[str, set[str]]:
    """Module -> modules of the same package that it imports, at its top or inside a function."""
    files = {
        ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): file
        for file in (folder / package).rglob("*.py")
    }
    imports: dict[str, set[str]] = {}
    for name, file in files.items():
        named = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
        others = {module for module in named & files.keys() if files[module].stat().st_size}
        imports[name] = {
            module for module in others if not f"{name}.".startswith(f"{module}.")
        }  # its own package is not
    return imports


def floors(imports: Mapping[str, set[str]]) -> int | None:
    """How many floors there are; None where modules import each other in a circle."""
    floor: dict[str, int] = {}
    try:
        for name in TopologicalSorter(imports).static_order():
            floor[name] = 1 + max((floor[module] for module in imports[name]), default=0)
    except CycleError:
        return None
    return max(floor.values())


def main() -> int:
    """Print a row a package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT)
    folder = parser.parse_args().folder
    print("| package | files | lines | largest | folders | arrows | floors |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for package in PACKAGES:
        lines = {file: len(file.read_text("utf-8").splitlines()) for file in (folder / package).rglob("*.py")}
        lines = {file: count for file, count in lines.items() if count}
        imports = arrows(folder, package)
        row = (
            len(lines), sum(lines.values()), max(lines.values()), len({file.parent for file in lines}),
            sum(map(len, imports.values())), floors(imports) or "a circle",
        )  # fmt: skip
        print(f"| {package} | " + " | ".join(f"{value:,}" if isinstance(value, int) else value for value in row) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How packages are laid out: files, arrows, rooms: `python -m profiling.documents.structure [--folder CHECKOUT]`.

An arrow is one module that imports another of the package. Floors are how many modules stand above one another in the
longest chain of arrows. A room is a folder right below the package; a module in no folder is a room by itself. Rooms
have arrows and floors as modules do. `--folder` is another checkout, to compare with.
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


def between_rooms(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Room -> other rooms that its modules import, of all rooms of a package."""

    def room(module: str) -> str:
        return ".".join(module.split(".")[:2])

    rooms: dict[str, set[str]] = {room(module): set() for module in imports if "." in module}
    for module, others in imports.items():
        if "." in module:
            rooms[room(module)] |= {room(other) for other in others if "." in other} - {room(module)}
    return rooms


def main() -> int:
    """Print a table, and of another checkout a second one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="another checkout")
    folder = parser.parse_args().folder
    print(table(ROOT))
    if folder:
        print(f"\n{folder}:\n\n{table(folder)}")
    return 0


def table(folder: Path) -> str:
    """A row a package of a checkout."""
    heads = (
        "package", "files", "lines", "largest", "folders", "arrows", "floors",
        "rooms", "arrows between rooms", "floors of rooms",
    )  # fmt: skip
    rows = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for package in PACKAGES:
        lines = {file: len(file.read_text("utf-8").splitlines()) for file in (folder / package).rglob("*.py")}
        lines = {file: count for file, count in lines.items() if count}
        imports = arrows(folder, package)
        rooms = between_rooms(imports)
        row = (
            len(lines), sum(lines.values()), max(lines.values()), len({file.parent for file in lines}),
            sum(map(len, imports.values())), floors(imports) or "a circle",
            len(rooms), sum(map(len, rooms.values())), floors(rooms) or "a circle",
        )  # fmt: skip
        cells = [f"{value:,}" if isinstance(value, int) else value for value in row]
        rows.append(f"| {package} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())

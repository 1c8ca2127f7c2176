"""A folder of JavaScript modules as one script: a page asks for one file, and its code is still in small ones.

Of ES modules these take `import { a, b } from "./file.js";` at the start of a line, and `export const`. Each module
becomes a function, called once, after those that it imports. Comments that fill their lines are left out.
"""

import re
from collections.abc import Sequence
from pathlib import Path

IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w-]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export const ([\w$]+)", re.MULTILINE)
COMMENT = re.compile(r"^[ ]*(?://.*|/\*\*(?:(?!\*/)(?s:.))*\*/)\n", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def joined(folder: Path, first: str = "main.js") -> str:
    """The module `first` of a folder with all that it imports, as one script.

    Raises ValueError for modules that import each other, and for an import or export of another kind.
    """
    modules: dict[str, str] = {}
    add(folder, first, (), modules)
    return '(() => {\n"use strict";\nconst modules = {};\n' + "".join(modules.values()) + "})();\n"


def add(folder: Path, name: str, importers: Sequence[str], modules: dict[str, str]) -> None:
    """Put a module after those that it imports; `importers` are on the way to it."""
    if name in importers:
        raise ValueError(f"{folder.name}: modules that import each other: {' → '.join((*importers, name))}")
    if name in modules:
        return
    text = COMMENT.sub("", (folder / name).read_text("utf-8"))
    for _, imported in IMPORT.findall(text):
        add(folder, imported, (*importers, name), modules)
    exports = ", ".join(EXPORT.findall(text))
    body = EXPORT.sub(r"const \1", IMPORT.sub(r'const \1 = modules["\2"];', text))
    if other := OTHER.search(body):
        raise ValueError(f"{folder.name}/{name}: “{other[0]}” is neither of the import and export that are known here")
    modules[name] = f'modules["{name}"] = (() => {{\n{body}return {{ {exports} }};\n}})();\n'

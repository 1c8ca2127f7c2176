"""Rows of many applications by the statements that write one, in a loop that Numba compiles.

The statements are those of inference/row_compiler.py, so both are one piece of code. What they name is a dictionary's
`get`, a method, or a list of bytes there; here it is an array, with a function that looks into it.

The loop's text is kept as a file, since Numba keeps compiled code beside a file alone: the next start reads both.
"""

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import ModuleType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from inference.bins.compiled import FOLDER
from inference.blocks import Block, KeyPart
from inference.row_compiler import statements

Writer: TypeAlias = Callable[..., None]
ManyWriter: TypeAlias = Callable[[Sequence[npt.NDArray[np.float64]], npt.NDArray[np.float32]], None]
Array: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]
LOOK_UP = re.compile(r"\b(c\d+)\(")  # c1(q3, -1)
READ = re.compile(r"= row\[(\d+)\]$")  # q15 = row[79]
COPY = re.compile(r"^raw\[(\d+):(\d+)\] = (c\d+)\[(.+)\]$")  # raw[356:536] = c8[q10]
FLOAT = 4  # bytes
HEAD = """from math import nan

import numpy as np

from inference.bins.compiled import loop
from inference.bins.many_rows import band, copy, look_up


@loop(error_model="numpy")
"""


def many_writer(blocks: Sequence[Block], n_answers: int) -> ManyWriter:
    """A function of answers, n_answers arrays (m,) float64, and of zeros (m, n_features) float32, which it fills.

    An array a field, since a book has its answers so: some rows of them are then not copied.
    """
    lines, arrays = looked_up(blocks)
    body = [f"q{slot} = values[{slot}][at_row]" for slot in range(n_answers)]
    for line in lines:
        if copied := COPY.match(line):
            begin, end, name, key = copied.groups()
            line = f"copy({name}, {key}, row, {int(begin) // FLOAT}, {int(end) // FLOAT})"
        body.append(READ.sub(r"= np.float64(row[\1])", line))
    text = f"{HEAD}def write(values, rows, {''.join(f'{name}, ' for name in arrays)}):\n"
    text += " for at_row in range(rows.shape[0]):\n  row = rows[at_row]\n  " + "\n  ".join(body) + "\n"
    write = compiled(text)
    return lambda values, rows: write(tuple(values), rows, *arrays.values())


def looked_up(blocks: Sequence[Block]) -> tuple[list[str], dict[str, Array]]:
    """The statements of all blocks, which look into arrays, and the arrays that they name."""
    lines, named = statements(blocks)
    named.pop("nan")
    arrays = {name: as_array(value) for name, value in named.items()}
    bands = {name for name, value in named.items() if isinstance(getattr(value, "__self__", None), KeyPart)}
    return [
        LOOK_UP.sub(lambda call: f"{'band' if call[1] in bands else 'look_up'}({call[1]}, ", line) for line in lines
    ], arrays


def compiled(text: str) -> Writer:
    """The function of that text: as it was kept, or compiled now, and kept where the folder can be written."""
    # Numba does not see that what the loop calls has changed: the name does.
    name = f"rows_{sha256(text.encode() + Path(__file__).read_bytes()).hexdigest()[:16]}"
    file = FOLDER / f"{name}.loop"
    with suppress(OSError):
        if not file.is_file():
            with NamedTemporaryFile("w", dir=FOLDER, delete=False) as temporary:
                temporary.write(text)
            Path(temporary.name).replace(file)
    module = ModuleType(name)
    if file.is_file():
        loader = SourceFileLoader(name, str(file))
        module = sys.modules[name] = module_from_spec(ModuleSpec(name, loader, origin=str(file)))
        loader.exec_module(module)  # compiled code finds its module by name
    else:
        code = compile(text, str(file), "exec")
        exec(code, module.__dict__)  # noqa: S102 - our own statements
    write: Writer = module.write
    return write


def as_array(named: object) -> Array:
    """What a statement names: rows of a table as float32; edges of bands; of a dictionary of whole numbers from 0 what
    it holds for each, NaN where it holds nothing."""
    if isinstance(named, list):
        return np.frombuffer(b"".join(named), np.float32).reshape(len(named), -1)
    owner = getattr(named, "__self__", None)
    if isinstance(owner, KeyPart):
        return np.array(owner.edges)
    assert isinstance(owner, dict)  # noqa: S101 - what blocks name is one of three
    return np.array([owner.get(float(number), np.nan) for number in range(int(max(owner, default=-1.0)) + 1)])


@njit(nogil=True, inline="always")
def look_up(table, value, otherwise):  # type: ignore[no-untyped-def]
    """`dict.get`: whole numbers come as whole numbers."""
    if value != value or value >= table.shape[0]:
        return otherwise
    entry = table[int(value)]
    return otherwise if entry != entry else type(otherwise)(entry)


@njit(nogil=True)
def band(edges, value, otherwise):  # type: ignore[no-untyped-def]
    """`KeyPart.band`."""
    if value != value:
        return otherwise
    number = 0
    while number < edges.shape[0] and edges[number] <= value:
        number += 1
    return number


@njit(nogil=True)
def copy(table, key, row, begin, end):  # type: ignore[no-untyped-def]
    """A row of a table into the model's row."""
    for column in range(end - begin):
        row[begin + column] = table[key, column]

"""One function that writes a row: all blocks' statements in a straight line, compiled as `dataclasses` makes methods.

Calls from block to block would take longer than the work in them: about three times as long in all.

Of a form with the number fields `amount` and `staff`, and two blocks, `numbers` of both and `arithmetic` with
`["amount/staff", "amount", "/", "staff"]`, the function is

    def write(values, row, raw):
     q0, q1, = values
     if q0 == q0: row[0] = q0
     if q1 == q1: row[1] = q1
     q2 = q0 / q1 if q1 >= 1e-06 or q1 <= -1e-06 else nan
     if q2 == q2: row[2] = q2

`values` are the answers as float64, NaN where one is not stated; `row` is a memoryview of zeros in float32, and `raw`
the same memory as bytes, into which rows of history tables are copied whole. Objects that the statements need
(look-ups, rows of tables) are the names c1, c2 … of the function's globals. `python -m inference rows --source` prints
the function of a release.
"""

import math
from collections.abc import Callable, Sequence

from inference.blocks import Block

Writer = Callable[[tuple[float, ...], "memoryview[float]", "memoryview[int]"], None]


def statements(blocks: Sequence[Block]) -> tuple[list[str], dict[str, object]]:
    """What all blocks do for one application, and the objects that this names."""
    namespace: dict[str, object] = {"nan": math.nan}

    def constant(value: object) -> str:
        namespace[f"c{len(namespace)}"] = value
        return f"c{len(namespace) - 1}"

    return [statement for block in blocks for statement in block.source(constant)], namespace


def source(blocks: Sequence[Block], n_answers: int) -> tuple[str, dict[str, object]]:
    """The text of the function, and the objects that it names."""
    lines, namespace = statements(blocks)
    lines.insert(0, f"{''.join(f'q{slot}, ' for slot in range(n_answers))}= values")
    return "def write(values, row, raw):\n " + "\n ".join(lines) + "\n", namespace


def compiled(text: str, namespace: dict[str, object]) -> Writer:
    """The function itself."""
    exec(compile(text, f"{__file__} (compiled)", "exec"), namespace)  # noqa: S102 - our own statements
    return namespace["write"]  # type: ignore[return-value]

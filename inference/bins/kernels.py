"""The loops, compiled by Numba: bits for many rows at once, and a walk for a single one.

Many rows. For a block of rows each condition becomes a few words of 64 bits, a bit a row. A tree then has for each of
its levels a plane of bits, whether a row goes right there: at the root the condition's own; at a deeper level a choice
among the level's conditions by the planes above it, `low ^ ((low ^ high) & plane)`, 64 rows an operation. Read across
the planes, a row's bits are the number of its leaf. Margins are summed in the order of the trees in float32, as XGBoost
sums them, so they are equal to the last bit.

One row. All trees go down one level at a time: no step waits for the one before it of the same tree.

Numba has no way to say "compare 64 floats, give 64 bits", nor "to these bytes add a bit where that word has one".
LLVM has: the two intrinsics below are a few lines of its language, the same on every processor.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

BIT, BYTE, WORD, FLOAT = ir.IntType(1), ir.IntType(8), ir.IntType(64), ir.FloatType()
ROWS = 64  # a word
Kernel: TypeAlias = Callable[..., None]  # Numba's own types are known only to Numba
Untyped: TypeAlias = Any  # llvmlite has no types: its values, and what Numba hands over


def vector(kind: ir.Type) -> ir.VectorType:
    return ir.VectorType(kind, ROWS)


def address(context: Untyped, builder: Untyped, kind: Untyped, array: Untyped, start: Untyped, of: ir.Type) -> Untyped:
    """Where 64 elements of a contiguous array begin."""
    pointer = builder.gep(context.make_array(kind)(context, builder, array).data, [start])
    return builder.bitcast(pointer, vector(of).as_pointer())


def spread(builder: Untyped, value: Untyped, kind: ir.Type) -> Untyped:
    """One value 64 times."""
    undefined, first = ir.Constant(vector(kind), ir.Undefined), ir.Constant(ir.IntType(32), 0)
    return builder.shuffle_vector(
        builder.insert_element(undefined, value, first), undefined, ir.Constant(vector(ir.IntType(32)), [0] * ROWS)
    )


def compare(missing_too: bool) -> Untyped:
    """An intrinsic: 64 float32 from `values[start]` -> a word with a bit for each that is >= the threshold, or NaN."""

    def met(_: Untyped, values: Untyped, start: Untyped, threshold: Untyped) -> Untyped:
        def code(context: Untyped, builder: Untyped, signature: Untyped, given: Untyped) -> Untyped:
            where = address(context, builder, signature.args[0], given[0], given[1], FLOAT)
            limit = spread(builder, given[2], FLOAT)
            ask = builder.fcmp_unordered if missing_too else builder.fcmp_ordered
            row = builder.load(where)
            row.align = 4
            return builder.bitcast(ask(">=", row, limit), WORD)

        return types.uint64(values, types.intp, types.float32), code

    return intrinsic(met)


met, met_or_missing = compare(False), compare(True)


def to_add_bit(_: Untyped, numbers: Untyped, start: Untyped, word: Untyped, bit: Untyped) -> Untyped:
    """To each of 64 bytes from `numbers[start]`: `bit`, where the word has one."""

    def code(context: Untyped, builder: Untyped, signature: Untyped, given: Untyped) -> Untyped:
        where = address(context, builder, signature.args[0], given[0], given[1], BYTE)
        chosen = builder.bitcast(given[2], vector(BIT))
        none = ir.Constant(vector(BYTE), [0] * ROWS)
        added = builder.select(chosen, spread(builder, given[3], BYTE), none)
        before = builder.load(where)
        before.align = 1
        builder.store(builder.or_(before, added), where).align = 1
        return context.get_dummy_value()

    return types.void(numbers, types.intp, types.uint64, types.uint8), code


add_bit: Untyped = intrinsic(to_add_bit)


@cache
def for_blocks(words: int, depth: int) -> Kernel:
    """The kernel for blocks of 64 * `words` rows and trees of that depth."""
    block = ROWS * words
    half = max(1, 2 ** (depth - 2) if depth > 1 else 1)

    @njit(nogil=True, cache=True)
    def margins(rows, columns, begins, middles, thresholds, nodes_asked, leaves, base, bits, out):  # type: ignore[no-untyped-def]
        """Fill `out` (m,) with the margins of `rows` (m, n_features); `bits` (n_conditions + 1, words) is room."""
        values = np.zeros(block, np.float32)
        leaf = np.empty(block, np.uint8)
        planes = np.empty((depth, words), np.uint64)
        choice = np.empty((half, words), np.uint64)
        never = bits.shape[0] - 1
        for word in range(words):
            bits[never, word] = 0
        for first in range(0, rows.shape[0], block):
            count = min(block, rows.shape[0] - first)
            for used in range(columns.shape[0]):
                column = columns[used]
                for row in range(count):
                    values[row] = rows[first + row, column]
                for number in range(begins[used], middles[used]):
                    for word in range(words):
                        bits[number, word] = met(values, ROWS * word, thresholds[number])
                for number in range(middles[used], begins[used + 1]):
                    for word in range(words):
                        bits[number, word] = met_or_missing(values, ROWS * word, thresholds[number])
            sums = np.full(block, base, np.float32)
            for tree in range(nodes_asked.shape[0]):
                for row in range(block):
                    leaf[row] = 0
                for level in range(depth):
                    nodes = 1 << level
                    if level == 0:
                        for word in range(words):
                            planes[0, word] = bits[nodes_asked[tree, 0], word]
                    else:
                        left = nodes >> 1
                        for pair in range(left):
                            low = nodes_asked[tree, nodes - 1 + 2 * pair]
                            high = nodes_asked[tree, nodes + 2 * pair]
                            for word in range(words):
                                lower = bits[low, word]
                                choice[pair, word] = lower ^ ((lower ^ bits[high, word]) & planes[level - 1, word])
                        above = level - 2
                        while left > 1:
                            left >>= 1
                            for pair in range(left):
                                for word in range(words):
                                    lower = choice[2 * pair, word]
                                    higher = choice[2 * pair + 1, word]
                                    choice[pair, word] = lower ^ ((lower ^ higher) & planes[above, word])
                            above -= 1
                        for word in range(words):
                            planes[level, word] = choice[0, word]
                    for word in range(words):
                        add_bit(leaf, ROWS * word, planes[level, word], np.uint8(1 << (depth - 1 - level)))
                for row in range(block):
                    sums[row] += leaves[tree, leaf[row]]
            for row in range(count):
                out[first + row] = sums[row]

    return margins


@njit(nogil=True, cache=True)
def margin_of_one(rows, row, columns, thresholds, when_missing, leaves, base):  # type: ignore[no-untyped-def]
    """The margin of `rows[row]`; of each tree's nodes (n_trees, 2**depth - 1) column, threshold, and whether NaN goes
    right."""
    trees, nodes = columns.shape
    place = np.zeros(trees, np.int32)
    level = 1
    while level <= nodes:
        for tree in range(trees):
            node = place[tree]
            value = rows[row, columns[tree, node]]
            # Numbers and no branches: a processor would guess every other one wrong.
            right = np.int32(value >= thresholds[tree, node]) | (np.int32(value != value) & when_missing[tree, node])
            place[tree] = 2 * node + 1 + right
        level = 2 * level + 1
    margin = base
    for tree in range(trees):
        margin += leaves[tree, place[tree] - nodes]
    return margin


@njit(nogil=True, cache=True)
def margins_one_by_one(rows, columns, thresholds, when_missing, leaves, base, out):  # type: ignore[no-untyped-def]
    """Fill `out` (m,) row by row."""
    for row in range(rows.shape[0]):
        out[row] = margin_of_one(rows, row, columns, thresholds, when_missing, leaves, base)


@njit(nogil=True, cache=True)
def log_odds(probability):  # type: ignore[no-untyped-def]
    """The margin of a base score, as XGBoost computes it: in float32, with the C library's logf."""
    unit = np.float32(1.0)
    return -np.float32(math.log(unit / probability - unit))


@njit(nogil=True, cache=True)
def probabilities(margins):  # type: ignore[no-untyped-def]
    """XGBoost's logistic in float32, with the C library's expf; in place."""
    unit, most = np.float32(1.0), np.float32(88.7)
    for row in range(margins.shape[0]):
        margins[row] = unit / (np.float32(math.exp(min(-margins[row], most))) + unit + np.float32(1e-16))

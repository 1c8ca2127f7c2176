"""The loops, compiled by Numba: bits for many rows at once, and a walk for a single one.

Many rows. For a block of rows each condition becomes a few words of 64 bits, a bit a row. A tree then has for each of
its levels a plane of bits, whether a row goes right there: at the root the condition's own; at a deeper level a choice
among the level's conditions by the planes above it, `low ^ ((low ^ high) & plane)`, 64 rows an operation. Read across
the planes, a row's bits are the number of its leaf. Where the processor can pick 16 or 8 numbers out of a register at
once (AVX-512, AVX2), a tree's leaves lie in registers; elsewhere each row looks its own up. Margins are summed in the
order of the trees in float32, as XGBoost sums them, so they are equal to the last bit.

One row. All trees go down one level at a time: no step waits for the one before it of the same tree.

Numba has no way to say "compare 64 floats, give 64 bits", nor "to these bytes add a bit where that word has one", nor
"pick by these numbers out of that register". LLVM has: the intrinsics below are a few lines of its language, the same
on every processor.
"""

import math
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import config, njit, types
from numba.extending import intrinsic

from inference.bins.compiled import Loop, loop

BIT, BYTE, INT, WORD, FLOAT = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
ROWS = 64  # a word
WIDEST, AVX2 = 16, 8  # float32 in the widest register, and in one of AVX2
Untyped: TypeAlias = Any  # llvmlite has no types: its values, and what Numba hands over


def vector(kind: ir.Type, count: int = ROWS) -> ir.VectorType:
    return ir.VectorType(kind, count)


def every(kind: ir.Type, value: int, count: int = ROWS) -> ir.Constant:
    """A constant, `count` times."""
    return ir.Constant(vector(kind, count), [value] * count)


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


def to_exceed(_: Untyped, counts: Untyped, start: Untyped, least: Untyped) -> Untyped:
    """64 bytes from `counts[start]` -> a word with a bit for each that is greater than `least`."""

    def code(context: Untyped, builder: Untyped, signature: Untyped, given: Untyped) -> Untyped:
        where = address(context, builder, signature.args[0], given[0], given[1], BYTE)
        row = builder.load(where)
        row.align = 1
        return builder.bitcast(builder.icmp_unsigned(">", row, spread(builder, given[2], BYTE)), WORD)

    return types.uint64(counts, types.intp, types.uint8), code


exceed: Untyped = intrinsic(to_exceed)


def to_add_bit(_: Untyped, numbers: Untyped, start: Untyped, word: Untyped, bit: Untyped) -> Untyped:
    """To each of 64 bytes from `numbers[start]`: `bit`, where the word has one."""

    def code(context: Untyped, builder: Untyped, signature: Untyped, given: Untyped) -> Untyped:
        where = address(context, builder, signature.args[0], given[0], given[1], BYTE)
        chosen = builder.bitcast(given[2], vector(BIT))
        added = builder.select(chosen, spread(builder, given[3], BYTE), every(BYTE, 0))
        before = builder.load(where)
        before.align = 1
        builder.store(builder.or_(before, added), where).align = 1
        return context.get_dummy_value()

    return types.void(numbers, types.intp, types.uint64, types.uint8), code


add_bit: Untyped = intrinsic(to_add_bit)


def to_go_down(_: Untyped, bits: Untyped, nodes: Untyped, tree: Untyped, planes: Untyped, depth: Untyped,
               words: Untyped) -> Untyped:  # fmt: skip
    """All levels of a tree for a block: from the conditions' `bits` (n_conditions + 1, words) and the tree's conditions
    `nodes` (n_trees, 2**depth - 1) to its `planes` (depth, words). Depth and words are constants."""
    levels, count = depth.literal_value, words.literal_value

    def code(context: Untyped, builder: Untyped, signature: Untyped, given: Untyped) -> Untyped:
        answers, conditions, rights = (
            context.make_array(signature.args[position])(context, builder, given[position]).data
            for position in (0, 1, 3)
        )
        own = builder.gep(conditions, [builder.mul(given[2], ir.Constant(WORD, 2**levels - 1))])
        block = ir.VectorType(WORD, count).as_pointer()
        planes_above: list[Untyped] = []

        def words_of(data: Untyped, row: Untyped) -> Untyped:
            return builder.bitcast(builder.gep(data, [builder.mul(row, ir.Constant(WORD, count))]), block)

        def chosen(node: int, level: int) -> Untyped:
            """What a row answers at that level if it is at that node, a level above or more."""
            if level == 0:
                number = builder.load(builder.gep(own, [ir.Constant(WORD, node)]))
                return builder.load(words_of(answers, builder.zext(number, WORD)), align=8)
            low, high = (chosen(2 * node + side, level - 1) for side in (1, 2))
            plane = planes_above[len(planes_above) - level]
            return builder.xor(low, builder.and_(builder.xor(low, high), plane))

        for level in range(levels):
            planes_above.append(chosen(0, level))
            builder.store(planes_above[-1], words_of(rights, ir.Constant(WORD, level)), align=8)
        return context.get_dummy_value()

    return types.void(bits, nodes, types.intp, planes, depth, words), code


go_down: Untyped = intrinsic(prefer_literal=True)(to_go_down)


def lanes(depth: int) -> int:
    """How many leaves a register holds from which the processor can pick by numbers; 0 where looking up is quicker."""
    chosen: str | None = getattr(config, "CPU_FEATURES", None)  # NUMBA_CPU_FEATURES
    features = binding.get_host_cpu_features().flatten() if chosen is None else chosen
    if "+avx512f" in features and "+avx512bw" in features:
        return WIDEST
    return AVX2 if "+avx2" in features and depth <= 4 else 0


def to_add_leaves(_: Untyped, sums: Untyped, planes: Untyped, word: Untyped, leaves: Untyped, tree: Untyped,
                  depth: Untyped, width: Untyped) -> Untyped:  # fmt: skip
    """To 64 sums from `sums[64 * word]`: of a tree the leaves that that word of the planes chooses. `planes` (depth,
    words); `leaves` (n_trees, at least `width`); depth and width are constants."""
    levels, count = depth.literal_value, width.literal_value

    def code(context: Untyped, builder: Untyped, signature: Untyped, given: Untyped) -> Untyped:
        def array(position: int) -> Untyped:
            return context.make_array(signature.args[position])(context, builder, given[position])

        rights = array(1)
        words = builder.extract_value(rights.shape, 1)
        numbers = every(BYTE, 0)
        for level in range(levels):
            place = builder.add(builder.mul(ir.Constant(WORD, level), words), given[2])
            right = builder.bitcast(builder.load(builder.gep(rights.data, [place])), vector(BIT))
            bit = every(BYTE, 1 << (levels - 1 - level))
            numbers = builder.or_(numbers, builder.select(right, bit, every(BYTE, 0)))
        own = array(3)
        begin = builder.gep(own.data, [builder.mul(given[4], builder.extract_value(own.shape, 1))])
        registers = []
        for first in range(0, max(2**levels, count), count):
            where = builder.gep(begin, [ir.Constant(WORD, first)])
            registers.append(builder.load(builder.bitcast(where, vector(FLOAT, count).as_pointer()), align=4))
        start = builder.mul(given[2], ir.Constant(WORD, ROWS))
        for first in range(0, ROWS, count):
            of_these = ir.Constant(vector(INT, count), list(range(first, first + count)))
            bytes_chosen = builder.shuffle_vector(numbers, ir.Constant(vector(BYTE), ir.Undefined), of_these)
            number = builder.zext(bytes_chosen, vector(INT, count))
            chosen = [pick(builder, register, number, count) for register in registers]
            bit = count
            while len(chosen) > 1:
                upper = builder.icmp_unsigned("!=", builder.and_(number, every(INT, bit, count)), every(INT, 0, count))
                chosen = [builder.select(upper, high, low) for low, high in zip(chosen[::2], chosen[1::2], strict=True)]
                bit *= 2
            where = builder.gep(array(0).data, [builder.add(start, ir.Constant(WORD, first))])
            where = builder.bitcast(where, vector(FLOAT, count).as_pointer())
            builder.store(builder.fadd(builder.load(where, align=4), chosen[0]), where, align=4)
        return context.get_dummy_value()

    return types.void(sums, planes, types.intp, leaves, types.intp, depth, width), code


def pick(builder: Untyped, register: Untyped, number: Untyped, count: int) -> Untyped:
    """`register[number]` for each lane. LLVM sees one permutation in this, where the processor has it."""
    within = builder.and_(number, every(INT, count - 1, count))
    picked = ir.Constant(vector(FLOAT, count), ir.Undefined)
    for lane in range(count):
        at_lane = ir.Constant(INT, lane)
        entry = builder.extract_element(register, builder.extract_element(within, at_lane))
        picked = builder.insert_element(picked, entry, at_lane)
    return picked


add_leaves: Untyped = intrinsic(prefer_literal=True)(to_add_leaves)


def turned(builder: Untyped, lines: list[Untyped]) -> list[Untyped]:
    """16 vectors of 16 elements each, rows as columns."""
    step = 1
    while step < WIDEST:  # swap blocks of `step` off the diagonal
        lanes_kept = [lane if not lane & step else WIDEST + (lane ^ step) for lane in range(WIDEST)]
        lanes_moved = [lane | step if not lane & step else WIDEST + lane for lane in range(WIDEST)]
        for upper in range(WIDEST):
            if not upper & step:
                pair = lines[upper], lines[upper | step]
                lines[upper], lines[upper | step] = (
                    builder.shuffle_vector(*pair, ir.Constant(vector(INT, WIDEST), lanes_of))
                    for lanes_of in (lanes_kept, lanes_moved)
                )
        step *= 2
    return lines


def to_turn(_: Untyped, rows: Untyped, row: Untyped, column: Untyped, tile: Untyped, begin: Untyped) -> Untyped:
    """16 rows of 16 columns each, from `rows[row, column]`, to 16 columns of 16 rows each, at `tile[:, begin]`."""

    def code(context: Untyped, builder: Untyped, signature: Untyped, given: Untyped) -> Untyped:
        def each(position: int, row: Untyped, column: Untyped) -> list[Untyped]:
            array = context.make_array(signature.args[position])(context, builder, given[position])
            width = builder.extract_value(array.shape, 1)
            places = [builder.add(row, ir.Constant(WORD, further)) for further in range(WIDEST)]
            starts = [builder.gep(array.data, [builder.add(builder.mul(place, width), column)]) for place in places]
            return [builder.bitcast(start, vector(FLOAT, WIDEST).as_pointer()) for start in starts]

        lines = turned(builder, [builder.load(where, align=4) for where in each(0, given[1], given[2])])
        for line, where in zip(lines, each(3, ir.Constant(WORD, 0), given[4]), strict=True):
            builder.store(line, where, align=4)
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, tile, types.intp), code


turn: Untyped = intrinsic(to_turn)


def to_gather(_: Untyped, counts: Untyped, places: Untyped, first: Untyped, further: Untyped, tile: Untyped,
              begin: Untyped) -> Untyped:  # fmt: skip
    """16 bytes each from `counts[places[first + i] + further]` for 16 i, to 16 columns of 16 bytes, at
    `tile[:, begin]`."""

    def code(context: Untyped, builder: Untyped, signature: Untyped, given: Untyped) -> Untyped:
        def array(position: int) -> Untyped:
            return context.make_array(signature.args[position])(context, builder, given[position])

        of_bytes, from_places, to_tile = array(0).data, array(1).data, array(4)
        lines = []
        for row in range(WIDEST):
            at_row = builder.gep(from_places, [builder.add(given[2], ir.Constant(WORD, row))])
            place = builder.add(builder.zext(builder.load(at_row), WORD), given[3])
            where = builder.bitcast(builder.gep(of_bytes, [place]), vector(BYTE, WIDEST).as_pointer())
            lines.append(builder.load(where, align=1))
        size = builder.extract_value(to_tile.shape, 1)
        for row, line in enumerate(turned(builder, lines)):
            place = builder.add(builder.mul(ir.Constant(WORD, row), size), given[5])
            where = builder.bitcast(builder.gep(to_tile.data, [place]), vector(BYTE, WIDEST).as_pointer())
            builder.store(line, where, align=1)
        return context.get_dummy_value()

    return types.void(counts, places, types.intp, types.intp, tile, types.intp), code


gather: Untyped = intrinsic(to_gather)


@loop()
def read_columns(rows, first, count, column, tile):  # type: ignore[no-untyped-def]
    """`count` rows from `rows[first]`, 16 columns from `column` or as many as there are, into `tile` (16, block)."""
    width = min(WIDEST, rows.shape[1])
    turned = 0
    if width == WIDEST:
        turned = count // WIDEST * WIDEST
        for row in range(0, turned, WIDEST):
            turn(rows, first + row, column, tile, row)
    for row in range(turned, count):
        for further in range(width):
            tile[further, row] = rows[first + row, column + further]


@njit(inline="always")
def add_trees(bits, nodes_asked, leaves, planes, leaf, sums, depth, words, width, in_registers):  # type: ignore[no-untyped-def]
    """To the sums of a block: all trees' leaves, in their order. `planes` (depth, words) and `leaf` (block,) are room;
    the last four are constants."""
    for tree in range(nodes_asked.shape[0]):
        go_down(bits, nodes_asked, tree, planes, depth, words)
        if in_registers:
            for word in range(words):
                add_leaves(sums, planes, word, leaves, tree, depth, width)
        else:
            for row in range(ROWS * words):
                leaf[row] = 0
            for level in range(depth):
                for word in range(words):
                    add_bit(leaf, ROWS * word, planes[level, word], np.uint8(1 << (depth - 1 - level)))
            for row in range(ROWS * words):
                sums[row] += leaves[tree, leaf[row]]


@cache
def for_blocks(words: int, depth: int) -> Loop:
    """The kernel for blocks of 64 * `words` rows and trees of that depth."""
    block = ROWS * words
    width = lanes(depth)
    in_registers = width > 0
    width = width or WIDEST

    @loop()
    def margins(rows, columns, begins, middles, thresholds, nodes_asked, leaves, base, bits, out):  # type: ignore[no-untyped-def]
        """Fill `out` (m,) with the margins of `rows` (m, n_features); `bits` (n_conditions + 1, words) is room.
        `leaves` (n_trees, 2**depth, and at least WIDEST)."""
        tile = np.zeros((WIDEST, block), np.float32)
        leaf = np.empty(block, np.uint8)
        planes = np.empty((depth, words), np.uint64)
        never = bits.shape[0] - 1
        for word in range(words):
            bits[never, word] = 0
        for first in range(0, rows.shape[0], block):
            count = min(block, rows.shape[0] - first)
            read = -WIDEST
            for used in range(columns.shape[0]):
                column = columns[used]
                if column >= read + WIDEST:
                    read = max(0, min(column, rows.shape[1] - WIDEST))
                    read_columns(rows, first, count, read, tile)
                values = tile[column - read]
                for number in range(begins[used], middles[used]):
                    for word in range(words):
                        bits[number, word] = met(values, ROWS * word, thresholds[number])
                for number in range(middles[used], begins[used + 1]):
                    for word in range(words):
                        bits[number, word] = met_or_missing(values, ROWS * word, thresholds[number])
            sums = np.full(block, base, np.float32)
            add_trees(bits, nodes_asked, leaves, planes, leaf, sums, depth, words, width, in_registers)
            for row in range(count):
                out[first + row] = sums[row]

    return margins


@cache
def for_columns(words: int, depth: int) -> Loop:
    """The kernel for blocks of 64 * `words` applications that are no rows: numbers, and rows of tables as bytes."""
    block = ROWS * words
    width = lanes(depth)
    in_registers = width > 0
    width = width or WIDEST

    @loop()
    def margins(numbers, places, of_tables, of_columns, of_trees, bits, out):  # type: ignore[no-untyped-def]
        """Fill `out` (m,), as `for_blocks` does.

        `numbers` (n_columns, at least m and whole blocks): columns, whose conditions `of_columns` has as begins,
        middles (of those that a missing value meets) and ends. `places` (n_tables, as many): where in `counts` the
        bytes of a table's row begin. `of_tables`: `counts`; by table how many bytes a row has, a multiple of 16; byte
        after byte of all tables the first condition of which it counts, and how many they are. `of_trees`: thresholds,
        nodes, leaves, base.
        """
        counts, widths, firsts, lengths = of_tables
        begins, middles, ends = of_columns
        thresholds, nodes_asked, leaves, base = of_trees
        tile = np.empty((WIDEST, block), np.uint8)
        leaf = np.empty(block, np.uint8)
        planes = np.empty((depth, words), np.uint64)
        for word in range(words):
            bits[bits.shape[0] - 1, word] = 0  # never met
        for first in range(0, out.shape[0], block):
            for used in range(numbers.shape[0]):
                values = numbers[used]
                for number in range(begins[used], middles[used]):
                    for word in range(words):
                        bits[number, word] = met(values, first + ROWS * word, thresholds[number])
                for number in range(middles[used], ends[used]):
                    for word in range(words):
                        bits[number, word] = met_or_missing(values, first + ROWS * word, thresholds[number])
            run = 0
            for table in range(places.shape[0]):
                for further in range(0, widths[table], WIDEST):
                    for row in range(0, block, WIDEST):
                        gather(counts, places[table], first + row, further, tile, row)
                    for line in range(WIDEST):
                        for met_before in range(lengths[run]):
                            for word in range(words):
                                above = exceed(tile[line], ROWS * word, np.uint8(met_before))
                                bits[firsts[run] + met_before, word] = above
                        run += 1
            sums = np.full(block, base, np.float32)
            add_trees(bits, nodes_asked, leaves, planes, leaf, sums, depth, words, width, in_registers)
            for row in range(min(block, out.shape[0] - first)):
                out[first + row] = sums[row]

    return margins


@loop()
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


@loop()
def margins_one_by_one(rows, columns, thresholds, when_missing, leaves, base, out):  # type: ignore[no-untyped-def]
    """Fill `out` (m,) row by row."""
    for row in range(rows.shape[0]):
        out[row] = margin_of_one(rows, row, columns, thresholds, when_missing, leaves, base)


@loop()
def log_odds(probability):  # type: ignore[no-untyped-def]
    """The margin of a base score, as XGBoost computes it: in float32, with the C library's logf."""
    unit = np.float32(1.0)
    return -np.float32(math.log(unit / probability - unit))


@loop()
def probabilities(margins):  # type: ignore[no-untyped-def]
    """XGBoost's logistic in float32, with the C library's expf; in place."""
    unit, most = np.float32(1.0), np.float32(88.7)
    for row in range(margins.shape[0]):
        margins[row] = unit / (np.float32(math.exp(min(-margins[row], most))) + unit + np.float32(1e-16))

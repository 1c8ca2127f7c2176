"""Shapley values of the fields of one row against another, from a forest whose columns come from one field each.

A tree's leaf is reached by the coalitions that contain every field for which only the row's own answers lead there, and
none for which only the other's do. Its value then has a closed form for each of these fields
(inference/tree_reasons.py). The loop goes down a tree once, and both ways where the two rows differ, so it comes only
to leaves that some coalition reaches.
"""

import numpy as np

from inference.bins.compiled import loop

NEITHER, OWN, OTHER = 0, 1, 2  # who leads from a node to the one below, where it is not both


@loop()
def add_effects(rows, columns, thresholds, when_missing, owners, nodes, leaves, gained, lost, effects):  # type: ignore[no-untyped-def]
    """To `effects` (n_fields,) float64: in log-odds, of `rows[0]` against `rows[1]`.

    `columns`, `thresholds`, `when_missing` (n_conditions + 1,), `nodes` (n_trees, 2**depth - 1) and `leaves`, the
    same and one more, as `conditions.Conditions` has them. `owners` (n_features,): the field of each column.
    `gained` and `lost` (depth + 1, depth + 1): a leaf's shares by how many fields must be in, and must be out.
    """
    trees, width = nodes.shape
    depth = 0
    while 2**depth <= width:
        depth += 1
    conditions = thresholds.shape[0]
    own, other = np.zeros(conditions, np.bool_), np.zeros(conditions, np.bool_)
    for number in range(conditions - 1):  # the last is never met
        column, threshold, missing = columns[number], thresholds[number], when_missing[number]
        own[number] = rows[0, column] >= threshold or (missing and rows[0, column] != rows[0, column])
        other[number] = rows[1, column] >= threshold or (missing and rows[1, column] != rows[1, column])
    # Places that are still to be gone to: the node, its level, the fields in and out so far, and the step to it.
    waiting = np.empty((depth + 2, 4), np.int64)
    inside, outside = np.empty(depth + 2, np.uint64), np.empty(depth + 2, np.uint64)
    fields, leads = np.empty(depth + 1, np.int64), np.empty(depth + 1, np.int64)  # by level, of the way down
    for tree in range(trees):
        waiting[0, :] = 0
        inside[0], outside[0] = 0, 0
        left = 1
        while left:
            left -= 1
            place, level = waiting[left, 0], waiting[left, 1]
            fields[level], leads[level] = waiting[left, 2], waiting[left, 3]
            within, without = inside[left], outside[left]
            while place < width:
                number = nodes[tree, place]
                level += 1
                lead, field = NEITHER, 0
                goes_own = own[number]
                if own[number] != other[number]:
                    field = owners[columns[number]]
                    bit = np.uint64(1) << np.uint64(field)
                    if without & bit:
                        goes_own = other[number]
                    elif not within & bit:
                        waiting[left, 0] = 2 * place + 1 + other[number]
                        waiting[left, 1], waiting[left, 2], waiting[left, 3] = level, field, OTHER
                        inside[left], outside[left] = within, without | bit
                        left += 1
                        within |= bit
                        lead = OWN
                fields[level], leads[level] = field, lead
                place = 2 * place + 1 + goes_own
            n_in, n_out = 0, 0
            for step in range(1, depth + 1):
                n_in += leads[step] == OWN
                n_out += leads[step] == OTHER
            value = np.float64(leaves[tree, place - width])
            for step in range(1, depth + 1):
                if leads[step] == OWN:
                    effects[fields[step]] += value * gained[n_in, n_out]
                elif leads[step] == OTHER:
                    effects[fields[step]] -= value * lost[n_in, n_out]

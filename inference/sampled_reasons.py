"""Estimates the effects of many answers from random orders, with their errors, where they cannot be computed exactly.

More than 16 answers that differ from the reference have too many coalitions, and features made of several answers
(ratios, history) keep the trees from giving the values of each answer. Then the Shapley values are means over orders
in which the answers change one after the other. Each order is used forwards and backwards, which halves the error or
better (Mitchell et al. 2022, "Sampling permutations for Shapley value estimation"). The seed is fixed: the same
application has the same estimate. Within each order the effects sum to the whole difference, and so do the estimates.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
PAIRS = 100  # orders, each forwards and backwards: up to 200 × 41 rows in one batch
SEED = 0


def estimate(
    reference: Floats, values: Floats, differing: list[int], log_odds: Callable[[Floats], Floats]
) -> tuple[Floats, Floats]:
    """Effects of the fields (n_fields,) in log-odds between two encoded applications, and their standard errors.

    `log_odds` maps applications (m, n_fields) to (m,); `differing` are the fields whose answers differ.
    """
    players = len(differing)
    random = np.random.default_rng(SEED)
    forwards = [random.permutation(players) for _ in range(PAIRS)]
    orders = np.array([order for drawn in forwards for order in (drawn, drawn[::-1])])  # (2 · PAIRS, players)
    place = np.argsort(orders, axis=1)  # when each player comes in
    inside = place[:, None, :] < np.arange(players + 1)[None, :, None]  # (orders, steps, players)
    applications = np.tile(reference, (len(orders) * (players + 1), 1))
    applications[:, differing] = np.where(inside, values[differing], reference[differing]).reshape(-1, players)
    steps = np.diff(log_odds(applications).reshape(len(orders), players + 1), axis=1)
    each = np.take_along_axis(steps, place, axis=1)  # (orders, players): what each player changed
    pairs = each.reshape(PAIRS, 2, players).mean(axis=1)
    effects, errors = np.zeros(len(values)), np.zeros(len(values))
    effects[differing] = pairs.mean(axis=0)
    errors[differing] = pairs.std(axis=0, ddof=1) / np.sqrt(PAIRS)
    return effects, errors

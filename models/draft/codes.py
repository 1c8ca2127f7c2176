"""Numbers that are codes: 96 and 98 in a count of 0 to 17, -9 among amounts, 365243 among days."""

import numpy as np
import numpy.typing as npt

from models.draft.columns import Floats

USUAL = {
    *(-1.0, -2.0, -3.0, -6.0, -7.0, -8.0, -9.0, -77.0, -88.0, -98.0, -99.0, -888.0, -998.0, -999.0, -9999.0, -99999.0),
    *(88.0, 96.0, 97.0, 98.0, 99.0, 888.0, 996.0, 997.0, 998.0, 999.0, 8888.0, 9996.0, 9997.0, 9998.0, 9999.0),
    *(99999.0, 999999.0, 9999999.0, 99999999.0, 999999999.0, 365243.0),
}
MOST = 4  # codes at one end
FEWEST_LOANS, FEWEST_SHARE = 20, 0.0003


def find_codes(values: Floats) -> tuple[float, ...]:
    """Up to four values at either end that stand apart from the rest, taken as one group.

    They are codes where they are of the usual ones and lie two widths (1 % to 99 % of the rest) away, or all below
    zero where nothing else is; any value is, where it lies ten widths away and a loan in a thousand has it.
    Found are no codes where the values next to them go on as a scale does: -2 and -1 before 0 to 8 are states.
    """
    stated = values[np.isfinite(values)]
    if len(stated) < 100:
        return ()
    distinct, loans = np.unique(stated, return_counts=True)
    return tuple(sorted({*at_end(distinct, loans, stated), *at_end(distinct[::-1], loans[::-1], stated)}))


def at_end(distinct: Floats, loans: npt.NDArray[np.intp], stated: Floats) -> list[float]:
    """Codes among the first values, which are those of one end."""
    for number in range(min(MOST, len(distinct) - 4), 0, -1):
        end, share = distinct[:number], loans[:number].sum() / len(stated)
        if (share < FEWEST_SHARE and loans[:number].sum() < FEWEST_LOANS) or share > 0.9:
            continue
        rest = stated[~np.isin(stated, end)]
        low, high = np.quantile(rest, [0.01, 0.99])
        width = max(high - low, 1e-9)
        gap = abs(distinct[number] - distinct[number - 1])
        usual = all(value in USUAL for value in end)
        below = end.max() < 0 <= rest.min()
        if usual and below and not goes_on(end, distinct[number], rest):
            return [float(value) for value in end]
        if (usual and gap > 2 * width) or (gap > 10 * width and share > 0.001 and loans[0] > FEWEST_LOANS):
            return [float(value) for value in end]
    return []


def goes_on(end: Floats, following: float, rest: Floats) -> bool:
    """Whether a short scale of whole numbers continues through zero: …, -2, -1, 0, 1, 2."""
    short = len(np.unique(rest)) <= 12
    return bool(short and end.max() == -1 and following == 0 and np.all(np.diff(np.sort(end)) == 1))

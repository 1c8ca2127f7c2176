"""What a lender knew about past loans, as tables that a release carries.

Every table is as of the end of the month before the application: it uses approvals and recorded charge-offs of
earlier months only. A charge-off index compares a group with all loans of the same age: observed charge-offs over
those expected if each month's approvals of the group had gone bad at the pace of all approvals of that month. It
is shrunk towards the group's parent (an industry of six digits towards its four digits, and so on, up to all: 1).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inference.blocks import Table

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRIOR_CHARGE_OFFS = 8.0  # weight of the parent's index, in expected charge-offs
PRIOR_LOANS = 30.0  # weight of the parent's mean, in loans
YOUNG = 30  # months: a charge-off before that age is an early one


@dataclass(frozen=True, slots=True)
class Events:
    """Past loans, n of them. Months count from `first`.

    `bad` is the month of the recorded charge-off, -1 without one. `traits` are averaged over a group's
    approvals; NaN where not stated.
    """

    first: int
    months: int  # how many are looked at
    approved: Ints
    bad: Ints
    traits: Mapping[str, Floats]

    def sums(self, month: Ints, group: Ints, groups: int, weights: Floats | None = None) -> Floats:
        """(months, groups): the weights of loans by month and group; a loan with -1 in either is left out."""
        within = (month >= 0) & (month < self.months) & (group >= 0)
        flat = np.bincount(
            month[within] * groups + group[within],
            weights=None if weights is None else weights[within],
            minlength=self.months * groups,
        )
        return flat.reshape(self.months, groups).astype(np.float64)

    def bad_before(self, age: int | None) -> Ints:
        """`bad` with later charge-offs than at that age in months left out."""
        return self.bad if age is None else np.where(self.bad - self.approved < age, self.bad, -1)

    def pace(self, peers: npt.NDArray[np.bool_], age: int | None) -> Floats:
        """(months, months): the share of each month's approved peers charged off in each month, up to an age."""
        approved_in = np.where(peers, self.approved, -1)
        count = self.sums(self.bad_before(age), approved_in, self.months).T
        approved = np.bincount(self.approved[peers], minlength=self.months)
        return np.divide(count, approved[:, None], out=np.zeros_like(count), where=approved[:, None] > 0)


@dataclass(slots=True)
class Level:
    """One way to group loans: monthly sums per group, cumulated so that a window is one subtraction."""

    name: str
    parent: "Level | None"
    parent_of: Ints  # (groups,) index of each group's parent among the parent's groups
    cumulated: dict[str, Floats]  # (months + 1, groups): sums over the months before
    traits: Sequence[str]
    known: dict[int, dict[str, Floats]] = field(default_factory=dict)  # by month; each month is used once or twice

    @classmethod
    def of(
        cls, events: Events, name: str, group: Ints, parent: "Level | None" = None, parent_of: Iterable[int] = (0,)
    ) -> "Level":
        """Group the events; `group` (n,) is -1 where a loan's group is not known.

        Such a loan counts in no group, and the pace of comparison is that of loans with a known group: codes
        are missing more often among charge-offs, so a pace over all loans would flatter every industry.
        """
        above = np.array(list(parent_of), np.int64)
        groups = len(above)
        sums = {"loans": events.sums(events.approved, group, groups)}
        for label, age in (("", None), ("_young", YOUNG)):
            sums[f"observed{label}"] = events.sums(events.bad_before(age), group, groups)
            sums[f"expected{label}"] = events.pace(group >= 0, age).T @ sums["loans"]
        for trait, values in events.traits.items():
            stated = ~np.isnan(values)
            sums[f"{trait}:sum"] = events.sums(events.approved, group, groups, np.nan_to_num(values))
            sums[f"{trait}:loans"] = events.sums(np.where(stated, events.approved, -1), group, groups)
        cumulated = {key: np.vstack([np.zeros((1, groups)), np.cumsum(value, 0)]) for key, value in sums.items()}
        return cls(name, parent, above, cumulated, list(events.traits))

    def window(self, key: str, month: int, length: int | None) -> Floats:
        """(groups,): a sum over the `length` months before `month`, or over all of them."""
        sums = self.cumulated[key]
        earlier: Floats = sums[0 if length is None else max(month - length, 0)]
        since: Floats = sums[month] - earlier
        return since

    def features(self, month: int) -> dict[str, Floats]:
        """All features of every group, (groups,) each, as of the end of the month before."""
        if month not in self.known:
            self.known = {month: self._features(month)}
        return self.known[month]

    def _features(self, month: int) -> dict[str, Floats]:
        above = self.parent.features(month) if self.parent else {}

        def prior(name: str, otherwise: Floats | float) -> Floats | float:
            return above[name][self.parent_of] if above else otherwise

        features: dict[str, Floats] = {}
        for label, name, length in (
            ("", "index12", 12),
            ("", "index24", 24),
            ("", "index36", 36),
            ("", "index", None),
            ("_young", "index_young", 24),
        ):
            observed = self.window(f"observed{label}", month, length)
            expected = self.window(f"expected{label}", month, length)
            features[name] = (observed + PRIOR_CHARGE_OFFS * prior(name, 1.0)) / (expected + PRIOR_CHARGE_OFFS)
        for trait in self.traits:
            for length in (12, 36):
                name = f"{trait}{length}"
                total = self.window(f"{trait}:sum", month, length)
                loans = self.window(f"{trait}:loans", month, length)
                overall = np.divide(total, loans, out=np.zeros_like(total), where=loans > 0)
                features[name] = (total + PRIOR_LOANS * prior(name, overall)) / (loans + PRIOR_LOANS)
        recent, year = self.window("loans", month, 12), self.window("loans", month, 24)
        overall = (recent + PRIOR_LOANS) / (year - recent + PRIOR_LOANS)
        features["growth"] = (recent + PRIOR_LOANS * prior("growth", overall)) / (year - recent + PRIOR_LOANS)
        return features


def table(keys: Sequence[str], parts: Sequence[tuple[Level, Ints, Sequence[str]]], month: int) -> Table:
    """Put features of one or more levels side by side.

    A part is a level, for each key the index of its group in that level, and the features to take. The last
    row, "of all", holds each feature of the topmost level.
    """
    columns = []
    for level, group_of, names in parts:
        top = level
        while top.parent is not None:
            top = top.parent
        for name in names:
            values = level.features(month)[name][group_of]
            columns.append(np.append(values, top.features(month)[name][0]))
    return Table(tuple(keys), np.column_stack(columns).astype(np.float32))

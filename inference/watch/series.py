"""The series whose drift is watched: the PD and every field of a form, each counted in bins of a named reference."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inference.application import Form
from inference.fields import ChoiceField
from inference.watch.drift import Bins, Drift, Floats, Ints, bins_of, drifts

SCORE = "pd"  # the name of the score's series; no field has it, as a release's columns do not


@dataclass(frozen=True)
class Groups:
    """How the choices of a field are counted: by group, digit codes by their first two digits; NaN is the last one."""

    of_choice: Ints  # (choices,) group of each choice
    count: int

    def counts(self, values: Floats) -> Ints:
        """Values in each group, (count,)."""
        places = np.full(len(values), self.count - 1, np.int64)
        stated = ~np.isnan(values)
        places[stated] = self.of_choice[values[stated].astype(np.int64)]
        return np.bincount(places, minlength=self.count).astype(np.int64)


@dataclass(frozen=True)
class Reference:
    """What later periods are compared with: its name, the bins of each series, and its counts in them."""

    name: str
    bins: Mapping[str, Bins | Groups]
    counts: Mapping[str, Ints]

    def counted(self, form: Form | None, values: Floats, pds: Floats) -> dict[str, Ints]:
        """Counts of PDs (m,) and encoded applications (k, n_fields), by series; without a form of the PDs alone."""
        columns = {SCORE: pds}
        if form is not None:
            columns |= {name: values[:, index] for index, name in enumerate(form.names)}
        return {name: bins.counts(columns[name]) for name, bins in self.bins.items()}

    def drift(self, counts: Mapping[str, Ints]) -> dict[str, Drift]:
        """The drift of a period's counts, which may be sums of daily ones."""
        return drifts(counts, self.counts)


def reference(name: str, form: Form | None, values: Floats, pds: Floats) -> Reference:
    """A reference of PDs (m,) and encoded applications (k, n_fields); without a form of the PDs alone."""
    bins: dict[str, Bins | Groups] = {SCORE: bins_of(pds)}
    for index, field in enumerate(() if form is None else form.fields):
        bins[field.name] = groups_of(field) if isinstance(field, ChoiceField) else bins_of(values[:, index])
    empty = Reference(name, bins, {})
    return Reference(name, bins, empty.counted(form, values, pds))


def groups_of(field: ChoiceField) -> Groups:
    """The groups of a field's choices."""
    places = {code: place for place, code in enumerate(field.groups)}
    of_choice = [places[field.group_of(index)] for index in range(len(field.choices))]
    return Groups(np.array(of_choice, np.int64), len(places) + 1)


def summed(days: Mapping[str, Mapping[str, Ints]]) -> dict[str, Ints]:
    """Counts of days put together, by series."""
    total: dict[str, Ints] = {}
    for counts in days.values():
        for name, row in counts.items():
            total[name] = total[name] + row if name in total else row
    return total

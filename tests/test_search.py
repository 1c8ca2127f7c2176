"""What is left out when a search leaves answers out."""

import numpy as np
import pytest
from parts import RealLoans

from inference.application import Form
from inference.fields import ChoiceField, field_from_json
from inference.rows import RowBuilder
from models.recipes.sba import RECIPE
from models.search import set_by
from models.train import counted

pytestmark = pytest.mark.slow


def test_columns_of_an_answer_are_all_that_it_changes(real: RealLoans) -> None:
    """With other loans' answers to a field in place of their own, no other column of the rows changes."""
    recipe = real.recipe
    form = Form(tuple(field_from_json(spec) for spec in counted(recipe, real.loans)))
    tables = real.history.tables(int(real.loans.months.max())) if real.history else {}
    builder = RowBuilder(form, recipe.features, tables)
    values = form.encode(real.loans.answers)
    rows = builder.build(values)
    for at, name in enumerate(form.names):
        other = values.copy()
        other[:, at] = np.roll(values[:, at], 1)
        changed = (builder.build(other) != rows).any(axis=0)
        named = set_by(recipe, builder.columns, name)
        assert changed.any()
        assert not (changed & ~named).any(), name
        if not isinstance(form.fields[at], ChoiceField):  # rare choices have columns that no loan here sets
            assert changed.sum() == named.sum(), name


def test_answers_are_left_out_together() -> None:
    """Several fields leave out the columns of each, and a field that is not there is named."""
    columns = ["amount", "jobs", "jobs_created", "jobs_created=not_stated", "jobs_retained", "state=CA", "employees"]
    assert set_by(RECIPE, columns, "state,jobs_created").tolist() == [False, True, True, True, False, True, False]
    with pytest.raises(SystemExit, match="no field salary"):
        set_by(RECIPE, columns, "state,salary")

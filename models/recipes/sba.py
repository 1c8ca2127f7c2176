"""Small-business loans guaranteed by the US Small Business Administration (see models/data/SBA.md).

The words, the form and the model are in sba.toml; here is what joins the loans with the history of others.
"""

from functools import partial
from pathlib import Path

import numpy as np

from inference.blocks import features_from_json
from models.data import loans
from models.lender_loans import embedded
from models.recipe import Loans, choice_field, raw_answers
from models.recipe_file import read_recipe
from models.recipes.sba_history import INDEX, TABLES, SbaHistory, industries, key, month

SAID = read_recipe(Path(__file__).with_suffix(".toml"), python_source=True)
STATES = [one["code"] for spec in SAID.fields if spec["name"] == "state" for one in spec["choices"]]
INDUSTRIES = choice_field("naics", "", "", "", industries())["choices"]  # the list is too long for a file to read
FIELDS = [{**spec, "choices": INDUSTRIES} if spec["name"] == "naics" else spec for spec in SAID.fields]


def load() -> Loans:
    """The study rows (approvals 2001-2007), as the form would have given them."""
    frame = loans.sba()
    frame = frame[frame["approved"] >= loans.STUDY_FIRST]
    return Loans(
        raw_answers(frame, [spec["name"] for spec in FIELDS]),
        frame["charged_off"].to_numpy(np.int8),
        month(frame["approved"]).to_numpy(np.int32),
        month(frame["charged_off_month"].fillna(1)).to_numpy(np.int32),
    )


FEATURES = features_from_json(
    [
        {"kind": "numbers", "of": ["amount", "guaranteed_share", "employees", "jobs_created", "jobs_retained"]},
        {"kind": "not_stated", "of": ["jobs_created"]},  # both counts or none
        {"kind": "one_hot", "of": "new_business"},
        {"kind": "one_hot", "of": "franchise"},
        {"kind": "one_hot", "of": "revolving"},
        {"kind": "code", "of": "naics"},
        {"kind": "one_hot", "of": "naics", "prefix": 2},
        {"kind": "one_hot", "of": "state"},
        *[
            {
                "kind": "history",
                "table": name,
                "key": [{"of": "naics"}] if name == "industry" else key(name),
                "columns": [f"{level}.{figure}" for level, figures in levels.items() for figure in figures],
            }
            for name, levels in TABLES.items()
        ],
        {
            "kind": "arithmetic",
            "columns": [
                ["amount_per_employee", "amount", "/", "employees"],
                ["amount_to_industry", "amount", "/", "naics6.amount12"],
                ["amount_to_group", "amount", "/", "naics4.amount12"],
                ["amount_to_state", "amount", "/", "state.amount12"],
                ["employees_to_group", "employees", "/", "naics4.employees12"],
                ["guaranteed_amount", "amount", "*", "guaranteed_share"],
                ["jobs", "jobs_created", "+", "jobs_retained"],
                ["amount_per_job", "amount", "/", "jobs"],
                ["jobs_created_per_employee", "jobs_created", "/", "employees"],
                ["jobs_retained_per_employee", "jobs_retained", "/", "employees"],
            ],
        },
    ]
)

RECIPE = embedded(
    SAID,
    load,
    fields=FIELDS,
    features=FEATURES,
    parameters={name: value for name, value in SAID.parameters.items() if name != "reg_lambda"},  # XGBoost's own
    # A group whose past loans went bad more often than others of their age never makes a loan look better. The amount
    # has no sign: larger loans went bad less often, which no analyst would sign for, and what one would sign (more is
    # never better) costs more AUC than all else that was tried (SBA.md).
    monotone={f"{level}.{name}": +1 for levels in TABLES.values() for level in levels for name in INDEX},
    history=partial(SbaHistory, STATES, TABLES),
    window=(month(200101), month(200501), month(200601)),
    later={"2006": (month(200601), month(200701)), "2007": (month(200701), month(200801))},
    real_time=36,
)

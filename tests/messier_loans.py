"""More loan files as people have them, made for tests from the committed consumer credits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from messy_loans import comma, loans
from workbooks import write_xlsx

ROWS = 900


def write(file: Path, lines: Sequence[str]) -> None:
    file.write_text("\n".join(lines) + "\n", "utf-8")


def dollars(value: Any) -> str:
    """As a spreadsheet's format for accounting shows it: $ 1,234.50, or $(1,234.50); - for missing."""
    if pd.isna(value):
        return "-"
    shown = f"{abs(value):,.2f}"
    return f'"$({shown})"' if value < 0 else f'"$ {shown}"'


def swiss(file: Path) -> None:
    """Names and, below them, units; apostrophes in numbers; per cent; dates of two programs in one column."""
    lines = ["Antrag;Datum;Einkommen;Belehnung;Laufzeit;Dienstjahre;Vorfall;Ausfall", ";;CHF;%;Monate;Jahre;;"]
    for at, loan in enumerate(loans(ROWS).itertuples()):
        day, month, year = 1 + at % 28, 1 + at % 12, 2019 + at % 3
        date = f"{day:02d}.{month:02d}.{year}" if at % 2 else f"{year}-{month:02d}-{day:02d}"
        income = "" if pd.isna(loan.income) else f"{loan.income * 10:,.2f}".replace(",", "\u2019" if at % 3 else "'")
        lines.append(
            f"A{10000 + at};{date};{income};{100 * loan.amount / loan.price:.1f}%;{loan.term};{loan.seniority};"
            f"{'Ja' if loan.prior_record == 'yes' else 'Nein'};{'Ja' if loan.bad else 'Nein'}"
        )
    write(file, lines)


def french_report(file: Path) -> None:
    """A title and a blank line above the names, narrow spaces in numbers, a total and a remark at the end."""
    frame = loans(ROWS)
    lines = ["Portefeuille au 31.12.2023", "", "Dossier;Revenu;Montant;Durée;Incident;Impayé"]
    for at, loan in enumerate(frame.itertuples()):
        income = comma(None if pd.isna(loan.income) else loan.income * 10).replace(".", "\u202f") or "n.d."
        amount = comma(loan.amount * 10).replace(".", "\u202f")
        lines.append(
            f"{at:06d};{income};{amount} €;{loan.term};{'Oui' if loan.prior_record == 'yes' else 'Non'};"
            f"{'Oui' if loan.bad else 'Non'}"
        )
    total = comma(frame["amount"].sum() * 10).replace(".", "\u202f")
    write(file, [*lines, f"Total;;{total} €;;;", "", "Source : système central, édition du 02.01.2024"])


def three_branches(file: Path) -> None:
    """Yes and no in three languages, codes below zero for what nobody knows, each ninth line twice with its id."""
    yes, no = ("Yes", "Oui", "Ja"), ("No", "Non", "Nein")
    lines = ["id,income,amount,term,seniority,prior,default"]
    for at, loan in enumerate(loans(ROWS).itertuples()):
        income = -999 if pd.isna(loan.income) else loan.income
        prior = (yes if loan.prior_record == "yes" else no)[at % 3]
        line = (
            f"{500 + at},{income},{loan.amount},{loan.term},{-1 if at % 37 == 0 else loan.seniority},{prior},{loan.bad}"
        )
        lines += [line, line] if at % 9 == 0 else [line]
    write(file, lines)


def sorted_by_outcome(file: Path) -> None:
    """Numbers were given by outcome, the bad loans first, and lines are shuffled: the number tells all."""
    frame = loans(ROWS).sort_values("bad", ascending=False, kind="stable").reset_index(drop=True)
    frame.insert(0, "loan_no", range(100_000, 100_000 + ROWS))
    frame.sample(frac=1, random_state=5).to_csv(file, index=False)


def accounts(file: Path) -> None:
    """A ledger's export: negative sums in brackets after the currency, `60 mo.`, answers in small and capital letters,
    a subtotal after each hundredth line, the names again after each three hundredth."""
    head = "Account,Net income,Balance,Term,Years,Record,Status"
    lines = [head]
    for at, loan in enumerate(loans(ROWS).itertuples(), 1):
        record = loan.prior_record.upper() if at % 2 else loan.prior_record.title()
        income = None if pd.isna(loan.income) else loan.income * 10
        balance = None if pd.isna(loan.assets) else (loan.assets - 3000) / 10
        lines.append(
            f"AC{at:05d},{dollars(income)},{dollars(balance)},{loan.term} mo.,{loan.seniority},{record},"
            f"{'CHARGED OFF' if loan.bad else 'Paid'}"
        )
        if at % 100 == 0:
            lines.append('Subtotal,"$ 123,456.00","$ 9,999.00",,,,')
        if at % 300 == 0 and at < ROWS:
            lines.append(head)
    write(file, lines)


def report_book(file: Path, merged: Sequence[str] = ("A1:G1", "B3:C3", "C905:G905")) -> None:
    """A workbook with a title and a line of groups over the names, a total below; shares as numbers, truth values."""
    frame = loans(ROWS)
    rows: list[list[object]] = [["Portfolio report"], [], ["", "Applicant", "", "Loan", "", "", ""]]
    rows.append(["Case", "Income", "Years", "Share", "Note", "Record", "Default"])
    for at, loan in enumerate(frame.itertuples()):
        income = "" if pd.isna(loan.income) else float(loan.income * 10)
        share = round(loan.amount / loan.price, 4)
        rows.append(
            [
                f"K{at}",
                income,
                int(loan.seniority),
                share,
                "Renewal" if at % 2 else "",
                loan.prior_record,
                bool(loan.bad),
            ]
        )
    rows.append(["Total", "", "", "", "", "", ""])
    rows[-1][1] = float(frame["income"].sum() * 10)
    write_xlsx(file, {"Report": rows}, [*merged])

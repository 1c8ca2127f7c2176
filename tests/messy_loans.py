"""Loan files as people have them, made for tests from the committed consumer credits."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from workbooks import write_xlsx

from models.data.loans import consumer


def loans(rows: int = 1500) -> pd.DataFrame:
    """The committed consumer credits: ten answers, and `bad`, 1 or 0."""
    return consumer().head(rows).reset_index(drop=True)


def comma(value: Any, places: int = 2) -> str:
    """1.234,56; empty for missing."""
    return "" if pd.isna(value) else f"{float(value):,.{places}f}".translate(str.maketrans(",.", ".,"))


def german(file: Path, rows: int = 1500) -> None:
    """A report of a core banking system: titles, totals, cp1252, decimal comma, units, a code, a column twice."""
    lines = ["Kreditbestand der Musterbank", ""]
    lines.append(
        "Antragsnr.;Antragsdatum;Einkommen;Quote;Laufzeit;Beschäftigt seit;Rückstände;Alter;Familienstand;Vorstrafe;"
        "Ausfall;Alter"
    )
    rng = np.random.default_rng(3)
    for at, one in enumerate(loans(rows).itertuples()):
        late = 98 if at % 40 == 0 else rng.poisson(1.2 if one.bad else 0.5)
        years = "10+ Jahre" if one.seniority >= 10 else f"{one.seniority} Jahre"
        cells = [
            f"A-{10000 + at}", f"{1 + at % 28:02d}.{1 + at % 12:02d}.{2019 + at % 3}",
            "k.A." if pd.isna(one.income) else f"{comma(one.income * 10)} €",
            comma(one.amount / one.price, 3), f"{one.term} Monate", years, str(late), str(20 + at % 50),
            ("ledig", "verheiratet", "geschieden")[at % 3], "Ja" if one.prior_record == "yes" else "Nein",
            "Ja" if one.bad else "Nein", str(20 + at % 50),
        ]  # fmt: skip
        lines.append(";".join(cells))
    lines.append("Summe;;;;;;;;;;" + str(rows) + ";")
    file.write_bytes("\r\n".join(lines).encode("cp1252"))


def french(file: Path, rows: int = 1500) -> None:
    """An export with a BOM: narrow spaces, `N/C`, `5 et plus`, postcodes with a leading 0."""
    lines = ["N° dossier;Revenu;Durée;Code postal;Enfants;Taux d'endettement;Sexe;Impayé"]
    for at, one in enumerate(loans(rows).itertuples()):
        income = "N/C" if one.income is pd.NA else f"{one.income * 10:,}".replace(",", "\u202f") + ",00"
        children = "5 et plus" if at % 6 == 5 else str(at % 6)
        cells = [
            str(700000 + at), income, f"{one.term} mois", f"{1000 + (at * 7919) % 95000:05d}", children,
            comma(one.expenses / 200, 3), "HF"[at % 2], "Oui" if one.bad else "Non",
        ]  # fmt: skip
        lines.append(";".join(cells))
    file.write_text("\n".join(lines) + "\n", "utf-8-sig")


def utf16(file: Path, rows: int = 1500) -> None:
    """What Excel calls Unicode text."""
    file.write_text(loans(rows).to_csv(sep="\t", index=False), "utf-16")


def workbook(file: Path, rows: int = 1500) -> None:
    """A workbook with notes before the loans and a title above them."""
    frame = loans(rows).astype(object).where(lambda one: one.notna(), "")
    body: list[list[object]] = [
        [one if isinstance(one, str) else float(one) for one in row] for row in frame.to_numpy().tolist()
    ]
    write_xlsx(file, {"Notes": [["made for a test"]], "Loans": [["Portfolio"], list(frame.columns), *body]})


def parquet(file: Path, rows: int = 1500) -> None:
    """Typed columns."""
    pa.parquet.write_table(pa.Table.from_pandas(loans(rows), preserve_index=False), file)


def statuses(file: Path, rows: int = 1500) -> None:
    """An outcome in words, some of it not yet known."""
    frame = loans(rows)
    words = frame["bad"].map({1: "Charged Off", 0: "Fully Paid"})
    words[::10] = "Current"
    frame.drop(columns="bad").assign(loan_status=words).to_csv(file, index=False)


def planted(file: Path, rows: int = 1500, *, alone: bool) -> None:
    """A leak that tells alone, or one that only tells beside the amount lent: the sum repaid."""
    frame, rng = loans(rows), np.random.default_rng(7)
    share = np.where(frame["bad"] == 1, rng.uniform(0.05, 0.9, rows), 1.0)
    frame["collected"] = rng.normal(frame["bad"] * 5, 1) if alone else np.round(frame["amount"] * share)
    frame.to_csv(file, index=False)

"""Small-business loans guaranteed by the US Small Business Administration (see models/data/SBA.md)."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from models.data import loans
from models.recipe import Loans, Recipe, choice_field, number_field, raw_answers

DOLLARS = {"en": "$", "fr": "$"}
PER_CENT = {"en": "%", "fr": "%"}
PEOPLE = {"en": "people", "fr": "personnes"}
JOBS = {"en": "jobs", "fr": "emplois"}
YES_NO = {"no": ("No", "Non"), "yes": ("Yes", "Oui")}
STATES = {
    "AL": ("Alabama", "Alabama"), "AK": ("Alaska", "Alaska"), "AZ": ("Arizona", "Arizona"),
    "AR": ("Arkansas", "Arkansas"), "CA": ("California", "Californie"), "CO": ("Colorado", "Colorado"),
    "CT": ("Connecticut", "Connecticut"), "DE": ("Delaware", "Delaware"),
    "DC": ("District of Columbia", "District de Columbia"), "FL": ("Florida", "Floride"),
    "GA": ("Georgia", "Géorgie"), "HI": ("Hawaii", "Hawaï"), "ID": ("Idaho", "Idaho"),
    "IL": ("Illinois", "Illinois"), "IN": ("Indiana", "Indiana"), "IA": ("Iowa", "Iowa"),
    "KS": ("Kansas", "Kansas"), "KY": ("Kentucky", "Kentucky"), "LA": ("Louisiana", "Louisiane"),
    "ME": ("Maine", "Maine"), "MD": ("Maryland", "Maryland"), "MA": ("Massachusetts", "Massachusetts"),
    "MI": ("Michigan", "Michigan"), "MN": ("Minnesota", "Minnesota"), "MS": ("Mississippi", "Mississippi"),
    "MO": ("Missouri", "Missouri"), "MT": ("Montana", "Montana"), "NE": ("Nebraska", "Nebraska"),
    "NV": ("Nevada", "Nevada"), "NH": ("New Hampshire", "New Hampshire"), "NJ": ("New Jersey", "New Jersey"),
    "NM": ("New Mexico", "Nouveau-Mexique"), "NY": ("New York", "New York"),
    "NC": ("North Carolina", "Caroline du Nord"), "ND": ("North Dakota", "Dakota du Nord"), "OH": ("Ohio", "Ohio"),
    "OK": ("Oklahoma", "Oklahoma"), "OR": ("Oregon", "Oregon"), "PA": ("Pennsylvania", "Pennsylvanie"),
    "RI": ("Rhode Island", "Rhode Island"), "SC": ("South Carolina", "Caroline du Sud"),
    "SD": ("South Dakota", "Dakota du Sud"), "TN": ("Tennessee", "Tennessee"), "TX": ("Texas", "Texas"),
    "UT": ("Utah", "Utah"), "VT": ("Vermont", "Vermont"), "VA": ("Virginia", "Virginie"),
    "WA": ("Washington", "Washington"), "WV": ("West Virginia", "Virginie-Occidentale"),
    "WI": ("Wisconsin", "Wisconsin"), "WY": ("Wyoming", "Wyoming"),
}  # fmt: skip


def industries() -> dict[str, tuple[str, str]]:
    """NAICS 2007, sectors to six digits, with English and French titles."""
    with (Path(loans.__file__).parent / "naics.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: (row["title_en"], row["title_fr"]) for row in csv.DictReader(file)}


FIELDS: list[dict[str, Any]] = [
    number_field(
        "amount", "loan", "Amount", "Montant", DOLLARS, minimum=1_000, maximum=5_000_000, actionable="down",
        example=150_000, help={"en": "Gross amount of the loan", "fr": "Montant brut du prêt"},
    ),
    # Set by the programme (50 % Express, 75 and 85 % standard), so no reason for a notice and nothing to act on.
    number_field(
        "guaranteed_share", "loan", "Guaranteed share", "Quotité garantie", PER_CENT, minimum=1, maximum=99.8,
        notice=False, example=75, help={"en": "Share that the SBA guarantees", "fr": "Part garantie par la SBA"},
    ),
    number_field(
        "employees", "business", "Employees", "Effectif", PEOPLE, minimum=0, maximum=10_000, whole=True, example=6,
        help={"en": "Employees before the loan; 0 for the owner alone", "fr": "Avant le prêt ; 0 pour le gérant seul"},
    ),
    choice_field(
        "new_business", "business", "New business", "Entreprise nouvelle", YES_NO, example="no",
        help={"en": "Two years old or less", "fr": "Deux ans d’existence au plus"},
    ),
    # How jobs were recorded changed over the years: artefacts, no reasons for a notice.
    number_field(
        "jobs_created", "jobs", "Jobs created", "Emplois créés", JOBS, minimum=0, maximum=10_000, whole=True,
        optional=True, notice=False, example=2,
        help={"en": "Jobs the loan will create", "fr": "Emplois que le prêt créera"},
    ),
    number_field(
        "jobs_retained", "jobs", "Jobs retained", "Emplois maintenus", JOBS, minimum=0, maximum=10_000, whole=True,
        optional=True, notice=False, example=6,
        help={"en": "Jobs the loan will keep", "fr": "Emplois que le prêt maintiendra"},
    ),
    choice_field(
        "franchise", "business", "Franchise", "Franchise", YES_NO, example="no",
        help={"en": "Runs under a franchise", "fr": "Exploitée sous franchise"},
    ),
    choice_field(
        "revolving", "loan", "Revolving line", "Crédit renouvelable",
        YES_NO | {"not_stated": ("Not stated", "Non précisé")}, actionable="either", example="no",
        help={"en": "A revolving line of credit", "fr": "Ligne de crédit renouvelable"},
    ),
    choice_field(
        "naics", "business", "Industry", "Secteur d’activité", industries(), digits=6, example="722110",
        help={"en": "NAICS 2007, six digits", "fr": "SCIAN/NAICS 2007, six chiffres"},
    ),
    choice_field(
        "state", "business", "State", "État", STATES, example="CA",
        help={"en": "Where the business is", "fr": "Où l’entreprise est établie"},
    ),
]  # fmt: skip


def month(yyyymm: int) -> int:
    """YYYYMM -> months since year 0."""
    return yyyymm // 100 * 12 + yyyymm % 100 - 1


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

"""Small-business loans guaranteed by the US Small Business Administration (see models/data/SBA.md)."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.rows import Table
from models.data import loans
from models.history import Events, Level, table
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


def month(yyyymm: Any) -> Any:
    """YYYYMM -> months since year 0; a number or a column of them."""
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


INDEX = ["index12", "index24", "index36", "index", "index_young"]
TRAITS = ["amount", "employees", "new", "franchise", "revolving", "revolving_unknown", "express", "jobs_unknown"]
MEANS = [f"{trait}{length}" for trait in TRAITS for length in (12, 36)]
SIZES = [1, 2, 3, 5, 10, 20, 50]  # employees
AMOUNTS = [10_001, 25_001, 35_001, 50_001, 75_001, 100_001, 150_001, 250_001, 350_001, 500_001, 1_000_001]
SECTOR_STATE = [f"{state}|{sector}" for state in STATES for sector in industries() if len(sector) == 2]


class SbaHistory:
    """What was known of guaranteed loans at the end of any month from 2000 on."""

    def __init__(self) -> None:
        frame = loans.sba()
        frame = frame[frame["approved"] >= 199001]  # older ones hardly bear on the windows below
        first = month(199001)
        until = month(200801)
        approved = month(frame["approved"]).to_numpy(np.int64) - first
        bad = month(frame["charged_off_month"].fillna(1)).to_numpy(np.int64) - first
        stated = frame["new_business"].notna().to_numpy()

        def share(column: str, answer: str) -> npt.NDArray[np.float64]:
            return np.where(stated, frame[column].eq(answer), np.nan).astype(np.float64)

        events = Events(
            first,
            until - first,
            approved,
            np.where((bad >= approved) & (bad < until - first), bad, -1),
            {
                "amount": frame["amount"].to_numpy(np.float64),
                "employees": np.minimum(frame["employees"], 500).to_numpy(np.float64),
                "new": share("new_business", "yes"),
                "franchise": share("franchise", "yes"),
                "revolving": share("revolving", "yes"),
                "revolving_unknown": share("revolving", "not_stated"),
                "express": np.where(stated, frame["guaranteed_share"] <= 50, np.nan).astype(np.float64),
                "jobs_unknown": np.where(stated, frame["jobs_created"].isna(), np.nan).astype(np.float64),
            },
        )
        self._first = first
        codes = list(industries())
        naics = frame["naics"].fillna("").to_numpy(object)
        everything = Level.of(events, "all", np.zeros(len(frame), np.int64))
        self._industry: list[tuple[Level, npt.NDArray[np.int64]]] = []
        parent, parent_groups = everything, {"": 0}
        for digits in (2, 4, 6):
            groups = list(dict.fromkeys(code[:digits] for code in codes))
            at = {group: i for i, group in enumerate(groups)}
            above = [parent_groups.get(group[: max(digits - 2, 0)] if digits > 2 else "", 0) for group in groups]
            of_loan = np.array([at.get(code[:digits], -1) if code else -1 for code in naics], np.int64)
            parent = Level.of(events, f"naics{digits}", of_loan, parent, above)
            parent_groups = at
            self._industry.append((parent, np.array([at[code[:digits]] for code in codes], np.int64)))
        self._codes = codes

        def flat(name: str, group: npt.NDArray[np.int64], groups: int) -> Level:
            return Level.of(events, name, group, everything, [0] * groups)

        state_at = {state: i for i, state in enumerate(STATES)}
        of_state = frame["state"].map(state_at).to_numpy(np.int64)
        self._state = flat("state", of_state, len(STATES))
        self._size = flat("size", np.searchsorted(SIZES, frame["employees"], side="right"), len(SIZES) + 1)
        self._amount = flat("amount", np.searchsorted(AMOUNTS, frame["amount"], side="right"), len(AMOUNTS) + 1)
        pair_at = {pair: i for i, pair in enumerate(SECTOR_STATE)}
        pairs = (frame["state"] + "|" + frame["naics"].str[:2]).map(pair_at).fillna(-1).to_numpy(np.int64)
        sectors = self._industry[0][0]
        sector_at = {group: i for i, group in enumerate(dict.fromkeys(code[:2] for code in codes))}
        self._pair = Level.of(
            events, "state_sector", pairs, sectors, [sector_at[pair.partition("|")[2]] for pair in SECTOR_STATE]
        )

    def tables(self, month: int) -> dict[str, Table]:
        """The tables that an application of that month is scored with."""
        at = month - self._first

        def whole(keys: Sequence[str], level: Level, names: Sequence[str]) -> Table:
            return table(keys, [(level, np.arange(len(keys)), names)], at)

        return {
            "industry": table(self._codes, [(level, of, INDUSTRY) for level, of in self._industry], at),
            "state": whole(list(STATES), self._state, INDUSTRY),
            "size": whole([str(i) for i in range(len(SIZES) + 1)], self._size, INDEX),
            "amount": whole([str(i) for i in range(len(AMOUNTS) + 1)], self._amount, INDEX),
            "state_sector": whole(SECTOR_STATE, self._pair, INDEX),
        }


INDUSTRY = [*INDEX, "growth", *MEANS]
FEATURES: list[dict[str, Any]] = [
    {"kind": "numbers", "of": ["amount", "guaranteed_share", "employees", "jobs_created", "jobs_retained"]},
    {"kind": "not_stated", "of": ["jobs_created"]},
    {"kind": "one_hot", "of": "new_business"},
    {"kind": "one_hot", "of": "franchise"},
    {"kind": "one_hot", "of": "revolving"},
    {"kind": "one_hot", "of": "naics", "prefix": 2},
    {"kind": "one_hot", "of": "state"},
    {
        "kind": "history",
        "table": "industry",
        "key": [{"of": "naics"}],
        "columns": [f"naics{digits}.{name}" for digits in (2, 4, 6) for name in INDUSTRY],
    },
    {
        "kind": "history",
        "table": "state",
        "key": [{"of": "state"}],
        "columns": [f"state.{name}" for name in INDUSTRY],
    },
    {
        "kind": "history",
        "table": "size",
        "key": [{"of": "employees", "edges": SIZES}],
        "columns": [f"size.{name}" for name in INDEX],
    },
    {
        "kind": "history",
        "table": "amount",
        "key": [{"of": "amount", "edges": AMOUNTS}],
        "columns": [f"amount_band.{name}" for name in INDEX],
    },
    {
        "kind": "history",
        "table": "state_sector",
        "key": [{"of": "state"}, {"of": "naics", "prefix": 2}],
        "columns": [f"state_sector.{name}" for name in INDEX],
    },
    {
        "kind": "arithmetic",
        "columns": [
            ["amount_per_employee", "amount", "/", "employees"],
            ["amount_to_industry", "amount", "/", "naics4.amount12"],
            ["amount_to_industry6", "amount", "/", "naics6.amount12"],
            ["amount_to_state", "amount", "/", "state.amount12"],
            ["employees_to_industry", "employees", "/", "naics4.employees12"],
            ["guaranteed_amount", "amount", "*", "guaranteed_share"],
            ["jobs", "jobs_created", "+", "jobs_retained"],
            ["amount_per_job", "amount", "/", "jobs"],
            ["jobs_created_per_employee", "jobs_created", "/", "employees"],
            ["jobs_retained_per_employee", "jobs_retained", "/", "employees"],
        ],
    },
]

RECIPE = Recipe(
    name="sba",
    title={"en": "Small-business loan", "fr": "Prêt à une petite entreprise"},
    notice={
        "en": "Demonstration: US small-business loans with a public guarantee, approved 2001–2005, with the outcome "
        "known in 2014; resolved loans only, none of a declined applicant. The PD is the modelled charge-off rate "
        "among resolved loans. Not for live decisions.",
        "fr": "Démonstration : prêts américains à de petites entreprises avec garantie publique, accordés de 2001 à "
        "2005, dont l’issue était connue en 2014 ; prêts dénoués seulement, sans aucun dossier refusé. Le taux de "
        "défaut est celui que le modèle prévoit parmi les prêts dénoués. Ne convient pas à des décisions réelles.",
    },
    date="2026-11-22",
    data_card="SBA.md",
    limits=[
        "Only loans that were granted and guaranteed are in the data: it says nothing of applicants who were declined.",
        "Only resolved loans are in the file: paid loans of long terms are missing, more so in later years, so the "
        "charge-off rates are higher than those of all loans granted.",
        "Outcomes are those known in 2014. Of the charge-offs of 2001–2005 approvals only 6.8 % had happened when the "
        "release is dated; nobody could have trained this model then (see the real-time rows).",
        "The years after are the crisis of 2007–2010: the level of the PD was too low for them, the order held.",
        "Guaranteed share is set by programme and job counts depend on how they were recorded: the model uses them, "
        "but they are no reasons for a notice.",
        "Margin and loss given default are assumptions for demonstration; a lender must set its own.",
        "No protected attribute is in the data, so its effect on protected groups cannot be measured here.",
    ],
    groups=[
        {"name": "loan", "label": {"en": "Loan", "fr": "Prêt"}},
        {"name": "business", "label": {"en": "Business", "fr": "Entreprise"}},
        {"name": "jobs", "label": {"en": "Jobs", "fr": "Emploi"}},
    ],
    fields=FIELDS,
    features=FEATURES,
    # A group whose past loans went bad more often than others of their age never makes a loan look better.
    monotone={
        f"{table}.{name}": +1
        for table in ("naics2", "naics4", "naics6", "state", "size", "amount_band", "state_sector")
        for name in INDEX
    },
    parameters={
        "n_estimators": 250,
        "max_depth": 5,
        "learning_rate": 0.08,
        "min_child_weight": 30,
        "subsample": 0.8,
        "colsample_bytree": 0.4,
        "max_bin": 256,
    },
    policy={"margin": 0.05, "lgd": 0.62, "guarantee": "guaranteed_share", "refer_band": 0.25},
    points={"anchor": 600.0, "odds": 3.0, "double": 20.0},
    load=load,
    history=SbaHistory,
    window=(month(200101), month(200501), month(200601)),
    later={"2006": (month(200601), month(200701)), "2007": (month(200701), month(200801))},
)

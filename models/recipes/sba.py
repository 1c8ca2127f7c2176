"""Small-business loans guaranteed by the US Small Business Administration (see models/data/SBA.md)."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

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


INDEX = ["index12", "index36", "index", "index_young"]
TRAITS = {  # of a group's approvals of the last twelve months
    "amount": "mean amount",
    "employees": "mean number of employees, 500 at most",
    "new": "share of new businesses",
    "franchise": "share of franchises",
    "revolving": "share of revolving lines",
    "express": "share guaranteed up to 50 %",
    "small": "share up to $50,000",
    "jobs_unknown": "share whose jobs are not stated",
    "jobs_created": "mean number of jobs created, 100 at most",
}
MEANS = [f"{trait}12" for trait in TRAITS]
SIZES = [1, 2, 3, 5, 10, 20, 50]  # employees
# Lenders like round sums: a band begins just above one, and the sums that mark a programme stand alone.
AMOUNTS = [
    5_001, 10_001, 15_001, 20_001, 25_001, 30_001, 35_001, 50_000, 50_001, 75_001, 100_000, 100_001, 150_000, 150_001,
    200_001, 250_001, 350_001, 500_001, 750_001, 1_000_001, 1_500_001,
]  # fmt: skip
SIZE_BANDS = [str(band) for band in range(len(SIZES) + 1)]
AMOUNT_BANDS = [str(band) for band in range(len(AMOUNTS) + 1)]
FIRST = month(199001)  # older approvals hardly bear on the windows


class SbaHistory:
    """What was known of guaranteed loans at the end of any month from 2000 to 2007."""

    def __init__(self, frame: pd.DataFrame | None = None) -> None:
        """Of the committed loans, or of a frame with the same columns."""
        frame = loans.sba() if frame is None else frame
        frame = frame[month(frame["approved"]) >= FIRST]
        codes = list(industries())
        naics = frame["naics"].fillna("")
        keys = {
            "state": frame["state"],
            "size": pd.Series(np.searchsorted(SIZES, frame["employees"], "right").astype(str), frame.index),
            "amount": pd.Series(np.searchsorted(AMOUNTS, frame["amount"], "right").astype(str), frame.index),
            **{f"naics{digits}": naics.str[:digits] for digits in (2, 3, 4, 6)},
        }
        listed = {
            "state": list(STATES),
            "size": SIZE_BANDS,
            "amount": AMOUNT_BANDS,
            # Shorter codes stand in every level too: without loans of their own they take their parent's figures.
            **{f"naics{digits}": list(dict.fromkeys(code[:digits] for code in codes)) for digits in (2, 3, 4, 6)},
        }
        for first, second in (("state", "naics2"), ("amount", "naics2"), ("state", "amount")):
            keys[f"{first}|{second}"] = keys[first].str.cat(keys[second], sep="|")
            listed[f"{first}|{second}"] = [f"{one}|{two}" for one in listed[first] for two in listed[second]]
        self._events = self._past(frame)
        self._keys, self._listed = keys, listed
        self._at = {name: {key: i for i, key in enumerate(these)} for name, these in listed.items()}
        everything = Level.of(self._events, "all", np.zeros(len(frame), np.int64))
        self._levels: dict[str, Level] = {}
        for name, parent, part in (
            ("naics2", "", 0), ("naics3", "naics2", 2), ("naics4", "naics3", 3), ("naics6", "naics4", 4),
            ("state", "", 0), ("size", "", 0), ("amount", "", 0),
        ):  # fmt: skip
            above = [self._at[parent][key[:part]] for key in listed[name]] if parent else [0] * len(listed[name])
            self._levels[name] = self._level(name, self._levels.get(parent, everything), above)
        for name, parent, part in (
            ("state|naics2", "naics2", 1),
            ("amount|naics2", "naics2", 1),
            ("state|amount", "amount", 1),
        ):
            above = [self._at[parent][key.split("|")[part]] for key in listed[name]]
            self._levels[name] = self._level(name, self._levels[parent], above)

    def _level(self, name: str, parent: Level, above: list[int]) -> Level:
        group = self._keys[name].map(self._at[name]).fillna(-1).to_numpy(np.int64)
        return Level.of(self._events, name, group, parent, above)

    @staticmethod
    def _past(frame: pd.DataFrame) -> Events:
        """The loans as events. Traits of loans before 2001 are not in the data: they count as not stated."""
        months = month(loans.STUDY_LAST) + 1 - FIRST
        approved = month(frame["approved"]).to_numpy(np.int64) - FIRST
        bad = month(frame["charged_off_month"].fillna(1)).to_numpy(np.int64) - FIRST
        study = frame["new_business"].notna().to_numpy()

        def share(where: pd.Series) -> npt.NDArray[np.float64]:
            return np.where(study, where, np.nan).astype(np.float64)

        jobs = np.minimum(frame["jobs_created"].fillna(0), 100)
        return Events(
            FIRST,
            months,
            approved,
            np.where((bad >= approved) & (bad < months), bad, -1),
            {
                "amount": frame["amount"].to_numpy(np.float64),
                "employees": np.minimum(frame["employees"], 500).to_numpy(np.float64),
                "new": share(frame["new_business"].eq("yes")),
                "franchise": share(frame["franchise"].eq("yes")),
                "revolving": share(frame["revolving"].eq("yes")),
                "express": share(frame["guaranteed_share"].le(50)),
                "small": frame["amount"].le(50_000).to_numpy(np.float64),
                "jobs_unknown": share(frame["jobs_created"].isna()),
                "jobs_created": share(jobs),
            },
        )

    def tables(self, month: int) -> dict[str, Table]:
        """The tables that an application of that month is scored with."""
        codes = self._listed["naics6"]
        found = {
            "industry": table(codes, [self._part(level, codes, names) for level, names in INDUSTRY], month - FIRST)
        }
        for name, names in OTHERS.items():
            keys = self._listed[name]
            found[name] = table(keys, [self._part(name, keys, names)], month - FIRST)
        return found

    def _part(
        self, name: str, keys: Sequence[str], names: Sequence[str]
    ) -> tuple[Level, npt.NDArray[np.int64], Sequence[str]]:
        at = self._at[name]
        cut = int(name[5:]) if name.startswith("naics") else None
        return self._levels[name], np.array([at[key[:cut]] for key in keys], np.int64), names


INDUSTRY = [("naics2", INDEX + MEANS), ("naics3", INDEX), ("naics4", INDEX + MEANS), ("naics6", INDEX + MEANS)]
OTHERS = {
    "state": INDEX + MEANS,
    "size": INDEX + MEANS,
    "amount": INDEX + MEANS,
    "state|naics2": INDEX + MEANS,
    "amount|naics2": INDEX,
    "state|amount": INDEX,
}
KEYS: dict[str, dict[str, Any]] = {
    "state": {"of": "state"},
    "size": {"of": "employees", "edges": SIZES},
    "amount": {"of": "amount", "edges": AMOUNTS},
    "naics2": {"of": "naics", "prefix": 2},
}
FEATURES: list[dict[str, Any]] = [
    {"kind": "numbers", "of": ["amount", "guaranteed_share", "employees", "jobs_created", "jobs_retained"]},
    {"kind": "not_stated", "of": ["jobs_created"]},  # both counts or none
    {"kind": "one_hot", "of": "new_business"},
    {"kind": "one_hot", "of": "franchise"},
    {"kind": "one_hot", "of": "revolving"},
    {"kind": "code", "of": "naics"},
    {"kind": "one_hot", "of": "naics", "prefix": 2},
    {"kind": "one_hot", "of": "state"},
    {
        "kind": "history",
        "table": "industry",
        "key": [{"of": "naics"}],
        "columns": [f"{level}.{name}" for level, names in INDUSTRY for name in names],
    },
    *[
        {
            "kind": "history",
            "table": table,
            "key": [KEYS[part] for part in table.split("|")],
            "columns": [f"{table}.{name}" for name in names],
        }
        for table, names in OTHERS.items()
    ],
    {
        "kind": "arithmetic",
        "columns": [
            ["amount_per_employee", "amount", "/", "employees"],
            ["amount_to_industry", "amount", "/", "naics6.amount12"],
            ["amount_to_group", "amount", "/", "naics4.amount12"],
            ["amount_to_state", "amount", "/", "state.amount12"],
            ["amount_to_size", "amount", "/", "size.amount12"],
            ["employees_to_group", "employees", "/", "naics4.employees12"],
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
    monotone={f"{level}.{name}": +1 for level in [*OTHERS, *dict(INDUSTRY)] for name in INDEX},
    half_life=8.4,
    parameters={
        "n_estimators": 250,
        "max_depth": 6,
        "learning_rate": 0.05,
        "min_child_weight": 30,
        "subsample": 0.8,
        "colsample_bytree": 0.3,
        "max_bin": 128,
    },
    # Assumptions: a good loan earns a tenth of its amount over its life; the loss is what SBA.md finds on 2001-05.
    policy={"margin": 0.1, "lgd": 0.62, "guarantee": "guaranteed_share", "refer_band": 0.25},
    points={"anchor": 600.0, "odds": 3.0, "double": 20.0},
    load=load,
    history=SbaHistory,
    window=(month(200101), month(200501), month(200601)),
    later={"2006": (month(200601), month(200701)), "2007": (month(200701), month(200801))},
)

"""Small-business loans guaranteed by the US Small Business Administration (see models/data/SBA.md)."""

from functools import partial
from typing import Any

import numpy as np

from inference.blocks import features_from_json
from models.data import loans
from models.recipe import Loans, Recipe, choice_field, number_field, raw_answers
from models.recipes.sba_history import INDEX, TABLES, SbaHistory, industries, key, month
from models.recipes.sba_reasons import REASONS

DOLLARS = {"en": "$", "fr": "$"}
PER_CENT = {"en": "%", "fr": "%"}
PEOPLE, PERSON = {"en": "people", "fr": "personnes"}, {"en": "person", "fr": "personne"}
JOBS, JOB = {"en": "jobs", "fr": "emplois"}, {"en": "job", "fr": "emploi"}
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


FIELDS: list[dict[str, Any]] = [
    # In these loans larger ones went bad less often, and what the model makes of the amount beside employees, jobs and
    # similar loans goes up and down. A larger loan is not safer because it is larger: no other amount is proposed.
    number_field(
        "amount", "loan", "Amount", "Montant", DOLLARS, minimum=1_000, maximum=5_000_000, example=150_000,
        help={"en": "Gross amount of the loan", "fr": "Montant brut du prêt"},
    ),
    # Set by the programme (50 % Express, 75 and 85 % standard): nothing to act on.
    number_field(
        "guaranteed_share", "loan", "Guaranteed share", "Quotité garantie", PER_CENT, minimum=1, maximum=99.8,
        example=75, help={"en": "Share that the SBA guarantees", "fr": "Part garantie par la SBA"},
    ),
    number_field(
        "employees", "business", "Employees", "Effectif", PEOPLE, minimum=0, maximum=10_000, whole=True, example=6,
        unit_one=PERSON,
        help={"en": "Employees before the loan; 0 for the owner alone", "fr": "Avant le prêt ; 0 pour le gérant seul"},
    ),
    choice_field(
        "new_business", "business", "New business", "Entreprise nouvelle", YES_NO, example="no",
        help={"en": "Two years old or less", "fr": "Deux ans d’existence au plus"},
    ),
    # How jobs were recorded changed over the years, and part of what the model finds in them is an artefact.
    number_field(
        "jobs_created", "jobs", "Jobs created", "Emplois créés", JOBS, minimum=0, maximum=10_000, whole=True,
        optional=True, example=2,
        unit_one=JOB,
        help={"en": "Jobs the loan will create", "fr": "Emplois que le prêt créera"},
    ),
    number_field(
        "jobs_retained", "jobs", "Jobs retained", "Emplois maintenus", JOBS, minimum=0, maximum=10_000, whole=True,
        optional=True, example=6,
        unit_one=JOB,
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
    date="2026-11-25",
    data_card="SBA.md",
    limits=[
        "Only loans that were granted and guaranteed are in the data: it says nothing of applicants who were declined.",
        "Only resolved loans are in the file: paid loans of long terms are missing, more so in later years, so the "
        "charge-off rates are higher than those of all loans granted.",
        "Outcomes are those known in 2014. Of the charge-offs of 2001–2005 approvals only 6.8 % had happened when the "
        "release is dated; nobody could have trained this model then (see the real-time rows).",
        "The years after are the crisis of 2007–2010: the level of the PD was too low for them, the order held.",
        "In these loans larger ones went bad less often, and the model has learned that: a larger amount often lowers "
        "the PD. A larger loan is not safer because it is larger; these are amounts that a lender chose to grant. So "
        "no other amount is proposed as a way to approval.",
        "Guaranteed share is set by programme, job counts depend on how they were recorded, and no business moves to "
        "another state for a loan: poor reasons to give an applicant. The model uses these fields, so a notice names "
        "them where they count; the section Principal reasons says how often. A lender would leave them out; the data "
        "card says what that costs.",
        "Margin and loss given default are assumptions for demonstration; a lender must set its own.",
        "No protected attribute is in the data, so its effect on protected groups cannot be measured here.",
    ],
    groups=[
        {"name": "loan", "label": {"en": "Loan", "fr": "Prêt"}},
        {"name": "business", "label": {"en": "Business", "fr": "Entreprise"}},
        {"name": "jobs", "label": {"en": "Jobs", "fr": "Emploi"}},
    ],
    fields=[{**spec, "reasons": REASONS[spec["name"]]} for spec in FIELDS],
    features=FEATURES,
    # A group whose past loans went bad more often than others of their age never makes a loan look better. The amount
    # has no sign: larger loans went bad less often, which no analyst would sign for, and what one would sign (more is
    # never better) costs more AUC than all else that was tried (SBA.md).
    monotone={f"{level}.{name}": +1 for levels in TABLES.values() for level in levels for name in INDEX},
    # Loans crowd at round sums, at the shares that programmes guarantee (50, 75, 85 %) and at few employees.
    blur={
        "amount": (0.1, 0),
        "guaranteed_share": (0, 2),
        "employees": (0.2, 1),
        "jobs_created": (0.2, 1),
        "jobs_retained": (0.2, 1),
    },
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
    policy={"margin": 0.1, "lgd": 0.62, "amount": "amount", "guarantee": "guaranteed_share", "refer_band": 0.25},
    points={"anchor": 600.0, "odds": 3.0, "double": 20.0},
    load=load,
    history=partial(SbaHistory, list(STATES), TABLES),
    window=(month(200101), month(200501), month(200601)),
    later={"2006": (month(200601), month(200701)), "2007": (month(200701), month(200801))},
)

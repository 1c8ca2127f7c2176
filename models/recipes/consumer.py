"""Consumer credits: 4,454 granted credits and their outcome (see models/data/CONSUMER.md)."""

import numpy as np

from inference.blocks import features_from_json
from models.data import loans
from models.recipe import Loans, Recipe, choice_field, number_field, raw_answers
from models.recipes.consumer_reasons import REASONS

MONEY = {"en": "money units", "fr": "unités monétaires"}
MONTHLY = {"en": "money units a month", "fr": "unités monétaires par mois"}
ONE_MONEY = {"en": "money unit", "fr": "unité monétaire"}
ONE_MONTHLY = {"en": "money unit a month", "fr": "unité monétaire par mois"}


FIELDS = [
    number_field(
        "amount", "loan", "Amount", "Montant", MONEY, minimum=10, maximum=50_000, actionable="down", example=1000,
        unit_one=ONE_MONEY,
        help={"en": "Amount of the credit", "fr": "Montant du crédit"},
    ),
    number_field(
        "price", "loan", "Purchase price", "Prix d’achat", MONEY, minimum=10, maximum=100_000, example=1400,
        unit_one=ONE_MONEY,
        help={"en": "What the financed goods cost", "fr": "Prix du bien financé"},
    ),
    number_field(
        "term", "loan", "Term", "Durée", {"en": "months", "fr": "mois"}, minimum=1, maximum=120, whole=True,
        actionable="either", example=48,
        unit_one={"en": "month", "fr": "mois"},
        help={"en": "Months until the last instalment", "fr": "Nombre de mois jusqu’à la dernière échéance"},
    ),
    number_field(
        "income", "money", "Income", "Revenus", MONTHLY, minimum=1, maximum=10_000, optional=True, example=125,
        unit_one=ONE_MONTHLY,
        help={"en": "Net income a month", "fr": "Revenus nets mensuels"},
    ),
    number_field(
        "expenses", "money", "Expenses", "Charges", MONTHLY, minimum=0, maximum=5_000, example=51,
        unit_one=ONE_MONTHLY,
        help={"en": "Fixed expenses a month", "fr": "Charges fixes mensuelles"},
    ),
    number_field(
        "assets", "money", "Assets", "Patrimoine", MONEY, minimum=0, maximum=1_000_000, optional=True, example=0,
        unit_one=ONE_MONEY,
        help={"en": "What the applicant owns", "fr": "Biens possédés par l’emprunteur"},
    ),
    number_field(
        "seniority", "person", "Years in the job", "Ancienneté dans l’emploi", {"en": "years", "fr": "ans"},
        minimum=0, maximum=60, whole=True, example=5,
        unit_one={"en": "year", "fr": "an"},
        help={"en": "Completed years in the present job", "fr": "Années révolues dans l’emploi actuel"},
    ),
    choice_field(
        "job", "person", "Employment", "Emploi",
        {
            "fixed": ("Permanent", "CDI"),
            "part_time": ("Part-time", "Temps partiel"),
            "freelance": ("Freelance", "Indépendant"),
            "other": ("Other", "Autre"),
        },
        example="fixed", help={"en": "Kind of employment", "fr": "Nature de l’emploi"},
    ),
    choice_field(
        "home", "person", "Home", "Logement",
        {
            "owner": ("Owner", "Propriétaire"),
            "rent": ("Rent", "Locataire"),
            "parents": ("With parents", "Chez ses parents"),
            "private": ("Private arrangement", "Contrat privé"),
            "other": ("Other", "Autre"),
            "not_stated": ("Not stated", "Non précisé"),
        },
        example="rent", help={"en": "How the applicant lives", "fr": "Situation de logement"},
    ),
    choice_field(
        "prior_record", "person", "Past payment problems", "Incidents de paiement antérieurs",
        {"no": ("No", "Non"), "yes": ("Yes", "Oui")},
        example="no",
        help={"en": "A bad payment record before this credit", "fr": "Incident de paiement avant ce crédit"},
    ),
]  # fmt: skip

FEATURES = features_from_json(
    [
        {"kind": "numbers", "of": ["amount", "price", "term", "income", "expenses", "assets", "seniority"]},
        {"kind": "not_stated", "of": ["income", "assets"]},
        {
            "kind": "arithmetic",
            "columns": [
                ["instalment", "amount", "/", "term"],
                ["burden", "instalment", "/", "income"],
                ["surplus", "income", "-", "expenses"],
                ["repayment_capacity", "surplus", "-", "instalment"],
                ["share_financed", "amount", "/", "price"],
                ["asset_cover", "assets", "/", "amount"],
            ],
        },
        {"kind": "one_hot", "of": "job"},
        {"kind": "one_hot", "of": "home"},
        {"kind": "one_hot", "of": "prior_record"},
    ]
)


def load() -> Loans:
    """The committed loans, as the form would have given them."""
    frame = loans.consumer()
    answers = raw_answers(frame, [spec["name"] for spec in FIELDS])
    undated = np.zeros(len(frame), np.int32)
    return Loans(answers, frame["bad"].to_numpy(np.int8), undated, undated)


RECIPE = Recipe(
    name="consumer",
    title={"en": "Consumer credit", "fr": "Crédit à la consommation"},
    notice={
        "en": "Demonstration: 4,452 historical consumer credits of one lender, undated, none of a declined "
        "applicant; money in the source’s unit, believed to be thousands of pesetas. Not for live decisions.",
        "fr": "Démonstration : 4 452 crédits à la consommation anciens d’un seul prêteur, non datés, sans aucun "
        "dossier refusé ; montants dans l’unité de la source, sans doute des milliers de pesetas. Ne convient "
        "pas à des décisions réelles.",
    },
    data_card="CONSUMER.md",
    limits=[
        "Only granted credits are in the data: nobody knows how the refused would have done. For applicants unlike "
        "those one lender once granted, the PD extrapolates.",
        "One lender, one country, one product mix, and no dates (peseta and source point to Spain before 2002). "
        "No split by time is possible, so nothing here shows how the model ages, and a downturn may be absent.",
        "The share of bad credits is far above ordinary consumer lending: a high-risk lender, or a sample enriched "
        "with bad ones. Elsewhere the order of the PDs is worth more than their level; calibrate anew.",
        "What counted as bad (days in arrears, time observed) is not published; the PD is the chance of that outcome, "
        "over a time that nobody knows.",
        "The unit of money is not named by the source (believed to be thousands of pesetas); the model knows no "
        "inflation and no other currency.",
        "“Not stated” is an answer here, and a telling one: credits without an income went bad far more often (figures "
        "under Data). Ask for the income rather than let the model guess.",
        "A few thousand credits: the intervals in the tables are part of the result, and rare answers carry little "
        "evidence. The intervals cover chance, not a change of lender, country or time.",
        "Sex, race, religion, nationality, marital status and age are not entered, and most were never recorded: "
        "whether the model treats groups alike cannot be measured on this data, in either direction. Home, job and "
        "years in the job may stand in for age and marital status.",
    ],
    date="2026-11-25",
    groups=[
        {"name": "loan", "label": {"en": "Loan", "fr": "Crédit"}},
        {"name": "person", "label": {"en": "Person", "fr": "Personne"}},
        {"name": "money", "label": {"en": "Money", "fr": "Budget"}},
    ],
    fields=[{**spec, "reasons": REASONS[spec["name"]]} for spec in FIELDS],
    features=FEATURES,
    # What an analyst would sign: more of it is never better (+1) or never worse (-1), all else equal.
    monotone={
        "seniority": -1,
        "income": -1,
        "assets": -1,
        "surplus": -1,
        "repayment_capacity": -1,
        "asset_cover": -1,
        "expenses": +1,
        "amount": +1,
        "instalment": +1,
        "burden": +1,
        "share_financed": +1,
        "price": -1,
        "prior_record=yes": +1,
        "prior_record=no": -1,
    },
    parameters={
        "n_estimators": 400,
        "max_depth": 3,
        "learning_rate": 0.03,
        "min_child_weight": 10,
        "subsample": 0.8,
        "colsample_bytree": 0.3,
        "reg_lambda": 5.0,
    },
    # Five to one: a bad credit costs the whole amount, a good one earns a fifth of it. Break-even 1/6.
    policy={"margin": 0.2, "lgd": 1.0, "amount": "amount", "guarantee": None, "refer_band": 0.25},
    points={"anchor": 600.0, "odds": 5.0, "double": 20.0},
    load=load,
)

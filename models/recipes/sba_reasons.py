"""What a notice says of a small-business loan: a text a reason, written for the applicant.

Where the model knows a group by how its past loans ended, the text says that it judges by past loans, and no more.
"""

from typing import Any

from models.recipe import reason

JUDGED = "judged riskier on the record of past loans"
JUGE = "jugé plus risqué au vu des prêts passés"
JUGEE = "jugée plus risquée au vu des prêts passés"

REASONS: dict[str, list[dict[str, Any]]] = {
    "amount": [
        reason("high", "Amount applied for is high", "Montant demandé élevé"),
        reason("low", f"Low amount, {JUDGED}", f"Montant demandé faible, {JUGE}"),
        reason(
            "high_for_staff", "Amount high for the number of employees", "Montant élevé par rapport à l’effectif",
            "amount_per_employee", when="high",
        ),
        reason(
            "high_for_jobs", "Amount high for the number of jobs", "Montant élevé par rapport au nombre d’emplois",
            "amount_per_job", when="high",
        ),
    ],
    "guaranteed_share": [
        reason("high", f"High share guaranteed by the SBA, {JUDGED}", f"Forte quotité garantie par la SBA, {JUGEE}"),
        reason("low", f"Low share guaranteed by the SBA, {JUDGED}", f"Faible quotité garantie par la SBA, {JUGEE}"),
    ],
    "employees": [
        reason("low", "Small number of employees", "Effectif réduit"),
        reason("high", f"Large number of employees, {JUDGED}", f"Effectif important, {JUGE}"),
        reason(
            "few_for_amount", "Few employees for the amount applied for",
            "Effectif réduit par rapport au montant demandé", "amount_per_employee", when="low",
        ),
    ],
    "new_business": [
        reason("yes", "Business in existence for two years or less", "Entreprise de deux ans d’existence au plus"),
    ],
    "jobs_created": [
        reason(
            "high", f"Number of jobs the loan would create, {JUDGED}",
            f"Nombre d’emplois que le prêt créerait, {JUGE}",
        ),
        reason("low", "Few jobs that the loan would create", "Peu d’emplois créés par le prêt"),
        reason("not_stated", "Jobs that the loan would create not stated", "Emplois créés par le prêt non précisés"),
    ],
    "jobs_retained": [
        reason(
            "high", f"Number of jobs the loan would keep, {JUDGED}",
            f"Nombre d’emplois que le prêt maintiendrait, {JUGE}",
        ),
        reason("low", "Few jobs that the loan would keep", "Peu d’emplois maintenus par le prêt"),
        reason("not_stated", "Jobs that the loan would keep not stated", "Emplois maintenus par le prêt non précisés"),
        reason(
            "few_for_amount", "Few jobs created or kept for the amount applied for",
            "Peu d’emplois créés ou maintenus par rapport au montant demandé", "amount_per_job", when="low",
        ),
        reason(
            "few_for_staff", "Few jobs to be kept for the present number of employees",
            "Peu d’emplois à maintenir par rapport à l’effectif actuel", "jobs_retained_per_employee", when="low",
        ),
    ],
    "franchise": [
        reason("yes", f"Business run under a franchise, {JUDGED}", f"Entreprise exploitée sous franchise, {JUGEE}"),
    ],
    "revolving": [
        reason("yes", f"Revolving line of credit, {JUDGED}", f"Crédit renouvelable, {JUGE}"),
        reason(
            "no", f"Loan other than a revolving line of credit, {JUDGED}",
            f"Prêt autre qu’un crédit renouvelable, {JUGE}",
        ),
        reason(
            "not_stated", "Not stated whether the loan is a revolving line of credit",
            "Non précisé si le prêt est un crédit renouvelable",
        ),
    ],
    "naics": [
        reason("any", f"Industry of the business, {JUDGED}", f"Secteur d’activité de l’entreprise, {JUGE}"),
    ],
    "state": [
        reason("any", f"State in which the business is, {JUDGED}", f"État où l’entreprise est établie, {JUGE}"),
    ],
}  # fmt: skip

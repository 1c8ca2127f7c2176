"""What a notice says of a consumer credit: a text a reason, written for the applicant."""

from typing import Any

from models.recipe import reason

REASONS: dict[str, list[dict[str, Any]]] = {
    "amount": [
        reason("high", "Amount applied for is high", "Montant demandé élevé"),
        reason("low", "Amount applied for is low", "Montant demandé faible"),
        reason(
            "high_for_price", "Amount high for the purchase price", "Montant élevé par rapport au prix d’achat",
            "share_financed", when="high",
        ),
        reason(
            "high_for_income", "Amount high for the income", "Montant élevé par rapport aux revenus",
            "burden", when="high",
        ),
        reason(
            "high_for_budget", "Instalments for this amount leave too little of the income after expenses",
            "Reste à vivre insuffisant une fois payées les mensualités de ce montant",
            "repayment_capacity", when="high",
        ),
        reason(
            "high_for_assets", "Amount high for the assets", "Montant élevé par rapport au patrimoine",
            "asset_cover", when="high",
        ),
    ],
    "price": [
        reason("high", "High purchase price", "Prix d’achat élevé"),
        reason("low", "Low purchase price", "Prix d’achat peu élevé"),
        reason(
            "low_for_amount", "Down payment small for the purchase price", "Apport faible par rapport au prix d’achat",
            "share_financed", when="low",
        ),
    ],
    "term": [
        reason("high", "Long repayment term", "Durée de remboursement longue"),
        reason("low", "Short repayment term", "Durée de remboursement courte"),
        reason(
            "short_for_amount", "Instalments high because the term is short",
            "Mensualités élevées en raison d’une durée courte", "instalment", when="low",
        ),
        reason(
            "short_for_income", "Instalments high for the income because the term is short",
            "Mensualités élevées par rapport aux revenus, en raison d’une durée courte", "burden", when="low",
        ),
        reason(
            "short_for_budget", "Short term: the instalments leave too little of the income after expenses",
            "Durée courte : reste à vivre insuffisant une fois les mensualités payées",
            "repayment_capacity", when="low",
        ),
    ],
    "income": [
        reason("low", "Low income", "Revenus faibles"),
        reason("high", "Income above that of a typical applicant", "Revenus supérieurs à ceux d’un demandeur type"),
        reason("not_stated", "Income not stated", "Revenus non précisés"),
        reason(
            "low_for_instalments", "Income low for the instalments", "Revenus faibles par rapport aux mensualités",
            "burden", when="low",
        ),
        reason(
            "low_for_expenses", "Income low for the expenses", "Revenus faibles par rapport aux charges",
            "surplus", when="low",
        ),
        reason(
            "low_for_budget", "Income leaves too little after expenses and instalments",
            "Revenus laissant un reste à vivre insuffisant après charges et mensualités",
            "repayment_capacity", when="low",
        ),
    ],
    "expenses": [
        reason("high", "High fixed expenses", "Charges fixes élevées"),
        reason(
            "low", "Fixed expenses below those of a typical applicant",
            "Charges fixes inférieures à celles d’un demandeur type",
        ),
        reason(
            "high_for_income", "Expenses high for the income", "Charges élevées par rapport aux revenus",
            "surplus", when="high",
        ),
        reason(
            "high_for_instalments", "Expenses leave too little of the income for the instalments",
            "Charges laissant trop peu de revenus pour les mensualités", "repayment_capacity", when="high",
        ),
    ],
    "assets": [
        reason("low", "Few assets", "Patrimoine faible"),
        reason("high", "Assets above those of a typical applicant", "Patrimoine supérieur à celui d’un demandeur type"),
        reason("not_stated", "Assets not stated", "Patrimoine non précisé"),
        reason(
            "low_for_amount", "Assets low for the amount applied for",
            "Patrimoine faible par rapport au montant demandé", "asset_cover", when="low",
        ),
    ],
    "seniority": [
        reason("low", "Short time in the present job", "Faible ancienneté dans l’emploi actuel"),
        reason("high", "Long time in the present job", "Longue ancienneté dans l’emploi actuel"),
    ],
    "job": [
        reason("part_time", "Part-time work rather than a permanent job", "Emploi à temps partiel plutôt qu’un CDI"),
        reason("freelance", "Freelance work rather than a permanent job", "Activité indépendante plutôt qu’un CDI"),
        reason(
            "other", "No permanent, part-time or freelance employment",
            "Ni CDI, ni temps partiel, ni activité indépendante",
        ),
    ],
    "home": [
        reason("rent", "Home is rented, not owned", "Logement loué et non en propriété"),
        reason("parents", "Home is the parents’, not owned", "Logement chez les parents et non en propriété"),
        reason(
            "private", "Home under a private arrangement, not owned", "Logement sous contrat privé et non en propriété",
        ),
        reason("other", "Home neither owned nor rented", "Logement ni en propriété ni en location"),
        reason("not_stated", "Housing situation not stated", "Situation de logement non précisée"),
    ],
    "prior_record": [
        reason(
            "yes", "Record of payment problems before this application",
            "Incidents de paiement antérieurs à cette demande",
        ),
    ],
}  # fmt: skip

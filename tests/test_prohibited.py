"""Prohibited attributes, by their names in six languages and by their answers; and honest columns, which pass."""

import pytest

from models.prohibited import aged, answered, named

NAMES = [
    *"sex gender CODE_GENDER CustomerGender IsFemale isfemale custgender applicant_sex skin_colour".split(),
    "RaceEthnicity",
    *"MaritalStatus_Single marital_status NAME_FAMILY_STATUS foreign_worker Nationality citizenship pregnant".split(),
    *"Geschlecht familienstand Familienstand famges gastarb Staatsangehörigkeit Nationalität".split(),
    "Religionszugehörigkeit",
    *"SEXE sexe situation_familiale SituationFamiliale etat_civil Nationalité".split(),
    "Situation de famille", "État civil", "pays de naissance",
    *"estado_civil EstadoCivil género sexo nacionalidad situacao_familiar gênero raça".split(), "Situação familiar",
    *"stato_civile StatoCivile sesso cittadinanza nazionalità".split(),
]  # fmt: skip
HONEST = [
    *"usage mortgage MORTDUE trace".split(), *"average wage stage percentage storage manager".split(),
    *"LOAN VALUE REASON JOB YOJ DEROG DELINQ CLAGE NINQ CLNO DEBTINC".split(),
    *"limit_bal education pay_0 bill_amt1 pay_amt6 laufkont laufzeit moral verw hoehe sparkont beszeit rate".split(),
    *"buerge wohnzeit verm weitkred wohn bishkred beruf pers telef annual_inc revol_util emp_length".split(),
    *"RevolvingUtilizationOfUnsecuredLines NumberOfTimes90DaysLate NumberOfDependents essex middlesex".split(),
    *"terrace embrace".split(), *"Revenu Durée Retards Nettoeinkommen".split(),
    "Taux d'endettement", "Rückstände 30 Tage", "Beschäftigt seit", "Schuldenquote", "country of residence",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_prohibited_name_is_found(name: str) -> None:
    """In six languages, in CamelCase, run together, with and without accents."""
    assert named(name)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_name_passes(name: str) -> None:
    """Though letters of a listed word are in it."""
    assert named(name) == []
    assert not aged(name)


@pytest.mark.parametrize(
    "name", ["age", "Age", "Alter", "âge", "Âge", "DAYS_BIRTH", "edad", "idade", "eta", "dob", "custage"]
)
def test_an_age_is_found(name: str) -> None:
    """In six languages."""
    assert aged(name)


@pytest.mark.parametrize("name", ["OWN_CAR_AGE", "age_of_oldest_account", "vehicle_age", "CreditHistoryAge"])
def test_the_age_of_a_thing_is_none(name: str) -> None:
    """A car, an account, a credit have ages of their own."""
    assert not aged(name)


@pytest.mark.parametrize(
    "answers",
    [
        ["M", "F"], ["m", "w", "d"], ["H", "F"], ["male", "female"], ["verheiratet", "ledig", "geschieden"],
        ["marié", "célibataire"],
        ["Married", "Single / not married", "Widow"], ["casado", "soltero"], ["sposata", "nubile"],
        ["male : divorced/separated", "female : married"], ["solteira", "viúva"],
    ],
)  # fmt: skip
def test_prohibited_answers_are_found(answers: list[str]) -> None:
    """Whatever the column is called."""
    assert answered(answers)


@pytest.mark.parametrize(
    "answers",
    [
        ["yes", "no"], ["single", "joint"], ["Religious organizations", "Retail"], ["F"], ["A", "B", "F", "M"],
        ["RENT", "OWN"],
        ["Female clothing shop", "Bakery"], ["1", "2"],
    ],
)  # fmt: skip
def test_honest_answers_pass(answers: list[str]) -> None:
    """A single or a joint application, an industry, a grade."""
    assert answered(answers) == []

"""Attributes that credit must not be decided on: known by their names in six languages, and by their answers.

Names are looked at word by word, also where words are joined (CustomerGender, isfemale), and a word of the list that
is only a part of another does not count: usage is no age, Essex no sex. What shows neither in a name nor in answers
cannot be found here; the recipe's author must look, too.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

# Regulation B (12 CFR 1002.6), EU Directive 2023/2225 art. 18 and the charter's article 21 name these.
PROHIBITED = set(
    # English
    "sex gender male female woman women race racial color colour ethnic ethnicity minority religion religious faith "
    "belief beliefs church marital married marriage spouse civil divorced widowed maiden national nationality "
    "citizenship citizen immigration immigrant birthplace native disability disabled pregnant pregnancy orientation "
    "genetic union political foreigner "
    # German
    "geschlecht maennlich weiblich mann frau rasse hautfarbe ethnie ethnisch religionszugehoerigkeit konfession glaube "
    "kirche familienstand famstand famges zivilstand verheiratet ledig geschieden verwitwet ehepartner ehegatte "
    "nationalitaet staatsangehoerigkeit staatsbuergerschaft gastarb gastarbeiter auslaender herkunftsland geburtsort "
    "geburtsland migrationshintergrund behinderung behindert schwanger schwangerschaft gewerkschaft partei "
    # French
    "sexe genre masculin feminin homme femme ethnie ethnique religion confession croyance matrimonial "
    "matrimoniale marie mariee celibataire veuf veuve conjoint nationalite citoyennete etranger etrangere handicap "
    "handicape enceinte grossesse syndicat syndical politique "
    # Spanish
    "sexo genero masculino femenino hombre mujer raza etnia religion creencia conyuge casado casada soltero soltera "
    "viudo viuda nacionalidad ciudadania extranjero extranjera discapacidad embarazo embarazada sindicato "
    # Portuguese
    "feminino homem mulher raca religiao crenca conjuge solteiro solteira viuvo viuva nacionalidade cidadania "
    "estrangeiro estrangeira deficiencia gravidez gravida sindicato "
    # Italian
    "sesso genere maschio femmina uomo donna razza religione credo coniuge sposato sposata celibe nubile vedovo vedova "
    "nazionalita cittadinanza straniero straniera disabilita disabile gravidanza incinta sindacato".split()
)
# Two words that only together name one.
PAIRS = {
    frozenset(pair.split())
    for pair in (
        "foreign worker", "family status", "personal status", "domestic status", "situation familiale",
        "situation famille", "etat civil", "statut familial", "situacion familiar", "estado civil", "estado familiar",
        "situacao familiar", "stato civile", "stato famiglia", "situazione familiare", "status familie",
        "country birth", "place birth", "pays naissance", "lieu naissance", "pais nacimiento", "lugar nacimiento",
        "pais nascimento", "local nascimento", "paese nascita", "luogo nascita", "marit stat", "famil status",
        "gast arbeiter", "familien stand",
    )
}  # fmt: skip
# A harmless name does not hide what is asked: these answers give it away. Whole answers only, since an industry may
# well be that of religious organisations.
PROHIBITED_ANSWERS = set(
    "married unmarried divorced widowed male female woman widow widower "
    "verheiratet ledig geschieden verwitwet maennlich weiblich mann frau "
    "marie mariee celibataire divorce divorcee veuf veuve homme femme masculin feminin "
    "casado casada soltero soltera divorciado divorciada viudo viuda hombre mujer masculino femenino "
    "solteiro solteira viuvo viuva homem mulher feminino "
    "sposato sposata coniugato coniugata celibe nubile divorziato divorziata vedovo vedova uomo donna maschio femmina "
    "christian muslim jewish hindu buddhist catholic protestant evangelisch katholisch catholique musulman "
    "white black asian hispanic caucasian".split()
)
# Sets of answers that are harmless one by one: all answers of a column are among them, and there are at least two.
PROHIBITED_SETS = (
    {"m", "f", "x", "xna", "u"}, {"m", "w", "d", "x", "u"}, {"h", "f"}, {"h", "m"},
)  # fmt: skip
# Allowed where a recipe says why: `why_age`.
AGE = set(
    "age aged ages birth birthday birthdate birthyear born dob yob elderly "
    "alter lebensalter geburt geburtsdatum geburtstag geburtsjahr gebdat gebjahr "
    "naissance anniversaire edad nacimiento cumpleanos idade nascimento eta nascita ".split()
)
# Words that begin or end a run-together name: isfemale, custgender, customersex.
BEFORE = set("is has was cust customer client applicant borrower person kunde kunden antragsteller emprunteur".split())
AFTER = set("code cd flag id type status stat desc group grp num nr cat bin".split())


class Prohibited(ValueError):
    """A recipe names an attribute that credit must not be decided on."""


def words(text: str) -> list[str]:
    """The words of a name or a label in small letters, without accents; CamelCase and joined helpers taken apart."""
    plain = text.translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss",
                            ord("Ä"): "Ae", ord("Ö"): "Oe", ord("Ü"): "Ue"})  # fmt: skip
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    plain = re.sub(r"([a-z])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3 \2", plain)
    return [part for word in re.findall(r"[a-z]+", plain.lower()) for part in parted(word)]


def parted(word: str) -> list[str]:
    """A word, or where a helper and a listed word are joined in it (isfemale), both of them."""
    listed = PROHIBITED | AGE
    if word in listed:
        return [word]
    for at in range(2, len(word) - 1):
        first, second = word[:at], word[at:]
        if (first in BEFORE and second in listed) or (first in listed and second in AFTER and len(first) > 2):
            return [first, second]
    return [word]


def named(*texts: str) -> list[str]:
    """The prohibited attributes that names or labels show, age not among them."""
    found: list[str] = []
    for text in texts:
        there = words(text)
        found += [word for word in there if word in PROHIBITED]
        pairs = {frozenset(pair) for pair in pairwise(there)}
        pairs |= {frozenset(pair) for pair in zip(there, there[2:], strict=False)}  # pays de naissance
        found += [" ".join(sorted(pair)) for pair in PAIRS if pair in pairs]
    return sorted(set(found))


def answered(answers: Iterable[str]) -> list[str]:
    """The answers among those of one column that show such an attribute."""
    plain = {" ".join(words(one)) for one in answers} - {""}
    found = sorted(plain & PROHIBITED_ANSWERS)
    # Home Credit and the German files write whole phrases: "Single / not married", "male : single".
    phrases = {one: set(one.split()) for one in plain if " " in one}
    found += sorted(one for one, said in phrases.items() if said & FAMILY and said <= FAMILY | BESIDE)
    if not found and len(plain) > 1 and any(plain <= one for one in PROHIBITED_SETS):
        found = sorted(plain)
    return found


FAMILY = {"married", "divorced", "widowed", "widow", "male", "female", "verheiratet", "geschieden", "verwitwet",
          "celibataire", "divorce", "divorciado", "divorciada", "casado", "casada", "solteiro", "soltero",
          "sposato", "sposata"}  # fmt: skip


BESIDE = set("single separated not never legally living together common law partner partnership civil or and und ou "
             "oder nicht getrennt lebend separe separee pacse dep mar div sep".split())  # fmt: skip
# An age of these is not the applicant's.
THINGS = set("car vehicle auto fahrzeug vehicule vehiculo veiculo veicolo house building property home account loan "
             "credit line file record business company firm oldest newest card collateral asset "
             "konto compte".split())  # fmt: skip


def aged(*texts: str) -> bool:
    """Whether names or labels show an age of a person."""
    return any(AGE & set(there) and not THINGS & set(there) for there in map(words, texts))


def refuse_prohibited(owner: str, spec: Mapping[str, Any], why_age: str, *columns: str) -> None:
    """Raise `Prohibited` where a field, or a column of a foreign model that it sets, names such an attribute."""
    texts = [spec["name"], *spec["label"].values(), *columns]
    answers = [text for one in spec.get("choices", []) for text in (one["code"], *one["label"].values())]
    if found := [*named(*texts), *answered(answers)]:
        raise Prohibited(f"{owner}: field {spec['name']} names {', '.join(found)}")
    if aged(*texts) and not why_age:
        raise Prohibited(f"{owner}: field {spec['name']} is an age; say why in why_age or drop it")

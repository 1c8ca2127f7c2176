"""A lender's own settings: reason codes, limits, texts of notices, rules and grades. Read once, from a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from inference.errors import BadSetting
from inference.fields import ANY, ChoiceField, Field, with_path, without_reason
from inference.languages import Words
from inference.lender_option import OfLender
from inference.questions import Question, Questions
from inference.release import Release
from inference.rules import REASON, BadRule, LenderRules, Rulebook
from web.pages.texts import LANGUAGES
from web.work_settings import WorkSettings, work_settings

EXAMPLE = Path(__file__).with_name("lender.toml")
DIRECTIONS = ("more_lenient", "stricter", "incomplete")
NOTICE = ("regulator", "retention", "contest")
DRAFTED_FOR = "drafted_for"  # in the same section; files of earlier versions do not have it
# They mark texts of the example file; the second is the address in the example file of earlier versions.
PLACEHOLDERS = ("TENFOLD_LENDER", "Address and telephone number of the creditor")
MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Lender:
    """One lender's settings. Texts by language; `codes` by direction, each in the file's order."""

    name: str
    address: str
    contest_days: int
    notice: Mapping[str, Mapping[str, str]]
    drafted_for: Mapping[str, str]  # the rule that the notice was drafted for, with its date
    second_person_above: Mapping[str, float]
    codes: Mapping[str, Mapping[str, Mapping[str, str]]]
    reason_texts: Mapping[str, Mapping[str, Mapping[str, str]]]  # by field and code, in place of the release's
    work: WorkSettings
    rulebook: Rulebook
    rule_texts: Mapping[str, Mapping[str, str]]  # by code and language
    questions: tuple[Question, ...]  # of the lender's own, beside those of the release
    file: Path

    @property
    def is_example(self) -> bool:
        """Whether a text of notices still contains a placeholder."""
        texts = [
            self.name,
            self.address,
            *(text for translations in self.notice.values() for text in translations.values()),
        ]
        return any(placeholder in text for text in texts for placeholder in PLACEHOLDERS)

    def needs_second(self, role: str, amount: float | None) -> bool:
        """Whether a decision by this role needs a second person; if the amount is unknown, any limit applies."""
        limit = self.second_person_above.get(role)
        return limit is not None and (amount is None or amount > limit)

    def reason(self, direction: str, code: str, language: str) -> str:
        """The text of a reason code; the code itself if it is no longer in the settings."""
        return self.codes.get(direction, {}).get(code, {}).get(language, code)

    def rule_text(self, code: str, language: str) -> str:
        """What an applicant is told of a rule; its code if it is no longer in the settings."""
        return self.rule_texts.get(code, {}).get(language, code)


def read_lender(file: Path | None) -> Lender:
    """The settings in a file, or the examples that come with Tenfold. Raises `BadSetting`."""
    file = file or EXAMPLE
    try:
        return replace(lender_from(tomllib.loads(file.read_text("utf-8"))), file=file)
    except OSError as error:
        raise BadSetting(
            f"TENFOLD_LENDER: {file}: {error.strerror}. Name an existing file, or leave it unset for the examples"
        ) from None
    except KeyError as error:
        raise BadSetting(f"TENFOLD_LENDER: {file}: {error} is missing; web/lender.toml shows a whole file") from None
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadSetting(f"TENFOLD_LENDER: {file}: {error}; web/lender.toml shows a whole file") from None


@cache
def examples() -> dict[str, Any]:
    """The content of the file that comes with Tenfold."""
    return tomllib.loads(EXAMPLE.read_text("utf-8"))


def lender_from(settings: Mapping[str, Any]) -> Lender:
    """The settings, checked."""
    known = {
        "contest_days", "creditor", "notice", "second_person_above", "reason_texts", "work", *DIRECTIONS,
        "questions", *Rulebook.__struct_fields__,
    }  # fmt: skip
    if unknown := sorted(settings.keys() - known):
        raise ValueError(f"{', '.join(unknown)}: no such setting")
    days = settings["contest_days"]
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        raise ValueError(f"contest_days: a whole number from 1 to {MOST_DAYS} is needed")
    limits = settings.get("second_person_above", {})
    for role, limit in limits.items():
        if type(limit) not in (int, float) or not limit >= 0:
            raise ValueError(f"second_person_above: {role}: an amount from 0 up is needed")
    return Lender(
        name=text(settings["creditor"]["name"], "creditor.name"),
        address=text(settings["creditor"]["address"], "creditor.address"),
        contest_days=days,
        notice={name: texts(settings["notice"][name], f"notice.{name}") for name in NOTICE},
        drafted_for=texts(
            settings["notice"].get(DRAFTED_FOR) or examples()["notice"][DRAFTED_FOR], f"notice.{DRAFTED_FOR}"
        ),
        second_person_above=limits,
        codes={name: codes(settings[name], name) for name in DIRECTIONS},
        reason_texts={
            field: {code: texts(text, f"reason_texts.{field}.{code}") for code, text in by_code.items()}
            for field, by_code in settings.get("reason_texts", {}).items()
        },
        work=work_settings(settings.get("work", {})),
        rulebook=rulebook_from(settings),
        rule_texts={
            entry["code"]: texts(entry, f"rules[{place}]") for place, entry in enumerate(settings.get("rules", ()))
        },
        questions=tuple(
            Question(
                name=text(entry["name"], f"questions[{place}].name"),
                field=str(entry["field"]),
                above=str(entry["above"]),
                text=Words(**texts(entry, f"questions[{place}]")),
            )
            for place, entry in enumerate(settings.get("questions", ()))
        ),
        file=EXAMPLE,
    )


def rulebook_from(settings: Mapping[str, Any]) -> Rulebook:
    """Rules, grades and how instalments are computed. Raises ValueError, with the path of what is wrong."""
    content = {name: settings[name] for name in Rulebook.__struct_fields__ if name in settings}
    if "rules" in content:
        content["rules"] = [
            {name: value for name, value in entry.items() if name not in LANGUAGES} for entry in content["rules"]
        ]
    try:
        return msgspec.convert(content, Rulebook)
    except msgspec.ValidationError as error:
        raise ValueError(with_path(error)) from None


def questions_for(lender: Lender, release: Release) -> Questions:
    """What is asked about odd answers: by the release, and by the lender. Raises `BadSetting` where a question of the
    lender's names what the release does not have."""
    try:
        Questions(lender.questions, release.form)  # so that the path is that of the lender's file
        return Questions((*release.manifest.questions, *lender.questions), release.form)
    except ValueError as error:
        raise BadSetting(f"TENFOLD_LENDER: {lender.file}: {error}. The release is {release.name}") from None


def rules_for(lender: Lender, release: Release) -> LenderRules | None:
    """The lender's rules for a release; None where it has neither rules nor grades. Raises `BadSetting` where a rule
    names what the release does not have."""
    if lender.rulebook.is_empty:
        return None
    try:
        return LenderRules(lender.rulebook, release.form, release.policy)
    except BadRule as error:
        raise BadSetting(f"TENFOLD_LENDER: {lender.file}: {error}. The release is {release.name}") from None


def of_lender(lender: Lender, release: Release) -> OfLender:
    """The lender's rules and questions, for commands that score. Raises `BadSetting`, as the two above do."""
    questions_for(lender, release)
    return OfLender(rules_for(lender, release), lender.questions)


def check_reason_texts(lender: Lender, release: Release) -> None:
    """Raises `BadSetting` if a principal reason has no text for applicants, or if the lender has a text for a reason
    that the release does not have: its name is probably misspelt, and notices would use another text."""
    fields = {field.name: field for field in release.form.fields}
    unknown = [
        f"{name}.{code}"
        for name, by_code in lender.reason_texts.items()
        for code in by_code
        if name not in fields or code not in reason_codes(fields[name])
    ]
    if unknown:
        known = {name: reason_codes(fields[name]) for name in lender.reason_texts if name in fields}
        raise BadSetting(
            f"TENFOLD_LENDER: reason_texts: {release.name} has no reason {', '.join(unknown)}. It has "
            + ("; ".join(f"{name}: {', '.join(codes[:20])}" for name, codes in known.items()) or ", ".join(fields))
        )
    missing = [
        f"[reason_texts.{field.name}.{code}]"
        for field in release.form.fields
        for code in reasons_without_text(field, lender.reason_texts.get(field.name, {}))
    ]
    if missing:
        raise BadSetting(
            f"{release.name} is of a format without texts for applicants, and a notice must be able to give every "
            "principal reason. Train or adopt it again, or add en and fr to the file that TENFOLD_LENDER names, under "
            + ", ".join(missing)
        )


def reason_codes(field: Field) -> tuple[str, ...]:
    """The codes that a principal reason of this field can have."""
    if field.reasons:
        return tuple(reason.code for reason in field.reasons)
    return (*field.adverse_kinds, ANY) if isinstance(field, ChoiceField) else field.adverse_kinds


def reasons_without_text(field: Field, lender_texts: Mapping[str, object]) -> list[str]:
    """The codes for which neither release nor lender has a text; ANY for a choice field without any texts."""
    missing = [] if ANY in lender_texts else [code for code in without_reason(field) if code not in lender_texts]
    return [ANY] if isinstance(field, ChoiceField) and missing and not field.reasons and not lender_texts else missing


def reason_text(reason: str, release: Release | None, lender: Lender, language: str) -> str:
    """The text of a principal reason for applicants. `reason` is `field/code`, or only the field in records of format
    1. If its release is missing, `reason` is returned unchanged."""
    name, _, code = reason.partition("/")
    if name == REASON:
        return lender.rule_text(code, language)
    fields = {field.name: field for field in release.form.fields} if release else {}
    lender_texts = lender.reason_texts.get(name, {})
    release_texts = {known.code: known.text for known in fields[name].reasons} if name in fields else {}
    for text in (lender_texts.get(code), release_texts.get(code), lender_texts.get(ANY), release_texts.get(ANY)):
        if text is not None:
            return text[language]
    return fields[name].label[language] if name in fields else reason


def codes(entries: Any, name: str) -> dict[str, dict[str, str]]:
    """Reason codes with their texts."""
    words_by_code: dict[str, dict[str, str]] = {}
    for entry in entries:
        code = text(entry["code"], f"{name}.code")
        if code in words_by_code:
            raise ValueError(f"{name}: the code {code} is there twice")
        words_by_code[code] = texts(entry, f"{name} {code}")
    if not words_by_code:
        raise ValueError(f"{name}: at least one reason code is needed")
    return words_by_code


def texts(values: Any, name: str) -> dict[str, str]:
    """A text in every language."""
    return {language: text(values[language], f"{name}.{language}") for language in LANGUAGES}


def text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name}: a text is needed")
    return value.strip()

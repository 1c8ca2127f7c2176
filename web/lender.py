"""What a lender decides for itself: reason codes, limits, the words of notices. Read from a TOML file, once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.errors import BadSetting
from inference.fields import ANY, ChoiceField, Field, without_reason
from inference.release import Release
from web.pages.texts import LANGUAGES

EXAMPLE = Path(__file__).with_name("lender.toml")
DIRECTIONS = ("more_lenient", "stricter", "incomplete")
NOTICE = ("regulator", "retention", "contest")
# Of the examples, what is no lender's: the mark of today, and the address as it was without one.
PLACEHOLDERS = ("TENFOLD_LENDER", "Address and telephone number of the creditor")
MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Lender:
    """One lender's settings. Texts by language; `codes` by direction, each in the file's order."""

    name: str
    address: str
    contest_days: int
    notice: Mapping[str, Mapping[str, str]]
    second_person_above: Mapping[str, float]
    codes: Mapping[str, Mapping[str, Mapping[str, str]]]
    reason_texts: Mapping[str, Mapping[str, Mapping[str, str]]]  # by field and code, in place of the release's

    @property
    def is_example(self) -> bool:
        """Whether a placeholder stands in what a notice says of the lender."""
        said = [self.name, self.address, *(text for one in self.notice.values() for text in one.values())]
        return any(placeholder in text for text in said for placeholder in PLACEHOLDERS)

    def needs_second(self, role: str, amount: float | None) -> bool:
        """Whether somebody of this role may not decide alone; where no field says the amount, a limit means always."""
        limit = self.second_person_above.get(role)
        return limit is not None and (amount is None or amount > limit)

    def reason(self, direction: str, code: str, language: str) -> str:
        """The words of a reason code; the code itself where the settings know it no longer."""
        return self.codes.get(direction, {}).get(code, {}).get(language, code)


def read_lender(file: Path | None) -> Lender:
    """The settings of a file, or the examples that come with the program. Raises `BadSetting`."""
    file = file or EXAMPLE
    try:
        return lender_from(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise BadSetting(
            f"TENFOLD_LENDER: {file}: {error.strerror}. Name a file there is, or leave it unset for the examples"
        ) from None
    except KeyError as error:
        raise BadSetting(f"TENFOLD_LENDER: {file}: {error} is missing; web/lender.toml shows a whole file") from None
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadSetting(f"TENFOLD_LENDER: {file}: {error}; web/lender.toml shows a whole file") from None


def lender_from(said: Mapping[str, Any]) -> Lender:
    """The settings, each checked."""
    known = {"contest_days", "creditor", "notice", "second_person_above", "reason_texts", *DIRECTIONS}
    if unknown := sorted(said.keys() - known):
        raise ValueError(f"{', '.join(unknown)}: no such setting")
    days = said["contest_days"]
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        raise ValueError(f"contest_days: a whole number from 1 to {MOST_DAYS} is needed")
    limits = said.get("second_person_above", {})
    for role, limit in limits.items():
        if type(limit) not in (int, float) or not limit >= 0:
            raise ValueError(f"second_person_above: {role}: an amount from 0 up is needed")
    return Lender(
        name=text(said["creditor"]["name"], "creditor.name"),
        address=text(said["creditor"]["address"], "creditor.address"),
        contest_days=days,
        notice={name: texts(said["notice"][name], f"notice.{name}") for name in NOTICE},
        second_person_above=limits,
        codes={name: codes(said[name], name) for name in DIRECTIONS},
        reason_texts={
            field: {code: texts(text, f"reason_texts.{field}.{code}") for code, text in by_code.items()}
            for field, by_code in said.get("reason_texts", {}).items()
        },
    )


def check_reason_texts(lender: Lender, release: Release) -> None:
    """Raises `BadSetting` where an applicant could not be told a principal reason, or where the lender has a text for a
    reason that this release does not know: its name is misspelt, and another text would stand on notices."""
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
    lacking = [
        f"[reason_texts.{field.name}.{code}]"
        for field in release.form.fields
        for code in untold(field, lender.reason_texts.get(field.name, {}))
    ]
    if lacking:
        raise BadSetting(
            f"{release.name} is of a format without texts for applicants, and a notice must be able to give every "
            "principal reason. Train or adopt it again, or add en and fr to the file that TENFOLD_LENDER names, under "
            + ", ".join(lacking)
        )


def reason_codes(field: Field) -> tuple[str, ...]:
    """The codes that a principal reason of this field can have."""
    if field.reasons:
        return tuple(reason.code for reason in field.reasons)
    return (*field.adverse_kinds, ANY) if isinstance(field, ChoiceField) else field.adverse_kinds


def untold(field: Field, own: Mapping[str, object]) -> list[str]:
    """What neither release nor lender has a text for; of a choice without any, one text for all of it."""
    lacking = [] if ANY in own else [standing for standing in without_reason(field) if standing not in own]
    return [ANY] if isinstance(field, ChoiceField) and lacking and not field.reasons and not own else lacking


def reason_text(reason: str, release: Release | None, lender: Lender, language: str) -> str:
    """A principal reason as an applicant reads it. `reason` is `field/code`, or the field alone in records of the first
    format; where its release is gone, as it was recorded."""
    name, _, code = reason.partition("/")
    fields = {field.name: field for field in release.form.fields} if release else {}
    own = lender.reason_texts.get(name, {})
    told = {one.code: one.text for one in fields[name].reasons} if name in fields else {}
    for text in (own.get(code), told.get(code), own.get(ANY), told.get(ANY)):
        if text is not None:
            return text[language]
    return fields[name].label[language] if name in fields else reason


def codes(listed: Any, name: str) -> dict[str, dict[str, str]]:
    """Reason codes with their words."""
    found: dict[str, dict[str, str]] = {}
    for one in listed:
        code = text(one["code"], f"{name}.code")
        if code in found:
            raise ValueError(f"{name}: the code {code} is there twice")
        found[code] = texts(one, f"{name} {code}")
    if not found:
        raise ValueError(f"{name}: at least one reason code is needed")
    return found


def texts(said: Any, name: str) -> dict[str, str]:
    """A text in every language."""
    return {language: text(said[language], f"{name}.{language}") for language in LANGUAGES}


def text(said: Any, name: str) -> str:
    if not isinstance(said, str) or not said.strip():
        raise ValueError(f"{name}: a text is needed")
    return said.strip()

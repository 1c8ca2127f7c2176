"""Numbers as people write them: what is read, what is asked about, and how numbers are shown with their units."""

import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts import NAMES, newest, number

from inference.__main__ import main
from inference.errors import InvalidApplication
from inference.fields import NumberField, field_from_json
from inference.number_format import write_number
from inference.number_forms import FORMS, UNITS, table
from inference.numbers import LONGEST, TROUBLES, UnreadNumber
from inference.release import Release, open_release
from inference.settings import ROOT
from models.recipes import RECIPES
from web.cards.problem_card import explain, message
from web.pages.templates import render
from web.pages.texts import LANGUAGES, texts_in

WORDS = {
    "$": ("$", "$"),
    "€": ("€", "€"),
    "USD": ("USD", "USD"),
    "€ a month": ("€ a month", "€ par mois"),
    "k€": ("k€", "k€"),
    "money units": ("money units", "unités monétaires"),
    "months": ("months", "mois"),
    "years": ("years", "ans"),
    "people": ("people", "personnes"),
    "%": ("%", "%"),
    "": ("", ""),
}
ONE = {
    "money units": ("money unit", "unité monétaire"),
    "months": ("month", "mois"),
    "years": ("year", "an"),
    "people": ("person", "personne"),
}


def field_of(unit: str, **rest: Any) -> NumberField:
    """A number field of this unit, from -10 to 10 million where nothing else is said."""
    (en, fr), one = WORDS[unit], ONE.get(unit, WORDS[unit])
    texts = {"unit": {"en": en, "fr": fr}, "unit_one": {"en": one[0], "fr": one[1]}}
    low, high = rest.pop("low", -10), rest.pop("high", 10_000_000)
    found = field_from_json(number("amount", low, high, **texts, **{"example": 1500, **rest}))
    assert isinstance(found, NumberField)
    return found


# --- what is read ---


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        ("$", "USD 25000", 25000), ("$", "25000 usd", 25000), ("$", "$ 50000", 50000), ("$", "150 000 $", 150000),
        ("$", "US$50000", 50000), ("$", "-$5", -5), ("$", "$-5", -5), ("$", "\N{MINUS SIGN}5", -5),
        ("€", "1000 EUR", 1000), ("€", "€1000", 1000), ("€", "1000 euros", 1000), ("USD", "$1000", 1000),
        ("money units", "1000 EUR", 1000), ("money units", "$1000", 1000), ("money units", "1 money unit", 1),
        ("money units", "2 unités monétaires", 2), ("money units", "2 UNITES MONETAIRES", 2),
        ("€ a month", "€1200 a month", 1200), ("€ a month", "1200 € par mois", 1200), ("€ a month", "1200 €", 1200),
        ("k€", "50 k€", 50), ("months", "48 months", 48), ("months", "1 month", 1), ("months", "48 mois", 48),
        ("people", "1 person", 1), ("people", "1 personne", 1), ("years", "1 an", 1),
        ("%", "50%", 50), ("%", "50 %", 50), ("%", "50\u202f%", 50), ("%", "50 per cent", 50),
        ("%", "50 pour cent", 50),
        ("$", "1'000", 1000), ("$", "1\u2019000", 1000), ("$", "1 300", 1300), ("$", "1\u00a0300", 1300),
        ("$", "1\u202f300", 1300), ("$", "1\u2009300", 1300), ("$", "1\u3000300", 1300), ("$", "1'234'567", 1234567),
        ("$", "1,234,567", 1234567), ("$", "1.234.567", 1234567), ("$", "1,234.56", 1234.56),
        ("$", "1.234,56", 1234.56),
        ("$", "1 234,56", 1234.56), ("$", "1 234.56", 1234.56), ("$", "\uff11\uff12", 12), ("$", "\u0661\u0662", 12),
        ("$", "\u06f1\u06f2", 12), ("$", "\u0661\u066c\u0662\u0663\u0664\u066b\u0665", 1234.5),
        ("$", "\u200e12\u200f", 12),
        ("$", "\uff0d\uff11\uff0c\uff12\uff13\uff14\uff0e\uff15", -1234.5), ("$", "+5", 5), ("$", "007", 7),
    ],
)  # fmt: skip
def test_forms_that_both_languages_read(unit: str, text: str, value: float, language: str) -> None:
    """Units, currencies, per cent, spaces, apostrophes, other digits; separators that can mean only one thing."""
    assert field_of(unit).read(text, language) == value


@pytest.mark.parametrize(
    ("unit", "text", "language", "value"),
    [
        ("$", "$50,000", "en", 50000), ("$", "18,000", "en", 18000), ("$", "0.384", "en", 0.384),
        ("$", ".5", "en", 0.5),
        ("$", " 12. ", "en", 12), ("$", "18.25", "en", 18.25), ("$", "18.0000", "en", 18),
        ("$", "0,384", "fr", 0.384),
        ("$", ",5", "fr", 0.5), ("$", "12,", "fr", 12), ("$", "18,25", "fr", 18.25), ("$", "18,0000", "fr", 18),
    ],
)  # fmt: skip
def test_forms_of_one_language(unit: str, text: str, language: str, value: float) -> None:
    """The language's own decimal mark and, in English, the comma of its thousands; a leading 0 is no group."""
    assert field_of(unit).read(text, language) == value


@pytest.mark.parametrize(
    ("unit", "text", "language", "readings"),
    [
        ("$", "18.000", "en", (18, 18000)), ("$", "18,000", "fr", (18, 18000)), ("$", "18.000", "fr", (18, 18000)),
        ("$", "$18.000", "en", (18, 18000)), ("$", "-1.250", "en", (-1.25, -1250)),
        ("$", "1.250 $", "fr", (1.25, 1250)),
        ("$", "1234.567", "en", (1234.567, 1234567)), ("$", "\uff11\uff0e\uff12\uff13\uff14", "en", (1.234, 1234)),
        ("money units", "18.000", "en", (18, 18000)), ("k€", "18.000", "en", (18, 18000)),
        ("€ a month", "1.250", "en", (1.25, 1250)),
    ],
)  # fmt: skip
def test_a_factor_of_a_thousand_is_asked_about(
    unit: str, text: str, language: str, readings: tuple[float, ...]
) -> None:
    """Three digits after a lone mark that may be a decimal one: both readings, however little the field takes."""
    for high in (100, 10_000_000):
        found = field_of(unit, high=high).read(text, language)
        assert isinstance(found, UnreadNumber)
        assert (found.kind, found.readings) == ("ambiguous_number", readings)


def test_whole_numbers_are_asked_about_too() -> None:
    """Nobody employs 6.000 people; but six, or six thousand."""
    found = field_of("people", whole=True).read("6.000", "en")
    assert isinstance(found, UnreadNumber)
    assert found.readings == (6, 6000)


def test_a_share_of_three_digits_is_read() -> None:
    """12.375 % is a percentage where 12,375 % cannot be; where it could be, it is asked about."""
    assert field_of("%", high=100).read("12.375", "en") == 12.375
    assert field_of("%", high=100).read("12,375 %", "fr") == 12.375
    assert isinstance(field_of("%", high=100_000).read("12.375", "en"), UnreadNumber)


@pytest.mark.parametrize(
    ("unit", "text", "language", "kind", "readings"),
    [
        ("$", "1,5", "en", "decimal_mark", (1.5,)), ("$", "1.5", "fr", "decimal_mark", (1.5,)),
        ("$", "0,384", "en", "decimal_mark", (0.384,)), ("$", "-1,5", "en", "decimal_mark", (-1.5,)),
        ("$", "1,0000", "en", "grouping", ()), ("$", "10 00", "fr", "grouping", ()),
        ("$", "1,23,456", "en", "grouping", ()),
        ("$", "0,123,456", "en", "grouping", ()), ("$", "1 234'567", "en", "grouping", ()),
        ("$", "12,", "en", "grouping", ()),
        ("$", "1e5", "en", "in_full", (100000,)), ("$", "1E+05", "fr", "in_full", (100000,)),
        ("$", "1e999", "en", "in_full", ()),
        ("$", "50k", "en", "in_full", (50000,)), ("$", "2 million", "en", "in_full", ()),
        ("$", "50 k$", "fr", "in_full", (50000,)),
        ("$", "1_0", "en", "extra_within", ()), ("$", "1_000", "fr", "extra_within", ()),
        ("$", "12abc", "en", "extra_after", ()),
        ("$", "about 12", "en", "extra_before", ()), ("$", "50%", "en", "extra_after", ()),
        ("months", "$48", "en", "extra_before", ()),
        ("months", "4 years", "en", "extra_after", ()), ("$", "1000 EUR", "en", "other_currency", ()),
        ("€", "USD 1000", "fr", "other_currency", ()), ("$", "CA$1000", "en", "other_currency", ()),
        ("€", "$18.000", "en", "other_currency", ()), ("money units", "$50 EUR", "en", "extra_after", ()),
        ("$", "10\N{SUPERSCRIPT TWO}", "en", "not_a_number", ()),
        ("$", "\N{VULGAR FRACTION ONE HALF}", "en", "not_a_number", ()),
        ("$", "0x10", "en", "not_a_number", ()), ("$", "1-2", "en", "not_a_number", ()),
        ("$", "5-", "en", "not_a_number", ()),
        ("$", "--1", "en", "not_a_number", ()), ("$", "(5)", "en", "not_a_number", ()),
        ("$", "nan", "en", "not_a_number", ()),
        ("$", "inf", "en", "not_a_number", ()), ("$", "", "en", "not_a_number", ()),
        ("$", "9" * (LONGEST + 1), "en", "not_a_number", ()),
        ("$", "\u0967\u0968", "en", "not_a_number", ()), ("$", "1\n000", "en", "not_a_number", ()),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_for_a_reason(
    unit: str, text: str, language: str, kind: str, readings: tuple[float, ...]
) -> None:
    """The kind names the trouble; where the text can mean one number only, that is offered."""
    found = field_of(unit).read(text, language)
    assert isinstance(found, UnreadNumber)
    assert (found.kind, found.readings) == (kind, readings)


@pytest.mark.parametrize(("text", "value"), [("1e+05", 1e5), ("1E5", 1e5), ("-2.5e-3", -0.0025), ("1.234e+05", 123400)])
def test_exponents_are_read_in_files(text: str, value: float) -> None:
    """As R and Excel write them, in ASCII alone; nothing else that Python's float takes."""
    assert field_of("$").read(text, "en", exponents=True) == value
    for odd in ("1,5e3", "\uff11e5", "1_0", "1_0e5", "nan", "1e5 $"):
        assert isinstance(field_of("$").read(odd, "en", exponents=True), UnreadNumber)


# --- properties ---

MARKS = "0123456789.,.,.,' '\u00a0\u202f"
UNIT_NAMES = st.sampled_from(sorted(WORDS))


def meanings(text: str) -> set[Decimal]:
    """All that digits with separators can mean by anybody's habits: any point or comma may be a decimal mark, and
    whatever is left of it is grouped in threes by one mark."""
    text = re.sub("[ \u00a0\u202f]", " ", text)
    found: set[Decimal] = set()
    splits = [(text, "")] + [(text[:at], text[at + 1 :]) for at, mark in enumerate(text) if mark in ".,"]
    for whole, after in splits:
        if after and not after.isdigit():
            continue
        grouped = re.fullmatch(r"[1-9][0-9]{0,2}(?:([., '])[0-9]{3}(?:\1[0-9]{3})*)", whole)
        if grouped and grouped[1] == text[len(whole) : len(whole) + 1]:
            continue  # one mark cannot both group and end the whole number: 1.000.000 is a million
        # A writer who forgot where groups begin still means all digits to count: 1234.567 for 1,234,567.
        loose = whole if whole == text and re.fullmatch(r"[1-9][0-9]*[.,][0-9]{3}", whole) else ""
        if whole.isdigit() or grouped or loose or (not whole and after):
            digits = re.sub("[^0-9]", "", whole) or "0"
            found.add(Decimal(f"{digits}.{after or '0'}"))
    return found


@given(st.text(MARKS, min_size=1, max_size=12), st.sampled_from(LANGUAGES))
def test_nothing_is_off_by_a_thousand(text: str, language: str) -> None:
    """What is read of a sum is the only thing that the text can mean, but for the comma that groups in English."""
    found = field_of("$").read(text, language)
    text = text.strip()
    if isinstance(found, UnreadNumber):
        assert found.kind in TROUBLES
        return
    can_mean = meanings(re.sub(r"[.,]$", "", text))
    assert float(found) in {float(one) for one in can_mean}
    if language == "en" and re.fullmatch(r"[1-9][0-9]{0,2},[0-9]{3}", text):
        return
    assert {float(one) for one in can_mean} == {float(found)}


@given(st.integers(1, 999), st.integers(0, 999), st.sampled_from(LANGUAGES), st.sampled_from([".", ","]))
def test_every_lone_mark_before_three_digits(first: int, rest: int, language: str, mark: str) -> None:
    """A million numbers, each asked about with both readings, or grouped by the English comma."""
    found = field_of("$").read(f"{first}{mark}{rest:03}", language)
    if (language, mark) == ("en", ","):
        assert found == 1000 * first + rest
    else:
        assert isinstance(found, UnreadNumber)
        assert found.readings == (float(f"{first}.{rest:03}"), 1000 * first + rest)


@given(UNIT_NAMES, st.decimals(-9_999_999, 9_999_999, places=3), st.sampled_from(LANGUAGES), st.booleans())
def test_what_is_shown_reads_back(unit: str, value: Decimal, language: str, whole: bool) -> None:
    """With its unit, without it, and with its separators taken out, as a box holds it while somebody edits."""
    field = field_of(unit, whole=whole)
    amount = float(round(value) if whole else value)
    box = field.write(amount, language)
    for text in (field.show(amount, language), box, box.replace("\u202f" if language == "fr" else ",", "")):
        assert field.read(text, language) == amount, text


@given(UNIT_NAMES, st.floats(1e-6, 1e15), st.sampled_from(LANGUAGES))
def test_a_box_holds_every_digit(unit: str, value: float, language: str) -> None:
    """Whatever number the API recorded, its case can be corrected at the desk without moving it."""
    field = field_of(unit, high=1e15)
    assert field.read(field.write(value, language), language) == value


@given(st.floats(-1e20, 1e20))
def test_no_exponent_is_written(value: float) -> None:
    """Nobody reads 1e+12 at a desk, and the desk would refuse it."""
    assert "e" not in write_number(value, "en").lower()
    assert float(write_number(value, "en").replace(",", "")) == pytest.approx(value, rel=1e-9)


@pytest.mark.slow
@given(st.text(max_size=LONGEST + 5), UNIT_NAMES, st.sampled_from(LANGUAGES), st.booleans())
def test_any_text_is_a_finite_number_or_is_explained(text: str, unit: str, language: str, whole: bool) -> None:
    """In every field and language, in words of ours."""
    field = field_of(unit, whole=whole)
    found = field.read(text, language)
    if isinstance(found, UnreadNumber):
        assert found.kind in TROUBLES
        with pytest.raises(Exception, match="amount") as refused:
            field.parse(found)
        assert explain(refused.value.problem, field, texts_in(language))  # type: ignore[attr-defined]
    else:
        assert math.isfinite(found)
        assert any(mark.isdigit() for mark in text)


# --- what is shown ---


@pytest.mark.parametrize(
    ("unit", "value", "english", "french"),
    [
        ("$", 150000, "$150,000", "150\u202f000\u00a0$"), ("$", -5, "-$5", "-5\u00a0$"), ("$", 1, "$1", "1\u00a0$"),
        ("€ a month", 1200, "€1,200 a month", "1\u202f200\u00a0€ par mois"), ("USD", 5, "5 USD", "5 USD"),
        ("k€", 50, "50\u00a0k€", "50\u00a0k€"), ("%", 75, "75\u202f%", "75\u202f%"), ("%", 1, "1\u202f%", "1\u202f%"),
        ("years", 0, "0 years", "0 an"), ("years", 0.5, "0.5 years", "0,5 an"), ("years", 1, "1 year", "1 an"),
        ("years", 1.5, "1.5 years", "1,5 an"), ("years", 2, "2 years", "2 ans"), ("months", 1, "1 month", "1 mois"),
        ("people", 1, "1 person", "1 personne"), ("people", 0, "0 people", "0 personne"),
        ("money units", 1, "1 money unit", "1 unité monétaire"),
        ("money units", 0.99999999999, "1 money unit", "1 unité monétaire"),
        ("$", 18.125, "$18.1250", "18,1250\u00a0$"), ("", 1, "1", "1"),
        ("$", 1e12, "$1,000,000,000,000", "1\u202f000\u202f000\u202f000\u202f000\u00a0$"),
    ],
)  # fmt: skip
def test_units_and_currencies_stand_where_the_language_puts_them(
    unit: str, value: float, english: str, french: str
) -> None:
    """English has the singular for one, French below two; a currency's sign comes first in English, last in French."""
    field = field_of(unit)
    assert (field.show(value, "en"), field.show(value, "fr")) == (english, french)


def test_a_release_of_before_has_no_singular() -> None:
    """Where a description has no `unit_one`, the unit is shown as it is: nothing is derived."""
    field = field_from_json(number("term", unit={"en": "months", "fr": "mois"}))
    assert field.show(1.0, "en") == "1 months"


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_says_its_singulars(name: str) -> None:
    """Of each unit that is a word, in both languages; so no new release shows "1 years"."""
    fields = [spec for spec in RECIPES[name].fields if spec["kind"] == "number"]
    assert fields
    for spec in fields:
        field = field_from_json({"usual": [0, 1], "typical": [0, 1], "reference": 0, **spec})
        if spec["unit"]["en"] not in ("$", "%"):
            assert spec["unit_one"]["en"] != spec["unit"]["en"]
        for language in LANGUAGES:
            assert not re.search(r"\d.*s( |$)", field.show(1.0, language).replace("mois", "")), field.show(
                1.0, language
            )


# --- the page, the command line, files, the API ---


@pytest.fixture(params=NAMES)
def served(request: pytest.FixtureRequest) -> Release:
    return open_release(newest(request.param))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_names_the_trouble_and_shows_an_example_of_the_field(served: Release, language: str) -> None:
    """In the page's language, for every number of the release; two readings are two buttons."""
    texts = texts_in(language)
    lone = "." if language == "en" else ","
    tried = 0
    for field in served.form.fields:
        if not isinstance(field, NumberField):
            continue
        for text in ("12abc", "about 12", "1_0", "10 00", "1e5", "abc"):
            problem = refused(field, text, language)
            said = explain(problem, field, texts)
            assert field.show(field.typical_answer, language) in said
            assert problem.extra in said
            if problem.kind == "in_full":  # to its writer 1e5 is a number: it must be seen which are allowed
                assert all(write_number(bound, language) in said for bound in (field.minimum, field.maximum))
            tried += 1
        if field.unit["en"] != "%":
            html = render(message(refused(field, f"18{lone}000", language), field, texts), texts)
            assert re.findall(r'data-text="([^"]*)"', html) == [write_number(one, language) for one in (18, 18000)]
            assert html.count("<button") == 2
    assert tried >= 30


def refused(field: NumberField, text: str, language: str) -> Any:
    with pytest.raises(Exception, match=field.name) as caught:
        field.parse(field.read(text, language))
    return caught.value.problem  # type: ignore[attr-defined]


def example_of(release: Release) -> tuple[dict[str, object], NumberField]:
    """The example's answers, and the field with the amount."""
    at = release.policy.amount_at
    assert at is not None
    field = release.form.fields[at]
    assert isinstance(field, NumberField)
    return dict(release.form.example), field


def scored(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(["score", *words])
    return status, *capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pairs", "file"])
def test_texts_of_the_command_line_and_of_files(
    served: Release, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`2,000`, `$2000` and `2e+03` are 2000; `2.000` is refused with both readings; French is read where it is said."""
    monkeypatch.setenv("TENFOLD_LOG", "off")
    answers, field = example_of(served)

    def tried(text: object, *more: str) -> tuple[int, str, str]:
        given = answers | {field.name: text}
        if how == "pairs":
            words = [f"{name}={answer}" for name, answer in given.items()]
        else:
            (tmp_path / "application.json").write_text(json.dumps(given))
            words = [str(tmp_path / "application.json")]
        return scored(["--release", str(served.folder), *more, *words], capsys)

    expected = json.loads(tried(2000)[1])["pd"]
    for text in ("2,000", "$2000", "2e+03", "2 000", "USD 2000"):
        status, out, _ = tried(text)
        assert (status, json.loads(out)["pd"]) == (0, expected), text
    assert json.loads(tried("2\u202f000,0", "--language", "fr")[1])["pd"] == expected
    for text, said in (("2.000", "2 or 2000"), ("2_000", "inside the number"), ("nan", "not a number"), ("1,5", "1.5")):
        status, out, err = tried(text)
        assert (status, out) == (2, "")
        assert said in err


def test_the_api_takes_numbers_alone(served: Release) -> None:
    """A text is refused as ever, with what to send instead; one that can mean two numbers, with both."""
    answers, field = example_of(served)
    for text, said in (
        ("2.000", "2 or 2000"),
        ("2,000", "2 or 2000"),
        ("2000", "such as 2000"),
        ("$1,234.5", "1234.5"),
        ("1e39", f"such as {field.typical_answer:g}, in JSON"),  # and not a number of forty digits, beyond the bounds
    ):
        with pytest.raises(InvalidApplication) as caught:
            served.form.parse(answers | {field.name: text})
        (problem,) = caught.value.problems
        assert problem.kind == "not_a_number"
        assert said in problem.hint
        assert "JSON" in problem.hint


# --- the page of documentation ---


def test_the_table_of_forms_is_what_the_grammar_says(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/numbers.md holds what `python -m inference numbers` prints."""
    page = (ROOT / "docs" / "numbers.md").read_text("utf-8")
    assert page.partition("<!-- forms -->\n")[2].partition("\n<!-- /forms -->")[0] == table()
    assert main(["numbers"]) == 0
    assert capsys.readouterr().out == table() + "\n"
    assert FORMS.keys() == UNITS.keys()
    assert len(table().splitlines()) == 2 + sum(len(forms) for forms in FORMS.values())
    assert "docs/numbers.md" in (ROOT / "README.md").read_text("utf-8")

"""Questions that the loans cannot answer, each with the draft's default and its place in the recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.draft.columns import DIGITS_ONLY, Column
from models.draft.form import Field
from models.draft.judging import Labels
from models.draft.leaks import FILLED_TELLS, WEIGHTS, Leak, missing_tells, sounds_later
from models.draft.outcome import Outcome, listed
from models.prohibited import words

MOST_OUTSIDE = 0.02  # share of the loans that may be left out without a question


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the analyst."""

    key: str  # where the recipe has it
    text: str
    default: str  # what the draft takes
    why: str = ""  # what the loans say


def first_questions(
    outcome: Outcome, decimal_evidence: str, decimal: str, days: Sequence[Column], date: str
) -> list[Question]:
    """Questions that can be asked as soon as the file is read."""
    questions = []
    if outcome.doubt:
        questions.append(Question(
            "loans.bad", f"Which values of {outcome.target} mean that the loan went bad?",
            f"bad: {listed(outcome.bad)}; good: {listed(outcome.good)}", outcome.doubt,
        ))  # fmt: skip
    if outcome.warning:
        questions.append(
            Question("loans.target", f"Is {outcome.target} what became of the loans?", "yes", outcome.warning)
        )
    if decimal_evidence:
        questions.append(Question("loans.read", "What is the decimal sign?", repr(decimal), decimal_evidence))
    questions.append(
        Question(
            "loans.horizon",
            "For how long after the loan was made was it observed whether it went bad?",
            "not known; the model card says so",
        )
    )
    questions.append(Question("loans.declined", "Are applicants who were declined in this file?",
                          "no; card and report say that all figures hold for approved loans only"))  # fmt: skip
    questions.append(Question("policy", "What does a good loan earn, and which share of a bad one is lost?",
                          "margin 0.10, loss 0.60 of the amount: approves below a PD of 14.3 %"))  # fmt: skip
    if days and not date:
        again = f"Is {days[0].name} the day of application? Then draft again with --date {days[0].name!r}"
        questions.append(Question("loans.date", f"{again}: later loans judge the model.", "no dates, folds judge"))
    for column in days:
        if column.doubt and (column.name == date or column.form in DIGITS_ONLY):
            without = "" if column.name == date else f"; left out. If it is a number: --ask {column.name!r}"
            questions.append(
                Question("loans.read", f"Does {column.name} {column.doubt}?", f"dates by {column.form!r}{without}")
            )
    return questions


def more_questions(
    fields: Sequence[Field],
    columns: Mapping[str, Column],
    leaks: Sequence[Leak],
    filled: Mapping[str, float],
    customers: str,
    bad: Labels,
    ages: Sequence[str],
) -> list[Question]:
    """Questions that the proposed form raises."""
    questions = []

    def ask(key: str, text: str, default: str, of: Sequence[str], separator: str = ", ") -> None:
        """Ask one question about several columns, if there are any."""
        if of:
            shown = separator.join(of[:8]) + (f"{separator}…" if len(of) > 8 else "")
            questions.append(Question(key, f"{text} {shown}", default))

    ask(
        "loans.leave_out", "Was any of these known when the loan was applied for?", "no, left out",
        [f"{leak.name} ({leak.why})" for leak in leaks], "; ",
    )  # fmt: skip
    ask(
        "fields", "Were these known, and missing where they are, when the loan was applied for?", "yes",
        [
            f"{field.column} (whether it is filled tells with AUC {filled[field.column]:.2f})"
            for field in fields
            if filled.get(field.column, 0.5) > 0.5 + FILLED_TELLS
        ]
        + [
            f"{field.column} ({outcome_of_missing})"
            for field in fields
            if filled.get(field.column, 0.5) <= 0.5 + FILLED_TELLS
            and (outcome_of_missing := missing_tells(columns[field.column], bad))
        ]
        + [field.column for field in fields if sounds_later(field.column)],
    )  # fmt: skip
    ask(
        "loans.weight", "Is this a weight of the loans, and nothing that an applicant can answer?", "no, asked",
        [field.column for field in fields if field.kind == "number" and set(words(field.column)) & WEIGHTS],
    )  # fmt: skip
    ask(
        "fields.….not_stated", "What do these numbers mean, which stand apart from all others?", "not stated",
        [f"{field.column}: {', '.join(f'{code:g}' for code in field.codes)}" for field in fields if field.codes], "; ",
    )  # fmt: skip
    ask(
        "loans.read", "What do these words among numbers mean?", "not stated",
        [f"{field.column}: {listed(columns[field.column].words)}" for field in fields if columns[field.column].words],
        "; ",
    )  # fmt: skip
    far = [field for field in fields if field.kind == "number" and field.outside]
    share = sum(field.outside for field in far) / len(bad)
    ask(
        "fields.….range", "Are the bounds right?",
        "loans outside are left out, and counted" + (f" ({share:.1%} of all)" if share > MOST_OUTSIDE else ""),
        [
            f"{field.column}: {field.outside:,} loans outside of {field.range[0]:g} to {field.range[1]:g}, "
            f"up to {field.furthest:g}"
            for field in far
        ],
        "; ",
    )  # fmt: skip
    ask(
        "fields.….choices", "What does each digit mean?", "a choice, labelled with the digit",
        [field.column for field in fields if field.digits],
    )  # fmt: skip
    if any(field.column.startswith("column_") for field in fields):
        questions.append(
            Question("fields.….label", "What are the columns called? The file has no header.", "column 1, column 2, …")
        )
    if customers:
        text = f"Does {customers} name the customer, who has several loans here?"
        questions.append(Question("loans.group", text, "yes, never on both sides of a split"))
    if ages:
        text = f"Why does the law let you ask {', '.join(ages)}?"
        questions.append(Question("fields.….why_age", text, "none, training refuses until it is said"))
    return questions

"""What the loans cannot decide, each with the default that a draft takes and where the recipe says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.draft.columns import Column
from models.draft.form import Field
from models.draft.leaks import AFTERWARDS, FILLED_TELLS, Leak
from models.draft.outcome import Outcome, listed

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
    """What can be asked as soon as the file is read."""
    found = []
    if outcome.doubt:
        found.append(Question(
            "loans.bad", f"Which values of {outcome.target} mean that the loan went bad?",
            f"bad: {listed(outcome.bad)}; good: {listed(outcome.good)}", outcome.doubt,
        ))  # fmt: skip
    if outcome.warning:
        found.append(Question("loans.target", f"Is {outcome.target} what became of the loans?", "yes", outcome.warning))
    if decimal_evidence:
        found.append(Question("loans.read", "What is the decimal sign?", repr(decimal), decimal_evidence))
    found.append(Question("loans.horizon", "Over which time after the loan was made was it seen whether it went bad?",
                          "not known; the model card says so"))  # fmt: skip
    found.append(Question("loans.declined", "Are applicants who were declined in this file?",
                          "no; card and report say that all figures hold for approved loans only"))  # fmt: skip
    found.append(Question("policy", "What does a good loan earn, and which share of a bad one is lost?",
                          "margin 0.10, loss 0.60 of the amount: approves below a PD of 14.3 %"))  # fmt: skip
    if days and not date:
        again = f"Is {days[0].name} the day of application? Then draft again with --date {days[0].name!r}"
        found.append(Question("loans.date", f"{again}: later loans judge the model.", "no dates, folds judge"))
    swapped = next((column for column in days if column.name == date and column.either_order), None)
    if swapped:
        found.append(Question("loans.read", f"Does {swapped.name} write the day or the month first?", swapped.form))
    return found


def more_questions(
    fields: Sequence[Field],
    columns: Mapping[str, Column],
    leaks: Sequence[Leak],
    filled: Mapping[str, float],
    customers: str,
    loans: int,
    ages: Sequence[str],
) -> list[Question]:
    """What the proposed form brings up."""
    found = []

    def ask(key: str, text: str, default: str, of: Sequence[str], separator: str = ", ") -> None:
        """One question about several columns, where there are any."""
        if of:
            shown = separator.join(of[:8]) + (f"{separator}…" if len(of) > 8 else "")
            found.append(Question(key, f"{text} {shown}", default))

    ask(
        "loans.leave_out", "Was any of these known when the loan was applied for?", "no, left out",
        [f"{leak.name} ({leak.why})" for leak in leaks], "; ",
    )  # fmt: skip
    ask(
        "fields", "Were these known, and missing where they are, when the loan was applied for?", "yes",
        [
            f"{one.column} (whether it is filled tells with AUC {filled[one.column]:.2f})"
            for one in fields
            if filled.get(one.column, 0.5) > 0.5 + FILLED_TELLS
        ]
        + [one.column for one in fields if AFTERWARDS.search(one.column)],
    )  # fmt: skip
    ask(
        "fields.….not_stated", "What do these numbers mean, which stand apart from all others?", "not stated",
        [f"{one.column}: {', '.join(f'{code:g}' for code in one.codes)}" for one in fields if one.codes], "; ",
    )  # fmt: skip
    ask(
        "loans.read", "What do these words among numbers mean?", "not stated",
        [f"{one.column}: {listed(columns[one.column].words)}" for one in fields if columns[one.column].words], "; ",
    )  # fmt: skip
    far = [one for one in fields if one.kind == "number" and one.outside]
    share = sum(one.outside for one in far) / loans
    ask(
        "fields.….range", "Are the bounds right?",
        "loans outside are left out, and counted" + (f" ({share:.1%} of all)" if share > MOST_OUTSIDE else ""),
        [
            f"{one.column}: {one.outside:,} loans outside of {one.range[0]:g} to {one.range[1]:g}, "
            f"up to {one.furthest:g}"
            for one in far
        ],
        "; ",
    )  # fmt: skip
    ask(
        "fields.….choices", "What does each digit mean?", "a choice, labelled with the digit",
        [one.column for one in fields if one.digits],
    )  # fmt: skip
    if any(one.column.startswith("column_") for one in fields):
        found.append(
            Question("fields.….label", "What are the columns called? The file has no header.", "column 1, column 2, …")
        )
    if customers:
        text = f"Does {customers} name the customer, who has several loans here?"
        found.append(Question("loans.group", text, "yes, never on both sides of a split"))
    if ages:
        text = f"Why does the law let you ask {', '.join(ages)}?"
        found.append(Question("fields.….why_age", text, "none, training refuses until it is said"))
    return found

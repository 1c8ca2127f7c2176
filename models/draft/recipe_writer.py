"""Writes a draft as a recipe (TOML): what must be answered is marked ASK and holds the default."""

import json
from collections.abc import Iterable, Mapping
from datetime import date

from models.draft.draft import LEFT_OUT, LOOKED_AT, NOT_ASKED, Draft, more_loans_needed
from models.draft.form import OTHER, Field, direction_word
from models.prohibited import aged

# The questions that stand above the fields, since each may concern several of them.
OF_FIELDS = ("fields", "fields.….not_stated", "fields.….range", "fields.….choices", "fields.….label")


def write_recipe(draft: Draft, name: str, today: date, command: str) -> str:
    """The recipe's text. Every column of the file has its place in it."""
    look = draft.look
    sections = [top(draft, name, today, command), loans(draft), found(draft)]
    if not look.request.date:
        sections.append(["[split]", "folds = 5", "repeats = 5"])
    sections += [
        [*asked(draft, "policy"), "[policy]", "margin = 0.10", "lgd = 0.60", "refer_band = 0.25",
         '# amount = "…"  # the field with what is lent'],
        model(draft),
        [line for key in OF_FIELDS for line in asked(draft, key)],
        *([*field_lines(field, draft)] for field in draft.fields),
    ]  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def top(draft: Draft, name: str, today: date, command: str) -> list[str]:
    loans = len(draft.look.bad)
    french = f"{loans:,}".replace(",", "\u202f")
    return [
        f"# Drafted {today.isoformat()} by `{command}`. {name}.draft.html, beside it, shows what the loans say.",
        "# A line marked ASK stops training: change what it says, or leave the default, and delete the mark.",
        f"# `tenfold check {name}.toml` lists what is still open: {len(draft.questions)} questions to begin with.",
        "format = 1",
        f"name = {text(name)}",
        f"title = {text(name.replace('_', ' ').capitalize())}  # for two languages: {{ en = …, fr = … }}",
        f"date = {today.isoformat()}  # of the release; no clock enters it",
        f'notice = {{ en = "Trained on {loans:,} loans of one lender.", '
        f'fr = "Entraîné sur {french} crédits d’un seul prêteur." }}',
        f"limits = {texts(limits(draft))}",
    ]


def limits(draft: Draft) -> list[str]:
    """What the draft can prove that a score cannot tell."""
    said = ["Approved loans only: nothing is known of applicants who were declined."]
    if not draft.look.request.date:
        said.append("Undated: nothing shows how the model ages.")
    if more := more_loans_needed(draft.look):
        said.append(more)
    return said


def loans(draft: Draft) -> list[str]:
    look, outcome = draft.look, draft.look.outcome
    undecided = sum(outcome.undecided.values())
    left = f"  # {undecided:,} loans are neither and left out" if undecided else ""
    lines = [
        "[loans]",
        f"file = {text(look.request.file.name)}",
        f"sha256 = {text(look.digest)}  # another file is refused, or drafted again",
        *asked(draft, "loans.read"),
        f"read = {table(look.reading.table())}  # nothing is guessed at training",
        *asked(draft, "loans.target"),
        f"target = {text(outcome.target)}",
        *asked(draft, "loans.bad"),
        f"bad = {texts(outcome.bad)}",
        f"good = {texts(outcome.good)}{left}",
        *asked(draft, "loans.horizon"),
        'horizon = "not known"',
        *asked(draft, "loans.declined"),
        "declined = false",
        *asked(draft, "loans.date"),
    ]
    if look.request.date:
        lines.append(f"date = {text(look.request.date)}  # month of application: later loans judge")
    if draft.customers:
        lines += [*asked(draft, "loans.group"), f"group = {text(draft.customers)}"]
    lines += asked(draft, "loans.leave_out")
    for key, role in (("leave_out", LEFT_OUT), ("not_asked", NOT_ASKED)):
        rows = [
            (column, why)
            for column, (becomes, why) in draft.verdicts.items()
            if becomes == role and column not in (look.request.date, draft.customers)
        ]
        if rows:
            listed = [f"  {{ column = {text(column)}, why = {text(why)} }}," for column, why in rows]
            lines += [f"{key} = [", *listed, "]"]
    if watched := [column for column, (becomes, _) in draft.verdicts.items() if becomes == LOOKED_AT]:
        lines.append(f"look_at = {texts(watched)}  # prohibited: never in the model, kept to measure it by group")
    return lines


def found(draft: Draft) -> list[str]:
    """The nested figure, which the model card leads with."""
    chosen = draft.selection
    return [
        "[draft]  # what the draft found; the model card leads with the nested figure, since a choice flatters itself",
        f"nested_auc = {chosen.nested.value:.4f}",
        f"interval = [{chosen.nested.low:.4f}, {chosen.nested.high:.4f}]",
        f"all_columns_auc = {draft.all_columns:.4f}",
        f"certain = {texts(chosen.certain)}",
        f"interchangeable = {texts(chosen.interchangeable)}",
        f"tried = {len(draft.worth)}",
    ]


def model(draft: Draft) -> list[str]:
    if draft.look.few:
        return ["[model]", 'kind = "scorecard"  # few loans went bad: trees would learn chance']
    many = len(draft.look.bad) >= 3000
    doubt = [f"accept_auc = {text('ASK: ' + one.text)}" for one in draft.questions if one.key == "model.accept_auc"]
    lines = ["[model]", f"trees = {300 if many else 250}", f"depth = {4 if many else 3}", 'calibration = "platt"']
    return lines + doubt


def field_lines(field: Field, draft: Draft) -> list[str]:
    """One field, with what the loans say of it as comments."""
    alone = draft.look.alone[field.column]
    lines = [
        f"[fields.{field.name}]  # AUC alone {alone:.3f}; {draft.verdicts[field.column][1]}",
        f"column = {text(field.column)}",
        f"label = {text(field.label)}",
    ]
    if field.kind == "number":
        lines += number_lines(field, draft)
    else:
        choices = ", ".join(f"{key(code)} = {label(both)}" for code, both in field.choices.items())
        values = ", ".join(f"{key(code)} = {texts(some)}" for code, some in field.values.items())
        lines += [f"example = {text(str(field.example))}", f"choices = {{ {choices} }}", f"values = {{ {values} }}"]
        if OTHER in field.choices:
            lines.append(f'outside = "{OTHER}"  # {field.outside:,} loans with answers that fewer than 30 loans have')
    if aged(field.column):
        lines.append('why_age = "ASK: say why the law lets you ask it"')
    return lines


def number_lines(field: Field, draft: Draft) -> list[str]:
    low, high = field.range
    beyond = f"  # {field.outside:,} loans lie outside, up to {field.furthest:g}: left out" if field.outside else ""
    lines = [f"unit = {label(field.unit)}"] if any(field.unit) else []
    lines.append(f"range = [{number(low)}, {number(high)}]{beyond}")
    lines += ["whole = true"] if field.whole else []
    lines += ["optional = true"] if field.optional else []
    lines += [f"not_stated = [{', '.join(map(number, field.codes))}]"] if field.codes else []
    lines.append(f"example = {number(float(field.example))}")
    directions = draft.directions
    cost = directions.cost.get(field.column, 0.0)
    if field.direction:
        lines.append(f'direction = "{direction_word(field.direction)}"  # costs {max(0.0, cost):.4f} of AUC')
    elif proposed := directions.proposed.get(field.column, 0):
        word = direction_word(proposed)
        lines.append(f"# no direction: the loans alone point {word}, but that would cost {cost:.4f} of AUC")
    return lines


def asked(draft: Draft, key: str) -> list[str]:
    """The questions of a key as comments above it."""
    return [
        f"# ASK {one_line(question.text)} Default: {one_line(question.default)}."
        + (f" ({one_line(question.why)})" if question.why else "")
        for question in draft.questions
        if question.key == key
    ]


def one_line(said: str) -> str:
    """A text that stays within a comment: no line end, no control character (TOML allows none there)."""
    return "".join(one if one.isprintable() else " " for one in said)


def text(said: str) -> str:
    """A TOML string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(said, ensure_ascii=False).replace("\x7f", "\\u007f")


def texts(said: Iterable[str]) -> str:
    return "[" + ", ".join(map(text, said)) + "]"


def label(both: tuple[str, str]) -> str:
    return text(both[0]) if both[0] == both[1] else f"{{ en = {text(both[0])}, fr = {text(both[1])} }}"


def key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").isalnum() else text(name)


def number(value: float) -> str:
    """A number as people write it in TOML: whole ones without a point, groups of thousands marked."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{int(value):_}"
    return repr(float(f"{value:.10g}"))


def table(said: Mapping[str, object]) -> str:
    def value(one: object) -> str:
        if isinstance(one, bool):
            return str(one).lower()
        if isinstance(one, list):
            return texts(one)
        return text(one) if isinstance(one, str) else str(one)

    return "{ " + ", ".join(f"{name} = {value(one)}" for name, one in said.items()) + " }" if said else "{}"

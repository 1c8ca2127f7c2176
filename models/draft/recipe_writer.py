"""Write a draft as a recipe (TOML): what must be answered is marked ASK and holds the default."""

import json
from collections.abc import Iterable, Mapping
from datetime import date

from models.draft.draft import LEFT_OUT, LOOKED_AT, NOT_ASKED, Draft, confirmed, more_loans_needed
from models.draft.form import OTHER, Field, direction_word
from models.prohibited import aged

# The questions above the fields, since each may concern several of them.
OF_FIELDS = ("fields", "fields.….not_stated", "fields.….range", "fields.….choices", "fields.….label")


def write_recipe(draft: Draft, name: str, today: date, command: str) -> str:
    """The recipe's text. It mentions every column of the file."""
    look = draft.look
    sections = [top(draft, name, today, command), loans(draft), draft_table(draft)]
    if not look.request.date:
        sections.append(["[split]", "folds = 5", "repeats = 5"])
    sections += [
        [*question_comments(draft, "policy"), "[policy]", "margin = 0.10", "lgd = 0.60", "refer_band = 0.25",
         '# amount = "…"  # the field with what is lent'],
        model(draft),
        [line for key in OF_FIELDS for line in question_comments(draft, key)],
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
        f"limits = {texts(limits(draft))}  # yours; what follows from this file (declined, dates, groups) is added",
    ]


def limits(draft: Draft) -> list[str]:
    """Limits of a score that only the draft knows; training adds those that follow from the recipe itself."""
    more = more_loans_needed(draft.look)
    return [more] if more else []


def loans(draft: Draft) -> list[str]:
    look, outcome = draft.look, draft.look.outcome
    undecided = sum(outcome.undecided.values())
    comment = f"  # {undecided:,} loans are neither and left out" if undecided else ""
    lines = [
        "[loans]",
        f"file = {text(look.request.file.name)}",
        f"sha256 = {text(look.digest)}  # another file is refused, or drafted again",
        *question_comments(draft, "loans.read"),
        f"read = {table(look.reading.table())}  # nothing is guessed at training",
        *question_comments(draft, "loans.target"),
        f"target = {text(outcome.target)}",
        *question_comments(draft, "loans.bad"),
        f"bad = {texts(outcome.bad)}",
        f"good = {texts(outcome.good)}{comment}",
        *question_comments(draft, "loans.horizon"),
        'horizon = "not known"',
        *question_comments(draft, "loans.declined"),
        "declined = false",
        *question_comments(draft, "loans.date"),
    ]
    if look.request.date:
        lines.append(f"date = {text(look.request.date)}  # month of application: later loans judge")
    if draft.look.customers:
        lines += [*question_comments(draft, "loans.group"), f"group = {text(draft.look.customers)}"]
    lines += [*question_comments(draft, "loans.weight"), *question_comments(draft, "loans.leave_out")]
    named_above = {
        column for column in (look.request.date, draft.look.customers) if column
    }  # a column may have no name
    for listed_in, role in (("leave_out", LEFT_OUT), ("not_asked", NOT_ASKED)):
        rows = [
            (column, why)
            for column, (becomes, why) in draft.verdicts.items()
            if becomes == role and column not in named_above
        ]
        if rows:
            listed = [f"  {{ column = {text(column)}, why = {text(why)} }}," for column, why in rows]
            lines += [f"{listed_in} = [", *listed, "]"]
    if watched := [column for column, (becomes, _) in draft.verdicts.items() if becomes == LOOKED_AT]:
        lines.append(f"look_at = {texts(watched)}  # prohibited: never in the model, kept to measure it by group")
    if whys := [
        f'{key(name)} = "ASK: say why it shows none ({", ".join(of)})"' for name, of in confirmed(look).items()
    ]:
        lines += ["[loans.not_prohibited]", *whys]
    return lines


def draft_table(draft: Draft) -> list[str]:
    """The table [draft], with the nested AUC that the model card leads with."""
    chosen = draft.selection
    return [
        "[draft]  # what the draft found; the model card leads with the nested figure, since a choice flatters itself",
        f"nested_auc = {draft.expected.value:.4f}",
        f"interval = [{draft.expected.low:.4f}, {draft.expected.high:.4f}]",
        *([f"judged_by = {text(draft.judged_by)}"] if draft.later else []),
        f"all_columns_auc = {draft.all_columns:.4f}",
        f"certain = {texts(chosen.certain)}",
        f"interchangeable = {texts(chosen.interchangeable)}",
        f"tried = {len(draft.worth)}",
    ]


def model(draft: Draft) -> list[str]:
    if draft.look.few:
        return ["[model]", 'kind = "scorecard"  # few loans went bad: trees would learn chance']
    many = len(draft.look.bad) >= 3000
    doubt = [
        f"accept_auc = {text('ASK: ' + question.text)}"
        for question in draft.questions
        if question.key == "model.accept_auc"
    ]
    lines = ["[model]", f"trees = {300 if many else 250}", f"depth = {4 if many else 3}", 'calibration = "platt"']
    return lines + doubt


def field_lines(field: Field, draft: Draft) -> list[str]:
    """One field, with what the loans say about it as comments."""
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
    lines += ["whole = true"] if field.integers else []
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


def question_comments(draft: Draft, key: str) -> list[str]:
    """The questions of a key as comments above it."""
    return [
        f"# ASK {one_line(question.text)} Default: {one_line(question.default)}."
        + (f" ({one_line(question.why)})" if question.why else "")
        for question in draft.questions
        if question.key == key
    ]


def one_line(text: str) -> str:
    """A text that stays within a comment: no line end, no control character (TOML allows none there)."""
    return "".join(character if character.isprintable() else " " for character in text)


def text(content: str) -> str:
    """A TOML string: JSON's escapes are valid in TOML, except that DEL must be escaped too."""
    return json.dumps(content, ensure_ascii=False).replace("\x7f", "\\u007f")


def texts(items: Iterable[str]) -> str:
    return "[" + ", ".join(map(text, items)) + "]"


def label(both: tuple[str, str]) -> str:
    return text(both[0]) if both[0] == both[1] else f"{{ en = {text(both[0])}, fr = {text(both[1])} }}"


def key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").isalnum() else text(name)


def number(value: float) -> str:
    """A number in TOML: whole numbers without a point and with grouped thousands."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{int(value):_}"
    return repr(float(f"{value:.10g}"))


def table(items: Mapping[str, object]) -> str:
    def value(content: object) -> str:
        if isinstance(content, bool):
            return str(content).lower()
        if isinstance(content, list):
            return texts(content)
        return text(content) if isinstance(content, str) else str(content)

    return "{ " + ", ".join(f"{name} = {value(item)}" for name, item in items.items()) + " }" if items else "{}"

"""The card of a lender's own release: who owns it, where its loans come from, what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.evaluation import ALL_COLUMNS
from models.model_card.captions import percent
from models.recipe import Lender

NOT_SAID = "not said in the recipe"
KEPT = 1e-9  # a smaller move of a PD counts as none


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """A Markdown table; with `numbers`, all columns but the first are right-aligned."""
    rule = ["---", *["---:" if numbers else "---"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def lead(lender: Lender, rows: Sequence[Mapping[str, Any]]) -> str:
    """The figure to expect, before all others."""
    draft = lender.draft
    headline = next(row for row in rows if "intervals" in row)
    nested = draft.get("nested_auc")
    if nested is None:
        first = (
            f"AUC {headline['auc']:.3f} on loans that the model had not seen. The fields were not chosen within the "
            "folds (the recipe has no nested figure): where they were chosen on these same loans, that flatters"
        )
    else:
        low, high = draft.get("interval", (None, None))
        within = "" if low is None else f" (95 % interval {low:.3f}–{high:.3f})"
        judged_by = draft.get("judged_by")
        chosen = f"on {judged_by}" if judged_by else "with the fields chosen anew inside each fold"
        if headline["auc"] < nested:
            first = (
                f"**AUC to expect: {headline['auc']:.3f} at most**, on loans that this model had not seen, with its "
                f"fields as they are. The draft’s own models, {chosen}, gave {nested:.3f}{within}: parameters, "
                "directions or bounds of this release cost the rest"
            )
        else:
            first = (
                f"**AUC to expect: {nested:.3f}**{within}, {chosen}. With the fields as they are it is "
                f"{headline['auc']:.3f} on unseen loans; that flatters, since the fields were chosen on these same "
                "loans"
            )
    every = next(
        (row for row in rows if row["model"] == ALL_COLUMNS and row["sample"] == headline["sample"].partition(",")[0]),
        None,
    )
    beside = (
        f". All usable columns, asked or not: {every['auc']:.3f}" if every else ". There is no column that is not asked"
    )
    lines = [f"{first}{beside}."]
    for key, text in (("certain", "Chosen every time"), ("interchangeable", "Interchangeable with others")):
        if draft.get(key):
            lines.append(f"{text}: {', '.join(f'`{name}`' for name in draft[key])}.")
    if not lender.declined:
        lines.append("All figures hold for loans that were approved.")
    return " ".join(lines)


def responsible(lender: Lender) -> str:
    """Who is responsible for it."""
    roles = (("Owner", lender.owner), ("Approved by", lender.approver), ("Validated", lender.validated))
    lines = [f"- {role}: {person or NOT_SAID}" for role, person in (*roles, ("Next review", lender.next_review))]
    return "\n".join(lines)


def intended_use(lender: Lender) -> str:
    return (
        f"{lender.intended_use or f'The lender’s: {NOT_SAID} (`card.intended_use`).'}\n\nA person decides each "
        "application; the score is one of the things that this person sees."
    )


def data(lender: Lender, loans: int, bad: int) -> str:
    """The file, what was left out of it and why, and every column that is not a field."""
    declined = "are in the file" if lender.declined else "are not in the file: all figures hold for approved loans only"
    parts = [
        f"The lender’s own file `{lender.file}` (sha256 `{lender.sha256}`), {lender.lines:,} loans. The model was "
        f"trained on {loans:,} of them, {bad:,} bad ({percent(bad / loans)}).\n\n"
        f"- “Bad” was seen over: {lender.horizon}\n- Declined applicants {declined}",
    ]
    if lender.undecided:
        counts = ", ".join(f"`{value}` {count:,}" for value, count in list(lender.undecided.items())[:20])
        parts[0] += f"\n- Neither good nor bad, and left out: {counts}"
    if lender.same_people:
        parts[0] += f"\n- Later loans of customers that were trained on, and so not judged by: {lender.same_people:,}"
    for what, why in lender.accepted.items():
        parts[0] += f"\n- Accepted: {what}, since: {why}"
    for what, why in lender.not_prohibited.items():
        parts[0] += f"\n- `{what}` is no prohibited attribute, since: {why}"
    if lender.left_out:
        total = sum(lender.left_out.values())
        rows = [[why, f"{count:,}"] for why, count in sorted(lender.left_out.items(), key=lambda item: -item[1])]
        parts.append(
            f"Loans that the form could not have given, left out ({total:,}):\n\n{table(['why', 'loans'], rows, True)}"
        )
    listed = [[f"`{name}`", "never", why] for name, why in lender.never_used.items()]
    listed += [[f"`{name}`", "by the model of all columns", why] for name, why in lender.not_asked.items()]
    listed += [[f"`{name}`", "only to look at groups", "prohibited"] for name in lender.look_at]
    if listed:
        parts.append(f"Columns that the form does not ask:\n\n{table(['column', 'used', 'why'], listed)}")
    return "\n\n".join(parts)


def directions(directions: Mapping[str, Any]) -> str:
    """What the directions cost, and whether they hold."""
    parts = []
    if directions["without"] is not None:
        rows = [["none", f"{directions['without']:.4f}"]]
        rows += [
            [f"`{column['column']}` {'up' if column['sign'] > 0 else 'down'} alone", f"{column['auc']:.4f}"]
            for column in directions["columns"]
            if column["auc"] is not None
        ]
        rows.append(["all together", f"{directions['together']:.4f}"])
        parts.append(f"AUC in one repeat of folds:\n\n{table(['directions', 'AUC'], rows, True)}")
    broken = [answer for answer in directions["answers"] if answer["worst"] > KEPT]
    if directions["answers"]:
        text = (
            f"Through the range of each of the {len(directions['answers'])} fields with a direction, all other answers "
            "as they are, no PD moved the wrong way."
            if not broken
            else "All other answers as they are, a PD moved the wrong way by up to "
            + ", ".join(f"{100 * answer['worst']:.2f} points (`{answer['field']}`)" for answer in broken)
            + ": features made of the field have no direction of their own (`model.directions`)."
        )
        parts.append(text)
    return "\n\n".join(parts) or "No field has one."


def groups(attributes: Sequence[Mapping[str, Any]]) -> str:
    """How the model treats groups that it cannot see."""
    if not attributes:
        return (
            "Not measured: no column was given to look at. That says nothing in either direction. No column whose name "
            "or answers show a prohibited attribute is a field; more than that is not known."
        )
    parts = [
        "Columns that the model does not know, on loans that it had not seen. Approved: a PD below the refer band."
    ]
    for attribute in attributes:
        head = [
            attribute["column"],
            "loans",
            "bad rate (95 % interval)",
            "mean PD",
            "AUC",
            "approved",
            "ratio to the highest",
        ]
        rows = [
            [
                row["group"], f"{row['loans']:,}",
                f"{percent(row['bad_rate'])} ({row['interval'][0] * 100:.1f}–{row['interval'][1] * 100:.1f})",
                percent(row["mean_pd"]), "–" if row["auc"] is None else f"{row['auc']:.3f}", percent(row["approved"]),
                "–" if row["ratio"] is None else f"{row['ratio']:.3f}",
            ]
            for row in attribute["groups"]
        ]  # fmt: skip
        if rows:
            parts.append(table(head, rows, True))
        if attribute["few"] or not rows:
            few = ", ".join(attribute["few"]) or "all"
            parts.append(f"{attribute['column']}: not measured, since there are too few loans: {few}.")
    return "\n\n".join(parts)

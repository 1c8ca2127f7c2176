"""What the card of a lender's own release says: whose it is, where its loans come from, what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.evaluation import ALL_COLUMNS
from models.model_card.captions import percent
from models.recipe import Lender

NOT_SAID = "not said in the recipe"
KEPT = 1e-9  # a PD that moves by less does not move


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """A Markdown table; with `numbers`, all columns but the first are right-aligned."""
    rule = ["---", *["---:" if numbers else "---"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def lead(lender: Lender, rows: Sequence[Mapping[str, Any]]) -> str:
    """The figure to expect, before all others."""
    found = lender.draft
    own = next(row for row in rows if "intervals" in row)
    nested = found.get("nested_auc")
    if nested is None:
        first = (
            f"AUC {own['auc']:.3f} on loans that the model had not seen. The fields were not chosen within the folds "
            "(the recipe has no nested figure): where they were chosen on these same loans, that flatters"
        )
    else:
        low, high = found.get("interval", (None, None))
        within = "" if low is None else f" (95 % interval {low:.3f}–{high:.3f})"
        flatters = "; that flatters, since the fields were chosen on these same loans" if own["auc"] > nested else ""
        first = (
            f"**AUC to expect: {nested:.3f}**{within}, with the fields chosen anew inside each fold. With the fields "
            f"as they are it is {own['auc']:.3f} on unseen loans{flatters}"
        )
    every = next(
        (row for row in rows if row["model"] == ALL_COLUMNS and row["sample"] == own["sample"].partition(",")[0]), None
    )
    beside = (
        f". All usable columns, asked or not: {every['auc']:.3f}" if every else ". There is no column that is not asked"
    )
    lines = [f"{first}{beside}."]
    for key, text in (("certain", "Chosen every time"), ("interchangeable", "Interchangeable with others")):
        if found.get(key):
            lines.append(f"{text}: {', '.join(f'`{name}`' for name in found[key])}.")
    if not lender.declined:
        lines.append("All figures hold for loans that were approved.")
    return " ".join(lines)


def responsible(lender: Lender) -> str:
    """Who answers for it."""
    said = (("Owner", lender.owner), ("Approved by", lender.approver), ("Validated", lender.validated))
    lines = [f"- {what}: {who or NOT_SAID}" for what, who in (*said, ("Next review", lender.next_review))]
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
        rows = [[why, f"{count:,}"] for why, count in sorted(lender.left_out.items(), key=lambda one: -one[1])]
        parts.append(
            f"Loans that the form could not have given, left out ({total:,}):\n\n{table(['why', 'loans'], rows, True)}"
        )
    listed = [[f"`{name}`", "never", why] for name, why in lender.never_used.items()]
    listed += [[f"`{name}`", "by the model of all columns", why] for name, why in lender.not_asked.items()]
    listed += [[f"`{name}`", "only to look at groups", "prohibited"] for name in lender.look_at]
    if listed:
        parts.append(f"Columns that the form does not ask:\n\n{table(['column', 'used', 'why'], listed)}")
    return "\n\n".join(parts)


def directions(found: Mapping[str, Any]) -> str:
    """What the directions cost, and whether they hold."""
    parts = []
    if found["without"] is not None:
        rows = [["none", f"{found['without']:.4f}"]]
        rows += [
            [f"`{one['column']}` {'up' if one['sign'] > 0 else 'down'} alone", f"{one['auc']:.4f}"]
            for one in found["columns"]
            if one["auc"] is not None
        ]
        rows.append(["all together", f"{found['together']:.4f}"])
        parts.append(f"AUC in one repeat of folds:\n\n{table(['directions', 'AUC'], rows, True)}")
    broken = [one for one in found["answers"] if one["worst"] > KEPT]
    if found["answers"]:
        text = (
            f"Through the range of each of the {len(found['answers'])} fields with a direction, all other answers as "
            "they are, no PD moved the wrong way."
            if not broken
            else "All other answers as they are, a PD moved the wrong way by up to "
            + ", ".join(f"{100 * one['worst']:.2f} points (`{one['field']}`)" for one in broken)
            + ": features made of the field have no direction of their own (`model.directions`)."
        )
        parts.append(text)
    return "\n\n".join(parts) or "No field has one."


def groups(found: Sequence[Mapping[str, Any]]) -> str:
    """How the model treats groups that it does not know."""
    if not found:
        return (
            "Not measured: no column was given to look at. That says nothing in either direction. No column whose name "
            "or answers show a prohibited attribute is a field; more than that is not known."
        )
    parts = [
        "Columns that the model does not know, on loans that it had not seen. Approved: a PD below the refer band."
    ]
    for one in found:
        head = [
            one["column"],
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
            for row in one["groups"]
        ]  # fmt: skip
        if rows:
            parts.append(table(head, rows, True))
        if one["few"] or not rows:
            few = ", ".join(one["few"]) or "all"
            parts.append(f"{one['column']}: not measured, since there are too few loans: {few}.")
    return "\n\n".join(parts)

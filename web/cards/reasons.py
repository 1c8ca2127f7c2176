"""What moved the PD: a bar a field, in log-odds against the reference applicant, with its odds factor in words."""

from html import escape

from inference.application import Application
from inference.fields import Field
from inference.number_format import localised, write_percent
from inference.policy import APPROVE
from inference.reasons import Explanation
from inference.release import Release
from web.lender import Lender, reason_text
from web.pages.texts import Texts

SMALLEST = 0.005  # log-odds; below it a factor reads as 1.00


def why(
    explanation: Explanation,
    principal: list[str],
    decision: str,
    application: Application,
    release: Release,
    texts: Texts,
    lender: Lender,
) -> str:
    """The section: where it starts, the bars, what had no effect, and draft reasons where it is no approval."""
    lead = texts(
        "why.lead",
        pd=write_percent(explanation.pd, texts.language),
        reference=write_percent(explanation.reference_pd, texts.language),
    )
    drafts = draft_reasons(principal, release, texts, lender) if decision != APPROVE else ""
    return f"<p>{escape(lead)}</p>{bars(explanation, application, release, texts)}{drafts}"


def bars(explanation: Explanation, application: Application, release: Release, texts: Texts) -> str:
    """A bar a field that moved the PD, the strongest first; then the fields that did not."""
    language = texts.language
    ranked = sorted(
        zip(explanation.effects, explanation.odds_factors, release.form.fields, application.values, strict=True),
        key=lambda one: -abs(one[0]),
    )
    moving = [one for one in ranked if abs(one[0]) >= SMALLEST]
    still = [field.label[language] for effect, _, field, _ in ranked if abs(effect) < SMALLEST]
    longest = max((abs(effect) for effect, *_ in moving), default=1.0)
    rows = "".join(row(effect, factor, longest, field, value, texts) for effect, factor, field, value in moving)
    rest = f'<p class="quiet">{escape(texts("why.still", fields=", ".join(still)))}</p>' if still else ""
    table = (
        f'<table class="effects"><caption class="visually-hidden">{escape(texts("why.title"))}</caption>'
        f'<thead class="visually-hidden"><tr><th scope="col">{escape(texts("why.answer"))}</th><td></td>'
        f'<th scope="col">{escape(texts("why.odds"))}</th></tr></thead><tbody>{rows}</tbody></table>'
        if rows
        else ""
    )
    return table + rest


def row(effect: float, factor: float, longest: float, field: Field, value: float, texts: Texts) -> str:
    """One field: its answer, its bar to the left (lowers) or right (raises), its factor."""
    language = texts.language
    width = 50 * abs(effect) / longest
    start = 50.0 if effect > 0 else 50.0 - width
    kind = "raises" if effect > 0 else "lowers"
    times = localised(f"{factor:.2f}", language)
    bar = (
        '<svg class="effect" width="100%" height="16" aria-hidden="true"><line x1="50%" x2="50%" y1="0" y2="16"/>'
        f'<rect class="{kind}" x="{start:.1f}%" width="{max(width, 0.6):.1f}%" y="3" height="10"/></svg>'
    )
    return (
        f'<tr><th scope="row">{escape(field.label[language])} <span>{escape(field.show(value, language))}</span></th>'
        f"<td>{bar}</td><td>{escape(texts(f'why.{kind}', factor=times))}</td></tr>"
    )


def draft_reasons(principal: list[str], release: Release, texts: Texts, lender: Lender) -> str:
    """Up to four principal reasons, which somebody must confirm; or a sentence that no reason raised the PD."""
    language = texts.language
    title = f"<h4>{escape(texts('why.draft'))}</h4>"
    if not principal:
        return f"{title}<p>{escape(texts('why.no_reason'))}</p>"
    items = [f"<li>{escape(reason_text(one, release, lender, language))}</li>" for one in principal]
    return f'{title}<ol>{"".join(items)}</ol><p class="quiet">{escape(texts("why.confirm"))}</p>'

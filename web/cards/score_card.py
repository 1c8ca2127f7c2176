"""The result panel, one HTML text for each of its states. Pure functions; every text is escaped here.

States: `intro` before the first score, `score`, `problems`. The page's script makes two more, `gone` and
`failed`, out of templates that are made here too.
"""

from collections.abc import Mapping, Sequence
from html import escape

import orjson
from markupsafe import Markup

from inference.application import Application
from inference.errors import Problem
from inference.fields import AnswerRefused, Field, NumberField
from inference.number_format import write_number
from inference.policy import APPROVE, DECLINE, REFER, Cutoffs
from inference.release import Release
from inference.scorer import Score
from web.cards.comparison import among_the_same, at_stake, in_words, nearest_band
from web.cards.reasons import why
from web.cards.scale import describe, draw, loans, scale_for
from web.lender import Lender
from web.pages.answers import row_id
from web.pages.figures import Figures, figures_for, write_exact_percent
from web.pages.texts import Texts
from web.recording import ScoredAnswer

# A sign of its own for each decision, in outline, half and full: told apart without colour.
SIGNS = {
    APPROVE: '<circle cx="12" cy="12" r="10"/><path d="M7 12.5l3.5 3.5L17 9"/>',
    REFER: '<circle cx="12" cy="12" r="10"/><path class="full" d="M12 2a10 10 0 0 0 0 20z"/>',
    DECLINE: '<circle class="full" cx="12" cy="12" r="10"/><path class="on-full" d="M7 12h10"/>',
}


def score_card(told: ScoredAnswer, release: Release, texts: Texts, lender: Lender, deciding: str = "") -> Markup:
    """The suggestion, its figures and its reason; what moved them; `deciding`, HTML; and where it is recorded."""
    score, seq, explanation, principal = told[:4]
    language = texts.language
    cuts = score.cutoffs
    figures, scale = figures_for(release, language, told_apart(score, release)), scale_for(release, cuts, score.pd)
    pd, points = figures.pd(score.pd), figures.points(score.pd)
    decision = texts(f"decision.{score.decision}")
    headline = (
        f'<span class="decision">{sign(score.decision)}<strong>{escape(decision)}</strong></span>'
        f'<span class="figure"><abbr title="{escape(texts("result.pd_long"))}">{escape(texts("result.pd"))}</abbr> '
        f"<b>{escape(pd)}</b></span>"
        f'<span class="figure"><b>{escape(points)}</b> {escape(texts("result.points"))}</span>'
    )
    announced = texts("result.announce", decision=decision, pd=pd, points=points)
    made = texts("result.made", release=release.name, date=release.manifest.date, id=score.request_id)
    moved = ""
    if explanation is not None:
        section = why(explanation, principal or [], score.decision, score.application, release, texts, lender)
        moved = f"<h3>{escape(texts('why.title'))}</h3>{section}"
    if seq is not None:
        made += " " + texts("result.recorded", seq=write_number(seq, language))
    sentences = "".join(f"<li>{escape(text)}</li>" for text in in_words(score, release, texts, figures))
    card = panel(
        "score",
        texts("result.title"),
        f'<div class="headline">{headline}</div>'
        f"<figure>{draw(release, scale, cuts, texts, figures, score.pd)}</figure>"
        f'<ul class="sentences">{sentences}</ul>{at_stake(score, release, texts)}'
        f"{among_the_same(score, scale, release, texts)}"
        f"<h3>{escape(texts('reason.title'))}</h3>{reason(score, cuts, release, texts, figures)}"
        f"{moved}{deciding}<h3>{escape(texts('policy.title'))}</h3>{policy_table(cuts, texts, figures)}"
        f'<p class="quiet">{escape(made)}</p>',
        bar=headline,
        attributes={
            "decision": score.decision,
            "announce": announced,
            "answers": orjson.dumps(release.form.answers(score.application)).decode(),
        },
        stale=texts("result.stale"),
    )
    return Markup(card)  # noqa: S704 - every text in it is escaped


def intro_card(release: Release, texts: Texts) -> str:
    """What will stand here, and the cut-offs that are known before any score."""
    cuts = release.policy.cutoffs(release.form.parse(release.form.example))
    figures = figures_for(release, texts.language, [cuts.refer_from, cuts.decline_from])
    scale = scale_for(release, cuts, None)
    parts = ["decision", "pd"] if release.manifest.population is None else ["decision", "pd", "rank"]
    known = {"loans": loans(release, texts)}
    rows = "".join(
        f"<dt>{escape(texts(f'intro.{part}'))}</dt><dd>{escape(texts(f'intro.{part}_text', **known))}</dd>"
        for part in parts
    )
    return panel(
        "intro",
        texts("intro.title"),
        f'<p>{escape(texts("intro.lead"))}</p><dl class="rows">{rows}</dl>'
        f"<h3>{escape(texts('intro.scale'))}</h3><figure>{draw(release, scale, cuts, texts, figures, None)}</figure>"
        f'<p class="quiet">{escape(" ".join(describe(release, cuts, texts, figures, None)))}</p>',
        bar=escape(texts("intro.bar")),
    )


def problem_card(problems: Sequence[Problem], release: Release, texts: Texts) -> str:
    """Every answer that cannot be used; the page's script puts each message under its field as well."""
    fields = {field.name: field for field in release.form.fields}
    items = []
    colon = texts("mark.colon")
    for problem in problems:
        field = fields.get(problem.field)
        name = escape(field.label[texts.language] if field else problem.field)
        if field:
            link = f'<a href="#{row_id(field)}">{name}</a>'
            items.append(
                f'<li data-row="{row_id(field)}">{link}{colon} '
                f'<span class="message">{message(problem, field, texts)}</span></li>'
            )
        else:
            items.append(f"<li>{name}{colon} {escape(explain(problem, field, texts))}</li>")
    title = texts("problems.one") if len(problems) == 1 else texts("problems.many", count=len(problems))
    return panel(
        "problems",
        title,
        f"<p>{escape(texts('problems.lead'))}</p><ul>{''.join(items)}</ul>",
        bar=escape(title),
        role="alert",
    )


def message(problem: Problem, field: Field, texts: Texts) -> str:
    """What is wrong with an answer, as HTML; with a button for each number that a text could mean, which the page's
    script puts into the box."""
    language, said = texts.language, escape(explain(problem, field, texts))
    if not isinstance(field, NumberField):
        return said
    buttons = "".join(
        f'<button type="button" class="reading" data-row="{row_id(field)}"'
        f' data-text="{escape(field.write(one, language))}">{escape(field.write(one, language))}</button>'
        for one in problem.readings
    )
    return f'{said} <span class="readings">{buttons}</span>' if buttons else said


def notice_card(kind: str, texts: Texts, ways: str = "") -> str:
    """`gone`: the server does not answer. `failed`: it says that it failed. `unrecorded`: its ledger failed. `out`: the
    session is over. `settled`, `moved`: the answers of a case cannot be corrected from here; `ways`, HTML, lead to it.
    """
    link = f' <a href="login" target="_blank">{escape(texts("out.link"))}</a>' if kind == "out" else ""
    return panel(
        kind,
        texts(f"{kind}.title"),
        f"<p>{escape(texts(f'{kind}.lead'))}</p><p>{escape(texts(f'{kind}.what'))}{link}</p>{ways}",
        bar=escape(texts(f"{kind}.bar")),
        role="alert",
    )


def panel(
    state: str,
    title: str,
    body: str,
    bar: str,
    role: str = "",
    attributes: Mapping[str, str] | None = None,
    stale: str = "",
) -> str:
    """A card: its title, its body, and the one line that stays in view on a phone.

    `title`, `stale` (the title once the form has changed) and the attributes are texts, `body` and `bar` HTML.
    """
    data = "".join(f' data-{name}="{escape(value)}"' for name, value in (attributes or {}).items())
    alert = f' role="{role}"' if role else ""
    note = f'<span class="stale-note">{escape(stale)}</span>' if stale else ""
    heading = f'<h2><span class="fresh">{escape(title)}</span>{note}</h2>'
    return (
        f'<article class="card" data-state="{state}"{data}><div{alert}>{heading}{body}</div>'
        f'<div class="bar" aria-hidden="true">{bar}</div></article>'
    )


def sign(decision: str) -> str:
    return f'<svg class="sign" viewBox="0 0 24 24" width="28" height="28" aria-hidden="true">{SIGNS[decision]}</svg>'


def told_apart(score: Score, release: Release) -> list[float]:
    """The PDs that must not look equal on a card unless they are: PD, cut-offs, and a band's ends that it misses."""
    found = [score.pd, score.refer_from, score.decline_from]
    population = release.manifest.population
    if population is not None and population.bands:
        band = nearest_band(score.pd, population.bands)
        if not band.low <= score.pd <= band.high:
            found.append(min(band.low, band.high, key=lambda end: abs(end - score.pd)))
    return found


def reason(score: Score, cuts: Cutoffs, release: Release, texts: Texts, figures: Figures) -> str:
    """Why this decision, from the policy's own figures."""
    language = texts.language
    values = {
        "pd": figures.pd(score.pd),
        "refer_from": figures.pd(score.refer_from),
        "decline_from": figures.pd(score.decline_from),
        "band": write_exact_percent(release.policy.refer_band, language),
    }
    if not score.unusual:
        open_end = score.decision == REFER and not cuts.can_decline
        return f"<p>{escape(texts('reason.refer_open' if open_end else f'reason.{score.decision}', **values))}</p>"
    items = "".join(
        f"<li>{escape(unusual_answer(name, score.application, release, texts))}</li>" for name in score.unusual
    )
    by_pd = escape(texts("reason.alone", decision=texts(f"decision.{cuts.decision(score.pd)}")))
    return f"<p>{escape(texts('reason.unusual'))}</p><ul>{items}</ul><p>{by_pd}</p>"


def unusual_answer(name: str, application: Application, release: Release, texts: Texts) -> str:
    """An answer with what would be usual, such as "Amount: 9,000 money units (usual: 180 to 3,000)"."""
    language = texts.language
    at = release.form.names.index(name)
    field = release.form.fields[at]
    value = application.values[at]
    answer = f"{field.label[language]}{texts('mark.colon')} {field.show(value, language)}"
    if isinstance(field, NumberField):
        before, _ = field.beside(0, language)  # a currency's sign stands at both ends, another unit at neither
        low, high = (field.show(bound, language) if before else field.write(bound, language) for bound in field.usual)
        return texts("reason.unusual_range", answer=answer, low=low, high=high)
    count = write_number(field.choices[int(value)].count, language)
    asked = write_number(sum(choice.count for choice in field.choices), language)  # each loan gave one of them
    return texts("reason.unusual_rare", answer=answer, count=count, loans=asked)


def policy_table(cuts: Cutoffs, texts: Texts, figures: Figures) -> str:
    """Break-even and the range that refers."""
    values = {
        "refer_from": figures.pd(cuts.refer_from),
        "decline_from": figures.pd(cuts.decline_from) if cuts.can_decline else "",
    }
    rows = [
        (texts("policy.break_even"), figures.pd(cuts.break_even)),
        (texts("policy.refer"), texts("policy.refer_range" if cuts.can_decline else "policy.refer_open", **values)),
    ]
    return f'<dl class="rows">{"".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows)}</dl>'


def explain(problem: Problem, field: Field | None, texts: Texts) -> str:
    """A problem in the page's language: what is wrong, what is allowed, and how this field is written."""
    language = texts.language
    if isinstance(field, NumberField):
        unit = field.unit[language]
        values = {
            "low": field.show(field.minimum, language),
            "high": field.show(field.maximum, language),
            "got": quoted(problem.got.strip("'\""), language),
            "extra": quoted(problem.extra, language),
            "unit": unit,
            "counted": texts("problem.counted", unit=unit) if unit else "",
            "example": field.show(field.typical_answer, language),
            "readings": texts("mark.or").join(field.write(one, language) for one in problem.readings),
        }
        if problem.kind != "too_small" and not field.beside(0, language)[0]:
            values["low"] = write_number(field.minimum, language)  # the unit stands behind the other end
        kind = "missing_optional" if problem.kind == "missing" and field.optional else problem.kind
        return texts(f"problem.{kind}", **values)
    if field is None:
        return texts("problem.unknown_field")
    return texts("problem.missing_choice" if problem.kind in ("missing", "not_stated") else "problem.not_a_choice")


def quoted(text: str, language: str) -> str:
    return f"«\u00a0{text}\u00a0»" if language == "fr" else f"“{text}”"


def read_box(field: NumberField, text: str, texts: Texts) -> dict[str, object]:
    """A number as its box shows it once it is left, and what stands beside it; or what is wrong with its text."""
    try:
        value = field.parse(field.read(text, texts.language))
    except AnswerRefused as refused:
        return {"html": message(refused.problem, field, texts)}
    return shown_in_box(field, value, texts.language)


def shown_in_box(field: NumberField, value: float, language: str) -> dict[str, object]:
    """A number without its unit, and what stands before and after it."""
    before, after = field.beside(value, language)
    return {"shown": field.write(value, language), "before": before, "after": after}

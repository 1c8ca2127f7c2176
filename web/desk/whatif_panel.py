"""What if: the form as it stands now beside what was scored, what would make it an approval, and one field's curve."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

import numpy as np
import orjson

from inference.application import Application
from inference.fields import ChoiceField, Field, NumberField
from inference.number_format import write_number
from inference.policy import APPROVE
from inference.reasons import Explanation
from inference.release import Release
from inference.scorer import Score
from inference.whatif import NEAR, Amounts, Curve, Floats, Proposal
from web.cards.reasons import bars
from web.cards.scale import GAP, width
from web.desk.form import FormValues
from web.pages.answers import choice_text
from web.pages.figures import Figures, figures_for, write_exact_percent, write_share
from web.pages.texts import Texts

HEIGHT, TOP, FLOOR = 180, 28, 148  # of the curve's picture, px
SWATCH = '<svg width="24" height="8" aria-hidden="true"><path class="{}" d="M0,4 H24"/></svg>'
MOST_TOLD, LONGEST_TOLD = 5, 3  # intervals of the amount that are all told; of more, the longest
# The PDs that a curve's sentence tells, by the way that the PD goes.
NAMED = {"flat": ["first"], "rises": ["first", "last"], "falls": ["first", "last"],
         "turns": ["least", "most", "first", "last"]}  # fmt: skip


class Panel:
    """Writes the panel for one release in one language."""

    def __init__(self, release: Release, texts: Texts, held: FormValues) -> None:
        self._release, self._texts, self._language, self._held = release, texts, texts.language, held
        self._fields = release.form.fields

    def write(
        self,
        scored: Score,
        now: Score | None,
        explanation: Explanation | None,
        proposals: Sequence[Proposal],
        amounts: Amounts | None,
        at: int,
        curve: Curve,
    ) -> str:
        """All of it. `now` is the form's application, None if it cannot be scored; `explanation` is of `now`."""
        texts = self._texts
        parts = [f"<h2>{escape(texts('whatif.title'))}</h2>", f'<p class="quiet">{escape(texts("whatif.lead"))}</p>']
        if now is None:
            parts.append(f"<p>{escape(texts('whatif.invalid'))}</p>")
        elif now.application != scored.application:
            parts.append(self.beside(scored, now, explanation))
        else:
            parts.append(f"<p>{escape(texts('whatif.same'))}</p>")
        parts.append(self.approvals(scored, proposals, amounts))
        parts.append(self.curve(scored, at, curve))
        return f'<section class="whatif">{"".join(parts)}</section>'

    def beside(self, scored: Score, now: Score, explanation: Explanation | None) -> str:
        """The scored answers and those now in the form, side by side; what was changed; what moves the PD now."""
        texts, language = self._texts, self._language
        figures = figures_for(self._release, language, apart(scored), apart(now))
        heads = "".join(f'<th scope="col">{escape(texts(f"whatif.{name}"))}</th>' for name in ("scored", "now"))
        rows = [
            (texts("whatif.suggestion"), *(texts(f"decision.{one.decision}") for one in (scored, now))),
            (texts("result.pd"), *(figures.pd(one.pd) for one in (scored, now))),
            (texts("whatif.points"), *(figures.points(one.pd) for one in (scored, now))),
        ]
        for field, was, value in zip(self._fields, scored.application.values, now.application.values, strict=True):
            if was != value and not (math.isnan(was) and math.isnan(value)):
                rows.append((field.label[language], field.show(was, language), field.show(value, language)))
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th><td>{escape(was)}</td><td>{escape(value)}</td></tr>'
            for name, was, value in rows
        )
        moved = ""
        if explanation is not None:
            drawn = bars(explanation, now.application, self._release, texts)
            moved = f"<details><summary>{escape(texts('whatif.why'))}</summary>{drawn}</details>"
        back = self.button(scored.application, "whatif.back")
        return (
            f'<table class="beside"><thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table>'
            f'{moved}<p role="status" class="visually-hidden">{escape(self.announced(now, figures))}</p><p>{back}</p>'
        )

    def announced(self, now: Score, figures: Figures) -> str:
        """The form's score in one sentence, to be read out."""
        decision = self._texts(f"decision.{now.decision}")
        return self._texts("whatif.announce", decision=decision, pd=figures.pd(now.pd))

    def button(self, application: Application, key: str) -> str:
        """A button by which the page's script fills the form; the reference stays as it is."""
        values = escape(orjson.dumps(self._held.values(self._release.form.answers(application))).decode())
        return f'<button type="button" class="put" data-values="{values}">{escape(self._texts(key))}</button>'

    def approvals(self, scored: Score, proposals: Sequence[Proposal], amounts: Amounts | None) -> str:
        """The nearest changes that would be approved, and the amounts that would."""
        texts = self._texts
        parts = []
        if scored.decision != APPROVE:
            parts.append(f"<h3>{escape(texts('whatif.approval'))}</h3>")
            if not proposals:
                parts.append(f"<p>{escape(self.nothing(scored.application))}</p>")
            items = "".join(f"<li>{self.proposal(scored.application, one)}</li>" for one in proposals)
            parts.append(f"<ul>{items}</ul>" if items else "")
            if any(isinstance(self._fields[at], NumberField) for one in proposals for at in one.changes):
                holds = texts("whatif.holds", near=write_exact_percent(NEAR, self._language))
                parts.append(f'<p class="quiet">{escape(holds)}</p>')
        at = self._release.policy.amount_at
        if amounts is not None and at is not None:
            parts.append(f"<p>{escape(self.amounts(amounts, self._fields[at]))}</p>")
        return "".join(parts)

    def nothing(self, application: Application) -> str:
        """Why nothing is proposed: what was searched in vain, or that there was nothing to search."""
        texts, language = self._texts, self._language
        open_to_change = [
            (self.way(field), math.isnan(value))
            for field, value in zip(self._fields, application.values, strict=True)
            if field.actionable
        ]
        if not open_to_change:
            return texts("whatif.no_actionable")
        searched = [label for label, unknown in open_to_change if not unknown]
        if not searched:
            return texts("whatif.none_stated", fields=", ".join(label for label, _ in open_to_change))
        near = write_exact_percent(NEAR, language)
        return texts("whatif.none" if len(searched) > 1 else "whatif.none_alone", fields=", ".join(searched), near=near)

    def way(self, field: Field) -> str:
        """A field by name, a number with the direction in which it can be moved; the other way may be approved."""
        label = field.label[self._language]
        if not isinstance(field, NumberField) or field.actionable == "either":
            return label
        return self._texts(f"whatif.only_{field.actionable}", field=label)

    def proposal(self, application: Application, found: Proposal) -> str:
        """A change in words, with a button that tries it."""
        texts, language = self._texts, self._language
        changed = list(application.values)
        words = []
        for at, value in found.changes.items():
            field, was = self._fields[at], application.values[at]
            changed[at] = value
            words.append(
                texts(
                    "whatif.change",
                    field=field.label[language],
                    to=field.show(value, language),
                    was=field.show(was, language),
                )
            )
        then = Application(tuple(changed))
        cutoffs = self._release.policy.cutoffs(then)
        figures = figures_for(self._release, language, [found.pd, cutoffs.refer_from, cutoffs.decline_from])
        said = texts("whatif.then", pd=figures.pd(found.pd), points=figures.points(found.pd))
        return f"{escape('; '.join(words) + said)} {self.button(then, 'whatif.try')}"

    def amounts(self, found: Amounts, field: Field) -> str:
        """Which amounts would be approved, in words: each interval, or where they are many the longest."""
        texts, language = self._texts, self._language
        tried = {name: field.show(getattr(found, name), language) for name in ("low", "high", "step")}
        if found.highest is None:
            return texts("whatif.amounts_none", **tried)
        if found.all:
            return texts("whatif.amounts_all", **tried)
        told = found.intervals
        if len(told) > MOST_TOLD:
            told = tuple(sorted(sorted(told, key=lambda ends: ends[0] - ends[1])[:LONGEST_TOLD]))
        ranges = ", ".join(
            texts("whatif.from", low=field.show(low, language), high=field.show(high, language))
            if low < high
            else texts("whatif.at", amount=field.show(low, language))
            for low, high in told
        )
        values = {**tried, "ranges": ranges, "highest": field.show(found.highest, language)}
        if len(found.intervals) > MOST_TOLD:
            lowest = field.show(found.intervals[0][0], language)
            return texts("whatif.amounts_many", count=len(found.intervals), lowest=lowest, **values)
        return texts("whatif.amounts" if len(told) == 1 else "whatif.amounts_several", **values)

    def curve(self, scored: Score, at: int, curve: Curve) -> str:
        """One field's curve or bars, and the list to choose another field by."""
        texts, language = self._texts, self._language
        options = "".join(
            f'<option value="{escape(field.name)}"{" selected" if number == at else ""}>'
            f"{escape(field.label[language])}</option>"
            for number, field in enumerate(self._fields)
        )
        field = self._fields[at]
        drawn = (
            self.line(scored, field, at, curve)
            if isinstance(field, NumberField)
            else self.choices(scored, field, at, curve)
        )
        return (
            f'<h3><label for="curve-field">{escape(texts("whatif.curve"))}</label> '
            f'<select id="curve-field">{options}</select></h3>{drawn}'
        )

    def line(self, scored: Score, field: Field, at: int, curve: Curve) -> str:
        """The PD over a number's range with the cut-offs; steps, since trees jump. Names stand above, in a legend: in
        the picture there is no place that no curve goes through."""
        texts, language = self._texts, self._language
        low, high = float(curve.values[0]), float(curve.values[-1])
        most = highest_shown(curve)

        def x(value: float) -> float:
            return 100.0 * place(value, low, high, logarithmic(low, high))

        def y(pd: float) -> float:
            return FLOOR - (FLOOR - TOP) * pd / most

        def path(pds: Sequence[float]) -> str:
            return "M" + " L".join(f"{x(v):.2f},{y(p):.1f}" for v, p in zip(curve.values.tolist(), pds, strict=True))

        def stepped(pds: Sequence[float]) -> str:
            start = f"M{x(low):.2f},{y(pds[0]):.1f}"
            moves = "".join(
                f" H{(x(a) + x(b)) / 2:.2f} V{y(q):.1f}"
                for (a, b), q in zip(pairwise(curve.values.tolist()), pds[1:], strict=True)
            )
            return f"{start}{moves} H{x(high):.2f}"

        own = scored.application.values[at]
        cuts = {"refer": curve.refer_from, "decline": curve.decline_from}
        cuts = {name: found for name, found in cuts.items() if float(found.min()) < most}
        lines = "".join(f'<path class="cut {name}" d="{path(found.tolist())}"/>' for name, found in cuts.items())
        mark = ""
        if not math.isnan(own):
            mark = (
                f'<circle class="own" cx="{x(own):.2f}%" cy="{y(scored.pd):.1f}" r="5"/>'
                f'<line class="own" x1="{x(own):.2f}%" x2="{x(own):.2f}%" y1="{y(scored.pd):.1f}" y2="{FLOOR}"/>'
            )
        first, last = field.show(low, language), field.show(high, language)
        row = HEIGHT - 12
        beside = width(first) + GAP + width(last) <= 100  # else the second below the first
        second = row if beside else row + 16
        height = HEIGHT + second - row
        ends = (
            f'<text x="0" y="{row}">{escape(first)}</text>'
            f'<text x="100%" y="{second}" text-anchor="end">{escape(last)}</text>'
            f'<text class="axis-name" x="0" y="{TOP - 12}">{escape(texts("result.pd"))} '
            f"{write_exact_percent(most, language)}</text>"
        )
        said = f"{self.course(field, curve)} {self.approved(curve)}"
        return (
            f"{self.legend(cuts, apart(scored))}"
            f'<svg class="curve" role="img" aria-labelledby="curve-title curve-text" width="100%" height="{height}">'
            f'<title id="curve-title">{escape(field.label[language])}</title>'
            f'<desc id="curve-text">{escape(said)}</desc>'
            f'<svg y="{TOP - 1}" width="100%" height="{FLOOR - TOP + 2}" viewBox="0 {TOP - 1} 100 {FLOOR - TOP + 2}" '
            f'preserveAspectRatio="none"><path class="axis" d="M0,{FLOOR} H100"/>{lines}'
            f'<path class="pd" d="{stepped(curve.pds.tolist())}"/></svg>'
            f"{mark}{ends}</svg><p class='quiet'>{escape(said)}</p>"
        )

    def legend(self, cuts: Mapping[str, Floats], known: Sequence[float]) -> str:
        """What the lines are: the PD, and the cut-offs that are drawn, with where they begin and end."""
        texts, language = self._texts, self._language
        items = [("pd", texts("result.pd"))]
        for name, found in cuts.items():
            first, last = float(found[0]), float(found[-1])
            figures = figures_for(self._release, language, known, [first, last])
            if first == last:
                items.append((f"cut {name}", texts(f"whatif.{name}_from", pd=figures.pd(first))))
            else:
                ends = [figures.pd(one) if one < 1 else texts("whatif.never") for one in (first, last)]
                items.append((f"cut {name}", texts(f"whatif.{name}_varies", first=ends[0], last=ends[1])))
        listed = "".join(f"<li>{SWATCH.format(name)}{escape(said)}</li>" for name, said in items)
        return f'<ul class="legend">{listed}</ul>'

    def course(self, field: Field, curve: Curve) -> str:
        """Which way the PD goes over a number's range, from the values drawn."""
        texts, language = self._texts, self._language
        moves = np.diff(curve.pds)
        if not moves.any():
            way, ends = "flat", [0]
        elif (moves >= 0).all() or (moves <= 0).all():
            way, ends = "rises" if moves.max() > 0 else "falls", [0, -1]
        else:
            way, ends = "turns", [int(curve.pds.argmin()), int(curve.pds.argmax())]
        told = [float(curve.pds[end]) for end in (*ends, *([0, -1] if way == "turns" else []))]
        figures = figures_for(self._release, language, told[:2])
        shown = {name: figures.pd(pd) for name, pd in zip(NAMED[way], told, strict=True)}
        where = [field.show(float(curve.values[end]), language) for end in (0, -1, *ends)]
        return texts(
            f"whatif.curve_{way}",
            field=field.label[language], low=where[0], high=where[1], at_least=where[2], at_most=where[-1], **shown,
        )  # fmt: skip

    def approved(self, curve: Curve) -> str:
        """At how many of the values drawn it would be an approval."""
        values = {name: write_number(int(count), self._language) for name, count in
                  (("approved", curve.approves.sum()), ("drawn", len(curve.approves)))}  # fmt: skip
        return self._texts("whatif.curve_approved", **values)

    def choices(self, scored: Score, field: ChoiceField, at: int, curve: Curve) -> str:
        """A bar a choice, the lowest PD first, with the cut-offs."""
        texts, language = self._texts, self._language
        own = scored.application.values[at]
        most = highest_shown(curve)
        rows = []
        for number in curve.pds.argsort(kind="stable").tolist():
            value, pd = float(curve.values[number]), float(curve.pds[number])
            ticks = "".join(
                f'<line class="cut {name}" x1="{100 * cut / most:.1f}%" x2="{100 * cut / most:.1f}%" y1="0" y2="16"/>'
                for name, cut in (
                    ("refer", float(curve.refer_from[number])),
                    ("decline", float(curve.decline_from[number])),
                )
                if cut < most
            )
            drawn = (
                '<svg class="choice" width="100%" height="16" aria-hidden="true">'
                f'<rect class="pd" y="3" width="{100 * pd / most:.1f}%" height="10"/>{ticks}</svg>'
            )
            answer = choice_text(field.choices[int(value)], language)
            mine = f" <span>{escape(texts('whatif.own'))}</span>" if value == own else ""
            rows.append(
                f'<tr{" class=own" if value == own else ""}><th scope="row">{escape(answer)}'
                f"{mine}</th>"
                f"<td>{drawn}</td><td>{escape(write_share(pd, language))}</td></tr>"
            )
        key = "whatif.bars_text" if float(curve.decline_from.min()) < most else "whatif.bars_refer"
        return (
            f'<div class="bars" tabindex="0"><table class="effects"><tbody>{"".join(rows)}</tbody></table></div>'
            f"<p class='quiet'>{escape(texts(key))}</p>"
        )


def apart(score: Score) -> list[float]:
    """What must not look equal unless it is: a PD and its cut-offs."""
    return [score.pd, score.refer_from, score.decline_from]


def highest_shown(curve: Curve) -> float:
    """The PD at a picture's upper end: a whole per cent above every PD and where referral begins."""
    return min(1.0, math.ceil(115 * max(float(curve.pds.max()), float(curve.refer_from.max()))) / 100)


def logarithmic(low: float, high: float) -> bool:
    """Whether an axis goes in equal ratios."""
    return low > 0 and high / low > 50


def place(value: float, low: float, high: float, ratios: bool) -> float:
    """Where a value lies between two, from 0 to 1."""
    if high <= low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if ratios else (value - low) / (high - low)

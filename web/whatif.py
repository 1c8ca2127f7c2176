"""What if: the form as it stands now beside what was scored, what would make it an approval, and one field's curve."""

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

import orjson

from inference.application import Application
from inference.fields import ChoiceField, Field, NumberField, write_number
from inference.policy import APPROVE
from inference.reasons import Explanation
from inference.release import Release
from inference.scorer import Score
from inference.whatif import Curve, Highest, Proposal
from web.form import Held, choice_text
from web.numbers import write_percent
from web.texts import Texts
from web.why import bars

HEIGHT, TOP, FLOOR = 168, 12, 136  # of the curve's picture, px
BESIDE = {"refer": 12, "decline": -4}  # px from a cut-off's line to its name: the two may lie close


class Panel:
    """Writes the panel for one release in one language."""

    def __init__(self, release: Release, texts: Texts, held: Held) -> None:
        self._release, self._texts, self._language, self._held = release, texts, texts.language, held
        self._fields = release.form.fields

    def write(
        self,
        scored: Score,
        now: Score | None,
        explanation: Explanation | None,
        proposals: Sequence[Proposal],
        highest: Highest | None,
        at: int,
        curve: Curve,
    ) -> str:
        """All of it. `now` is what stands in the form, None where that cannot be scored; `explanation` is of `now`."""
        texts = self._texts
        parts = [f"<h2>{escape(texts('whatif.title'))}</h2>", f'<p class="quiet">{escape(texts("whatif.lead"))}</p>']
        if now is None:
            parts.append(f"<p>{escape(texts('whatif.invalid'))}</p>")
        elif now.application != scored.application:
            parts.append(self.beside(scored, now, explanation))
        else:
            parts.append(f"<p>{escape(texts('whatif.same'))}</p>")
        parts.append(self.approvals(scored, proposals, highest))
        parts.append(self.curve(scored, at, curve))
        return f'<section class="whatif">{"".join(parts)}</section>'

    def beside(self, scored: Score, now: Score, explanation: Explanation | None) -> str:
        """What was scored and what stands in the form, side by side; what was changed; what moves the PD now."""
        texts, language = self._texts, self._language
        heads = "".join(f'<th scope="col">{escape(texts(f"whatif.{name}"))}</th>' for name in ("scored", "now"))
        rows = [
            (texts("whatif.suggestion"), *(texts(f"decision.{one.decision}") for one in (scored, now))),
            (texts("result.pd"), *(write_percent(one.pd, language) for one in (scored, now))),
            (texts("whatif.points"), *(f"{one.points:.0f}" for one in (scored, now))),
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
            f'{moved}<p role="status" class="visually-hidden">{escape(self.announced(now))}</p><p>{back}</p>'
        )

    def announced(self, now: Score) -> str:
        """The form's score in one sentence, to be read out."""
        decision = self._texts(f"decision.{now.decision}")
        return self._texts("whatif.announce", decision=decision, pd=write_percent(now.pd, self._language))

    def button(self, application: Application, key: str) -> str:
        """A button by which the page's script fills the form; the reference stays as it is."""
        values = escape(orjson.dumps(self._held.values(self._release.form.answers(application))).decode())
        return f'<button type="button" class="put" data-values="{values}">{escape(self._texts(key))}</button>'

    def approvals(self, scored: Score, proposals: Sequence[Proposal], highest: Highest | None) -> str:
        """The nearest changes that would be approved, and the highest amount."""
        texts, language = self._texts, self._language
        parts = []
        if scored.decision != APPROVE:
            parts.append(f"<h3>{escape(texts('whatif.approval'))}</h3>")
            open_to_change = [field.label[language] for field in self._fields if field.actionable]
            if not open_to_change:
                parts.append(f"<p>{escape(texts('whatif.no_actionable'))}</p>")
            elif not proposals:
                parts.append(f"<p>{escape(texts('whatif.none', fields=', '.join(open_to_change)))}</p>")
            items = "".join(f"<li>{self.proposal(scored.application, one)}</li>" for one in proposals)
            parts.append(f"<ul>{items}</ul>" if items else "")
        at = self._release.policy.amount_at
        if highest is not None and at is not None:
            parts.append(f"<p>{escape(self.highest(highest, self._fields[at]))}</p>")
        return "".join(parts)

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
        then = texts("whatif.then", pd=write_percent(found.pd, language), points=f"{found.points:.0f}")
        return f"{escape('; '.join(words) + then)} {self.button(Application(tuple(changed)), 'whatif.try')}"

    def highest(self, found: Highest, field: Field) -> str:
        """How much could be lent, in words."""
        texts, language = self._texts, self._language
        low = field.show(found.low, language)
        if found.amount is None:
            return texts("whatif.highest_none", low=low)
        amount = field.show(found.amount, language)
        step = write_number(found.step, language)
        return texts("whatif.highest_all" if found.all else "whatif.highest", amount=amount, low=low, step=step)

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
            self.line(scored, field, at, curve) if isinstance(field, NumberField) else self.choices(scored, at, curve)
        )
        return (
            f'<h3><label for="curve-field">{escape(texts("whatif.curve"))}</label> '
            f'<select id="curve-field">{options}</select></h3>{drawn}'
        )

    def line(self, scored: Score, field: Field, at: int, curve: Curve) -> str:
        """The PD over a number's range with the cut-offs; steps, since trees jump."""
        texts, language = self._texts, self._language
        low, high = float(curve.values[0]), float(curve.values[-1])
        most = min(1.0, 1.15 * max(float(curve.pds.max()), float(curve.refer_from.max())))

        def x(value: float) -> float:
            return 100.0 * place(value, low, high, logarithmic(low, high))

        def y(pd: float) -> float:
            return FLOOR - (FLOOR - TOP) * min(pd, most) / most

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
        cuts = [("refer", curve.refer_from.tolist())]
        if float(curve.decline_from.min()) < most:
            cuts.append(("decline", curve.decline_from.tolist()))
        lines = "".join(f'<path class="cut {name}" d="{path(pds)}"/>' for name, pds in cuts)
        names = "".join(
            f'<text class="cut-name" x="100%" y="{y(pds[-1]) + BESIDE[name]:.1f}" text-anchor="end">'
            f"{escape(texts(f'whatif.{name}_from', pd=write_percent(pds[-1], language)))}</text>"
            for name, pds in cuts
        )
        mark = ""
        if not math.isnan(own):
            mark = (
                f'<circle class="own" cx="{x(own):.2f}%" cy="{y(scored.pd):.1f}" r="5"/>'
                f'<line class="own" x1="{x(own):.2f}%" x2="{x(own):.2f}%" y1="{y(scored.pd):.1f}" y2="{FLOOR}"/>'
            )
        ends = (
            f'<text x="0" y="{HEIGHT - 12}">{escape(field.show(low, language))}</text>'
            f'<text x="100%" y="{HEIGHT - 12}" text-anchor="end">{escape(field.show(high, language))}</text>'
            f'<text class="cut-name" x="0" y="{TOP - 2}">{escape(texts("result.pd"))} '
            f"{write_percent(most, language)}</text>"
        )
        approved = [v for v, yes in zip(curve.values.tolist(), curve.approves.tolist(), strict=True) if yes]
        said = texts(
            "whatif.curve_text",
            field=field.label[language], low=field.show(low, language), high=field.show(high, language),
            first=write_percent(float(curve.pds[0]), language), last=write_percent(float(curve.pds[-1]), language),
            share=write_percent(len(approved) / len(curve.values), language, 0),
        )  # fmt: skip
        return (
            f'<svg class="curve" role="img" aria-labelledby="curve-title curve-text" width="100%" height="{HEIGHT}">'
            f'<title id="curve-title">{escape(field.label[language])}</title>'
            f'<desc id="curve-text">{escape(said)}</desc>'
            f'<svg width="100%" height="{HEIGHT}" viewBox="0 0 100 {HEIGHT}" preserveAspectRatio="none">'
            f'<path class="axis" d="M0,{FLOOR} H100"/>{lines}<path class="pd" d="{stepped(curve.pds.tolist())}"/></svg>'
            f"{mark}{names}{ends}</svg><p class='quiet'>{escape(said)}</p>"
        )

    def choices(self, scored: Score, at: int, curve: Curve) -> str:
        """A bar a choice, the lowest PD first, with the cut-offs."""
        texts, language, field = self._texts, self._language, self._fields[at]
        assert isinstance(field, ChoiceField)  # noqa: S101 - for the type checker: there are two kinds
        own = scored.application.values[at]
        most = min(1.0, 1.15 * max(float(curve.pds.max()), float(curve.refer_from.max())))
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
                f"<td>{drawn}</td><td>{write_percent(pd, language)}</td></tr>"
            )
        return (
            f'<div class="bars" tabindex="0"><table class="effects"><tbody>{"".join(rows)}</tbody></table></div>'
            f"<p class='quiet'>{escape(texts('whatif.bars_text'))}</p>"
        )


def logarithmic(low: float, high: float) -> bool:
    """Whether an axis goes in equal ratios."""
    return low > 0 and high / low > 50


def place(value: float, low: float, high: float, ratios: bool) -> float:
    """Where a value lies between two, from 0 to 1."""
    if high <= low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if ratios else (value - low) / (high - low)

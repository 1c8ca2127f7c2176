"""The part of a card or a record page where somebody decides, agrees, or objects; and what was decided. HTML only."""

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from inference.release import Release
from ledger.cases import IN_FORCE, OPEN, PENDING, REVIEW, WAITING, Case
from ledger.decisions import DECISIONS, direction
from web.cases.rules import SHORTEST_TEXT, shown
from web.lender import DIRECTIONS, Lender, reason_text
from web.pages.forms import LONGEST_NAME, LONGEST_TEXT, Form, one
from web.pages.languages import HOME
from web.pages.texts import Texts
from web.person import Person

TEXTS = ("justification", "conditions", "note", "objection")  # that somebody wrote, and should not write again
CHOSEN = ("decision", "agrees", "principal", "reason_")  # of what was shown, and to be chosen anew once it has changed


class DecideForm:
    """Writes the section for one lender, in one language. `up` leads from the page it stands on to the app's root."""

    def __init__(
        self, lender: Lender, texts: Texts, up: str, person: Person | None = None, reviewers: Sequence[str] = ()
    ) -> None:
        self._lender, self._texts, self._up, self._person = lender, texts, up, person
        self._reviewers = reviewers

    def section(
        self,
        case: Case,
        release: Release | None,
        drafts: Sequence[str],
        problems: Mapping[str, str] | None = None,
        form: Form | None = None,
    ) -> str:
        """What can be done with a case now. `drafts` are the principal reasons to confirm, as `field/code`; `problems`
        say why the last try was not recorded, `form` what it held."""
        problems, form = problems or {}, form or {}
        parts = [self.stale(problems)]
        if case.decision is not None:
            parts.append(self.outcome(case))
        if case.state in (OPEN, REVIEW):
            parts.append(self.deciding(case, release, drafts, problems, form))
        elif case.state == PENDING:
            shown = " open" if problems else ""
            summary = escape(self._texts("decide.again"))
            made = self.deciding(case, release, drafts, problems, form)
            parts.append(f'<details class="again"{shown}><summary>{summary}</summary>{made}</details>')
        elif case.state == WAITING and case.decision is not None:
            own = self._person is not None and self._person.name == case.decision.by
            said = f"<p>{escape(self._texts('agree.wait'))}</p>"
            parts.append(said if own else self.agreeing(case, problems, form))
        made = "".join(parts)
        return self.around(case, made + self.unplaced(made, form))

    def elsewhere(self, case: Case, problems: Mapping[str, str], form: Form) -> str:
        """How a case stands whose present answers are not on this page: the way to them, and no form."""
        path, texts = self.path(case), self._texts
        state = (
            self.outcome(case)
            if case.decision is not None
            else f'<p class="ways"><a class="case" href="{escape(path)}">{escape(texts("decide.open"))}</a></p>'
        )
        return self.around(case, self.stale(problems) + state + self.unplaced("", form))

    def stale(self, problems: Mapping[str, str]) -> str:
        """That the form belonged to an earlier state of the case."""
        return self.problem(problems["form"]) if "form" in problems else ""

    def problem(self, key: str) -> str:
        """Why nothing was recorded."""
        said = escape(self._texts(f"decide.problem.{key}"))
        return f'<p class="form-problem" role="alert" tabindex="-1">{said}</p>'

    def unplaced(self, made: str, form: Form) -> str:
        """What somebody wrote in a form that is no longer on the page, to be copied."""
        lost = [one(form, name) for name in TEXTS if one(form, name) and f'<textarea name="{name}"' not in made]
        texts = "".join(f"<blockquote>{escape(text)}</blockquote>" for text in lost)
        return f'<div class="unplaced"><p>{escape(self._texts("decide.unplaced"))}</p>{texts}</div>' if lost else ""

    @property
    def home(self) -> str:
        """The way to the desk in this language."""
        return (self._up + HOME[self._texts.language].lstrip("/")) or "./"

    def path(self, case: Case) -> str:
        """The way to a case's page."""
        return f"{self.home.removeprefix('./')}record/{quote(case.first.id)}"

    def around(self, case: Case, body: str) -> str:
        """A section that the page's script finds, and knows where to send."""
        gone, out = (escape(self._texts(f"decide.{name}")) for name in ("gone", "out"))
        return (
            f'<section class="decide" data-record="{escape(self.path(case))}" data-seen="{shown(case)}"'
            f' data-gone="{gone}" data-out="{out}">'
            f"{body}</section>"
        )

    def contest(self, case: Case, problems: Mapping[str, str] | None = None, form: Form | None = None) -> str:
        """Where an objection is written down."""
        return self.around(case, self.stale(problems or {}) + self.contesting(case, problems or {}, form or {}))

    def told(self, case: Case) -> str:
        """The last decision in words."""
        decision = case.decision
        assert decision is not None  # noqa: S101 - asked for only then
        key = {OPEN: "decide.not_agreed", WAITING: "decide.waiting", PENDING: "decide.pending"}.get(
            case.state, "decide.done"
        )
        decided = self._texts(f"decided.{decision.decision}")
        return self._texts(key, decision=decided, by=decision.by, seq=decision.seq)

    def outcome(self, case: Case) -> str:
        """The last decision, with its way to the record and the notice, and on to the next application."""
        texts, path = self._texts, self.path(case)
        links = f'<a class="case" href="{escape(path)}">{escape(texts("decide.open"))}</a>'
        if case.state in IN_FORCE:
            links += f'<a href="{escape(path)}/notice">{escape(texts("decide.notice"))}</a>'
        links += f'<a class="new" href="{escape(self.home)}">{escape(texts("decide.new"))}</a>'
        return (
            f'<p class="decided" role="status" tabindex="-1">{escape(self.told(case))}</p><p class="ways">{links}</p>'
        )

    def deciding(
        self, case: Case, release: Release | None, drafts: Sequence[str], problems: Mapping[str, str], form: Form
    ) -> str:
        """Five decisions; what each needs shows once it is chosen, by the style alone."""
        texts = self._texts
        suggested = case.score.decision
        chosen = one(form, "decision")
        radios = "".join(
            f'<label><input type="radio" name="decision" value="{name}" data-direction="{direction(name, suggested)}"'
            f"{' checked' if name == chosen else ''}>{escape(texts(f'decide.{name}'))}"
            f"{suggested_mark(texts) if name == suggested else ''}</label>"
            for name in DECISIONS
        )
        lists = "".join(self.codes(went, one(form, f"reason_{went}"), problems) for went in DIRECTIONS)
        title = texts("decide.review_title" if case.state == REVIEW else "decide.title")
        review = ""
        if case.contest is not None:
            until = texts.day(case.contest.deadline)
            review = f"<p>{escape(texts('decide.review', by=case.contest.reviewer, deadline=until))}</p>"
        return self.form(
            case,
            "decide",
            f"<h3>{escape(title)}</h3>{review}<p class='quiet'>{escape(texts('decide.lead'))}</p>"
            f'<div class="choices" role="radiogroup" aria-label="{escape(title)}"{invalid("decision", problems)}>'
            f"{radios}</div>{self.error('decision', problems)}"
            f'<div class="when-changed{kept("conditions", form)}">{self.long("conditions", form, problems)}</div>'
            f"{self.principal(case, release, drafts, problems, form)}"
            f'<div class="codes">{lists}{self.error("reason", problems)}</div>'
            f'<div class="why-text{kept("justification", form)}">{self.long("justification", form, problems)}</div>'
            f"{self.name(problems, form)}",
            "decide.record",
            problems,
        )

    def codes(self, went: str, chosen: str, problems: Mapping[str, str]) -> str:
        """The reason codes of one direction."""
        texts = self._texts
        options = "".join(
            f'<option value="{escape(code)}"{" selected" if code == chosen else ""}>'
            f"{escape(words[texts.language])}</option>"
            for code, words in self._lender.codes[went].items()
        )
        return (
            f'<label class="when-{went}">{escape(texts(f"decide.why_{went}"))}<select name="reason_{went}"'
            f"{invalid('reason', problems)}>"
            f'<option value="">{escape(texts("decide.choose"))}</option>{options}</select></label>'
        )

    def principal(
        self, case: Case, release: Release | None, drafts: Sequence[str], problems: Mapping[str, str], form: Form
    ) -> str:
        """The draft reasons to confirm, where the decision is the decline that the model suggests."""
        texts, language = self._texts, self._texts.language
        if case.score.decision != "decline":
            return ""
        if not drafts:
            return f'<p class="when-as-suggested quiet">{escape(texts("decide.no_reasons"))}</p>'
        ticked = form.get("principal", [])
        shown = {name: reason_text(name, release, self._lender, language) for name in drafts}
        boxes = "".join(
            f'<label><input type="checkbox" name="principal" value="{escape(name)}"{invalid("principal", problems)}'
            f"{' checked' if name in ticked else ''}>{escape(text)}</label>"
            for name, text in shown.items()
        )
        return (
            f'<fieldset class="when-as-suggested"><legend>{escape(texts("decide.confirm"))}</legend>{boxes}'
            f"{self.error('principal', problems)}</fieldset>"
        )

    def agreeing(self, case: Case, problems: Mapping[str, str], form: Form) -> str:
        """A second person agrees, or sends it back."""
        texts = self._texts
        radios = "".join(
            f'<label><input type="radio" name="agrees" value="{answer}"'
            f"{' checked' if one(form, 'agrees') == answer else ''}>{escape(texts(f'agree.{answer}'))}</label>"
            for answer in ("yes", "no")
        )
        return self.form(
            case,
            "agree",
            f"<h3>{escape(texts('agree.title'))}</h3><p class='quiet'>{escape(texts('agree.lead'))}</p>"
            f'<div class="choices" role="radiogroup" aria-label="{escape(texts("agree.title"))}"'
            f"{invalid('agrees', problems)}>{radios}</div>"
            f"{self.error('agrees', problems)}{self.long('note', form, problems)}{self.name(problems, form)}",
            "decide.record",
            problems,
        )

    def contesting(self, case: Case, problems: Mapping[str, str], form: Form) -> str:
        """The applicant objects: what, who looks at it again, until when."""
        texts = self._texts
        return self.form(
            case,
            "contest",
            f"<p class='quiet'>{escape(texts('contest.lead', days=self._lender.contest_days))}</p>"
            f"{self.long('objection', form, problems)}"
            f"{self.short('reviewer', form, problems, offered=self._reviewers)}"
            f"{self.short('deadline', form, problems, kind='date')}"
            f"{self.name(problems, form)}",
            "contest.record",
            problems,
        )

    def form(self, case: Case, action: str, body: str, button: str, problems: Mapping[str, str]) -> str:
        """A form that the page's script sends, and puts the answer in its place; with what it shows of the case."""
        said = self.problem("some") if problems and "form" not in problems else ""
        return (
            f'<form class="deciding" data-action="{action}" autocomplete="off" novalidate>{said}{body}'
            f'<input type="hidden" name="up" value="{escape(self._up)}">'
            f'<input type="hidden" name="seen" value="{shown(case)}">'
            f'<button type="submit">{escape(self._texts(button))}</button></form>'
        )

    def name(self, problems: Mapping[str, str], form: Form) -> str:
        """Who decides: asked for as long as nobody has to log in."""
        if self._person is not None:
            return f'<p class="quiet">{escape(self._texts("decide.as", name=self._person.name))}</p>'
        return self.short("name", form, problems, note="decide.trust")

    def long(self, name: str, form: Form, problems: Mapping[str, str]) -> str:
        """A text of some lines."""
        return (
            f'<label>{escape(self._texts(f"decide.{name}"))}<textarea name="{name}" rows="2" maxlength="{LONGEST_TEXT}"'
            f' data-shortest="{SHORTEST_TEXT}"'
            f"{invalid(name, problems)}>{escape(one(form, name))}</textarea></label>{self.error(name, problems)}"
        )

    def short(
        self, name: str, form: Form, problems: Mapping[str, str], kind: str = "text", note: str = "",
        offered: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """A text of one line; what is `offered` can be picked."""
        options = "".join(f'<option value="{escape(one)}">' for one in offered)
        listed = f' list="offered-{name}"' if offered else ""
        picked = f'<datalist id="offered-{name}">{options}</datalist>' if offered else ""
        said = f'<span class="quiet">{escape(self._texts(note))}</span>' if note else ""
        return (
            f'<label>{escape(self._texts(f"decide.{name}"))}<input type="{kind}" name="{name}"'
            f' maxlength="{LONGEST_NAME}" value="{escape(one(form, name))}"'
            f"{listed}{invalid(name, problems)}>{said}{picked}</label>"
            f"{self.error(name, problems)}"
        )

    def error(self, part: str, problems: Mapping[str, str]) -> str:
        """What is wrong with a part of the form, under it."""
        if part not in problems:
            return ""
        said = escape(self._texts(f"decide.problem.{problems[part]}"))
        return f'<p class="field-problem" id="problem-{part}">{said}</p>'


def typed(form: Form) -> Form:
    """What was typed into a form, without what was chosen: that is chosen anew, of the case as it is now."""
    return {name: values for name, values in form.items() if not name.startswith(CHOSEN)}


def kept(name: str, form: Form) -> str:
    """The class that shows a text although nothing is chosen that needs it: it should not seem lost."""
    return " kept" if one(form, name) and not one(form, "decision") else ""


def invalid(name: str, problems: Mapping[str, str]) -> str:
    """What ties a part of the form to the text under it that says what is wrong."""
    return f' aria-invalid="true" aria-describedby="problem-{name}"' if name in problems else ""


def suggested_mark(texts: Texts) -> str:
    return f' <span class="quiet">{escape(texts("decide.suggested"))}</span>'

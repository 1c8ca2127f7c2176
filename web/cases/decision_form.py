"""The section of a card or a case's page where somebody decides, approves or objects. Views only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar
from urllib.parse import quote

from markupsafe import Markup

from inference.number_format import write_number
from inference.policy import APPROVE, DECLINE, REFER
from inference.release import Release
from ledger.cases import CAN_BE_WITHDRAWN, DONE, IN_FORCE, OPEN, PENDING, REVIEW, WAITING, Case
from ledger.decisions import DECISIONS, direction
from web.cases.rules import SHORTEST_TEXT, able, version_of
from web.lender import DIRECTIONS, Lender, reason_text
from web.pages.forms import LONGEST_NAME, LONGEST_TEXT, Form, form_value
from web.pages.languages import HOME
from web.pages.templates import View, render
from web.pages.texts import Texts
from web.person import Person

TEXTS = ("justification", "conditions", "note", "objection")  # written by hand: nobody should have to write them twice
CHOSEN = ("decision", "agrees", "principal", "reason_")  # choices that are cleared when the case has changed
SIGNS = {  # whose sign and colour a decision has
    "approve": APPROVE, "approve_changed": APPROVE, "refer": REFER, "decline": DECLINE, "incomplete": REFER,
}  # fmt: skip
Problems = Mapping[str, str]  # input of a form -> what is wrong with it


@dataclass(frozen=True)
class TextBox:
    """An input for a text, of one line or several; `shortest` and `longest` in characters."""

    name: str
    label: str
    value: str
    problem: str
    longest: int
    shortest: int = 0
    kind: str = "text"
    note: str = ""
    offered: tuple[str, ...] = ()  # suggestions to choose from


@dataclass(frozen=True)
class Choice:
    """An option of a list or a group of buttons."""

    value: str
    text: str
    chosen: bool
    suggested: bool = False
    direction: str = ""  # which way a decision departs from the suggestion


@dataclass(frozen=True)
class ReasonCodes:
    """The reason codes of one direction."""

    direction: str
    label: str
    options: Markup


@dataclass(frozen=True)
class Options:
    """The options of a list."""

    template: ClassVar[str] = "cases/options.html"
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Sent:
    """What all forms have: who sends it, from which page, and the version of the case that it shows. The page's script
    sends the form and replaces it with the response."""

    action: str
    up: str  # the relative path to the app's root
    seen: str  # `version_of` the case
    failed: bool  # whether some inputs are wrong
    person: str  # the name of who is logged in; the form is refused if somebody else is by the time it is sent
    signed_as: str  # who is logged in, in words; if empty, the form asks for the name
    name: TextBox


@dataclass(frozen=True, kw_only=True)
class DecisionForm:
    """The form for a decision; CSS shows the inputs that the chosen decision needs."""

    template: ClassVar[str] = "cases/decide.html"
    boxes: ClassVar[tuple[str, ...]] = ("conditions", "justification")  # of `TEXTS`, those that it holds
    sent: Sent
    title: str
    review: str  # who reviews the decision, and by when
    choices: tuple[Choice, ...]
    choice_problem: str
    conditions: TextBox
    conditions_kept: bool  # shown although no chosen decision needs it, so that the text does not seem lost
    declines: bool  # the model suggests a decline, so principal reasons must be confirmed
    principal: tuple[Choice, ...]
    principal_problem: str
    codes: tuple[ReasonCodes, ...]
    codes_problem: str
    justification: TextBox
    justification_kept: bool


@dataclass(frozen=True, kw_only=True)
class AgreementForm:
    """The form for a second person, who approves the decision or sends it back."""

    template: ClassVar[str] = "cases/agree.html"
    boxes: ClassVar[tuple[str, ...]] = ("note",)
    sent: Sent
    choices: tuple[Choice, ...]
    choice_problem: str
    note: TextBox


@dataclass(frozen=True, kw_only=True)
class ObjectionForm:
    """The form for the applicant's objection: its text, the reviewer, the deadline."""

    template: ClassVar[str] = "cases/contest.html"
    sent: Sent
    lead: str
    objection: TextBox
    reviewer: TextBox
    deadline: TextBox


@dataclass(frozen=True)
class Outcome:
    """How the case was decided or ended, by whom, with links to the case, the notice and the next application."""

    decision: str  # approve, refer or decline, whose sign and colour it has; empty if it was withdrawn
    headline: str  # such as "Approved by anna"
    model: str  # what the model suggested, to follow the headline
    note: str  # what is still needed, or an empty string
    case: str  # such as "Case no. 12"
    has_notice: bool


@dataclass(frozen=True)
class Section:
    """What can be done with a case now. Its attributes tell the page's script where to send the form."""

    template: ClassVar[str] = "cases/section.html"
    path: str  # of the case's page
    home: str  # the desk
    seen: str
    problem: str  # why nothing was recorded, if the case has changed
    outcome: Outcome | None
    elsewhere: bool  # the form is on the case's page
    waits: str  # that somebody else has to act, and who may; or an empty string
    can_be_withdrawn: bool
    form: View | None
    folded: bool
    open: bool
    lost: tuple[str, ...]  # texts written in a form that is no longer on the page, shown so that they can be copied
    letter: View | None = None  # to the applicant, beside the form; a case's page has it in a place of its own


class CaseForms:
    """Builds sections for one lender, in one language. `up` is the relative path from the page to the app's root."""

    def __init__(
        self, lender: Lender, texts: Texts, up: str, person: Person | None = None, reviewers: Sequence[str] = ()
    ) -> None:
        self._lender, self._texts, self._up, self._person = lender, texts, up, person
        self._reviewers = tuple(reviewers)

    def section(
        self,
        case: Case,
        release: Release | None,
        drafts: Sequence[str],
        problems: Problems | None = None,
        form: Form | None = None,
    ) -> Section:
        """What can be done with a case now. `drafts` are the principal reasons to confirm, as `field/code`; `problems`
        are why the last form was not recorded, `form` holds its values."""
        problems, form = problems or {}, form or {}
        decision, state = case.decision, case.state
        is_own = decision is not None and self._person is not None and self._person.name == decision.by
        waits = "" if problems else self.waits(case, is_own)  # a form that was refused is shown again
        view: DecisionForm | AgreementForm | None = None
        if state in (OPEN, REVIEW, PENDING) and not waits:
            view = self.deciding(case, release, drafts, problems, form)
        elif state == WAITING and not is_own and not waits:
            view = self.agreeing(case, problems, form)
        boxes = view.boxes if view is not None else ()
        return self.section_with(
            case, view, problems, outcome=self.outcome(case), waits=waits,
            folded=state == PENDING, lost=unplaced_texts(form, boxes),
        )  # fmt: skip

    def waits(self, case: Case, is_own: bool) -> str:
        """That this person may not act on the case now, and who may; an empty string if they may."""
        person = self._person
        if person is None or case.state in DONE or able(case, [person.name]):
            return ""
        why = self._texts("agree.wait" if is_own and case.state == WAITING else "decide.barred")
        if not self._reviewers:  # the desk does not ask who they are; the case's page does
            return why
        others = able(case, self._reviewers)
        return f"{why} " + self._texts("decide.able" if others else "decide.able_none", names=", ".join(others))

    def elsewhere(self, case: Case, problems: Problems, form: Form) -> Section:
        """The section of a case whose current answers are not on this page: its state and a link to it, but no form."""
        outcome = self.outcome(case)
        return self.section_with(
            case, None, problems, outcome=outcome, elsewhere=outcome is None, lost=unplaced_texts(form, ())
        )  # fmt: skip

    def contest(self, case: Case, problems: Problems | None = None, form: Form | None = None) -> Section:
        """The section with the form for an objection."""
        return self.section_with(case, self.contesting(case, problems or {}, form or {}), problems or {})

    def section_with(
        self, case: Case, form: View | None, problems: Problems, *, outcome: Outcome | None = None,
        elsewhere: bool = False, waits: str = "", folded: bool = False, lost: tuple[str, ...] = (),
    ) -> Section:  # fmt: skip
        """A section that contains this form."""
        problem = self._texts(f"decide.problem.{problems['form']}") if "form" in problems else ""
        return Section(
            self.path(case), self.home, version_of(case), problem, outcome, elsewhere, waits,
            case.state in CAN_BE_WITHDRAWN, form, folded, bool(problems), lost,
        )  # fmt: skip

    @property
    def home(self) -> str:
        """The relative path to the desk in this language."""
        return (self._up + HOME[self._texts.language].lstrip("/")) or "./"

    def path(self, case: Case) -> str:
        """The relative path to a case's page."""
        return f"{self.home.removeprefix('./')}record/{quote(case.first.id)}"

    def outcome(self, case: Case) -> Outcome | None:
        """How the case was decided or ended; None before that. The headline is a person's."""
        texts, decision, ended = self._texts, case.decision, case.withdrawn
        number = texts("decide.case", seq=write_number(case.first.seq, texts.language))
        if ended is not None:
            return Outcome(
                "", texts("decide.by", decision=texts("withdraw.done"), by=ended.by),
                texts("decide.because", reason=texts(f"withdraw.{ended.reason}")), "", number, has_notice=False,
            )  # fmt: skip
        if decision is None:
            return None
        notes = {OPEN: "decide.not_agreed", WAITING: "decide.waiting", PENDING: "decide.pending"}
        same = direction(decision.decision, decision.suggested) == "as_suggested"
        suggestion = "decide.same" if same else "decide.model"
        if case.score_of(decision).decision != decision.suggested:  # the lender's rules made it another one
            suggestion += "_rules"
        return Outcome(
            SIGNS[decision.decision],
            texts("decide.by", decision=texts(f"decided.{decision.decision}"), by=decision.by),
            texts(suggestion, suggested=texts(f"decision.{decision.suggested}")),
            texts(notes[case.state]) if case.state in notes else "",
            number,
            case.state in IN_FORCE,
        )

    def deciding(
        self, case: Case, release: Release | None, drafts: Sequence[str], problems: Problems, form: Form
    ) -> DecisionForm:
        """The form for a decision."""
        texts, suggested, chosen = self._texts, case.score.suggested, form_value(form, "decision")
        review = ""
        if case.contest is not None:
            review = texts("decide.review", by=case.contest.reviewer, deadline=texts.day(case.contest.deadline))
        ticked = form.get("principal", [])
        declines = suggested == DECLINE
        return DecisionForm(
            sent=self.sent("decide", case, problems, form),
            title=texts("decide.review_title" if case.state == REVIEW else "decide.title"),
            review=review,
            choices=tuple(
                Choice(name, texts(f"decide.{name}"), name == chosen, name == suggested, direction(name, suggested))
                for name in DECISIONS
            ),
            choice_problem=self.problem("decision", problems),
            conditions=self.box("conditions", form, problems),
            conditions_kept=is_kept("conditions", form),
            declines=declines,
            principal=tuple(
                Choice(name, reason_text(name, release, self._lender, texts.language), name in ticked)
                for name in (drafts if declines else ())
            ),
            principal_problem=self.problem("principal", problems),
            codes=tuple(self.codes(way, form_value(form, f"reason_{way}")) for way in DIRECTIONS),
            codes_problem=self.problem("reason", problems),
            justification=self.box("justification", form, problems),
            justification_kept=is_kept("justification", form),
        )

    def codes(self, way: str, chosen: str) -> ReasonCodes:
        """The reason codes of one direction."""
        texts = self._texts
        codes = self._lender.codes[way]
        texts_by_code = tuple((code, words[texts.language]) for code, words in codes.items())
        options = options_for(texts_by_code, chosen if chosen in codes else "", texts)
        return ReasonCodes(way, texts(f"decide.why_{way}"), options)

    def agreeing(self, case: Case, problems: Problems, form: Form) -> AgreementForm:
        """The form for a second person."""
        answer = form_value(form, "agrees")
        return AgreementForm(
            sent=self.sent("agree", case, problems, form),
            choices=tuple(Choice(name, self._texts(f"agree.{name}"), name == answer) for name in ("yes", "no")),
            choice_problem=self.problem("agrees", problems),
            note=self.box("note", form, problems),
        )

    def contesting(self, case: Case, problems: Problems, form: Form) -> ObjectionForm:
        """The form for an objection."""
        return ObjectionForm(
            sent=self.sent("contest", case, problems, form),
            lead=self._texts("contest.lead", days=self._lender.contest_days),
            objection=self.box("objection", form, problems),
            reviewer=self.line("reviewer", form, problems, offered=self._reviewers),
            deadline=self.line("deadline", form, problems, kind="date"),
        )

    def sent(self, action: str, case: Case, problems: Problems, form: Form) -> Sent:
        """What all forms have."""
        signed_as = "" if self._person is None else self._texts("decide.as", name=self._person.name)
        name = self.line("name", form, problems, note="decide.trust")
        failed, person = bool(problems) and "form" not in problems, "" if self._person is None else self._person.name
        return Sent(action, self._up, version_of(case), failed, person, signed_as, name)

    def box(self, name: str, form: Form, problems: Problems) -> TextBox:
        """An input of several lines."""
        label, problem = self._texts(f"decide.{name}"), self.problem(name, problems)
        return TextBox(name, label, form_value(form, name), problem, LONGEST_TEXT, SHORTEST_TEXT)

    def line(
        self, name: str, form: Form, problems: Problems, kind: str = "text", note: str = "",
        offered: tuple[str, ...] = (),
    ) -> TextBox:  # fmt: skip
        """An input of one line."""
        return TextBox(
            name, self._texts(f"decide.{name}"), form_value(form, name), self.problem(name, problems), LONGEST_NAME,
            kind=kind, note=self._texts(note) if note else "", offered=offered,
        )  # fmt: skip

    def problem(self, part: str, problems: Problems) -> str:
        """What is wrong with an input of the form, or an empty string."""
        return self._texts(f"decide.problem.{problems[part]}") if part in problems else ""


@lru_cache(maxsize=256)  # of a lender's own codes, in each language, with each of them chosen
def options_for(codes: tuple[tuple[str, str], ...], chosen: str, texts: Texts) -> Markup:
    """The options of a list of codes (code, text), which are the same in every form."""
    return render(Options(tuple(Choice(code, text, code == chosen) for code, text in codes)), texts)


def unplaced_texts(form: Form, boxes: Sequence[str]) -> tuple[str, ...]:
    """Texts written in a form that are not in these boxes."""
    return tuple(form_value(form, name) for name in TEXTS if form_value(form, name) and name not in boxes)


def typed(form: Form) -> Form:
    """A form's values without its choices, which must be made again for the changed case."""
    return {name: values for name, values in form.items() if not name.startswith(CHOSEN)}


def is_kept(name: str, form: Form) -> bool:
    """Whether a text is shown although no chosen decision needs it."""
    return bool(form_value(form, name) and not form_value(form, "decision"))

"""The part of a card or a case's page where somebody decides, agrees, or objects; and what was decided. Views only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from inference.policy import DECLINE
from inference.release import Release
from ledger.cases import IN_FORCE, OPEN, PENDING, REVIEW, WAITING, Case
from ledger.decisions import DECISIONS, direction
from web.cases.rules import SHORTEST_TEXT, shown
from web.lender import DIRECTIONS, Lender, reason_text
from web.pages.forms import LONGEST_NAME, LONGEST_TEXT, Form, form_value
from web.pages.languages import HOME
from web.pages.templates import View
from web.pages.texts import Texts
from web.person import Person

TEXTS = ("justification", "conditions", "note", "objection")  # that somebody wrote, and should not write again
CHOSEN = ("decision", "agrees", "principal", "reason_")  # of what was shown, and to be chosen anew once it has changed
Problems = Mapping[str, str]  # part of a form -> what is wrong with it


@dataclass(frozen=True)
class TextBox:
    """A text of some lines, or of one; `shortest` and `longest` in characters."""

    name: str
    label: str
    value: str
    problem: str
    longest: int
    shortest: int = 0
    kind: str = "text"
    note: str = ""
    offered: tuple[str, ...] = ()  # what can be picked


@dataclass(frozen=True)
class Choice:
    """One of a list."""

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
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Sent:
    """What every form has: who sends it, from where, and the case as it shows it. A page's script sends it, and puts
    the answer in its place."""

    action: str
    up: str  # the way to the app's root
    seen: str
    failed: bool  # some of its parts are wrong
    signed_as: str  # who is logged in, in words; or nothing, and then the name is asked for
    name: TextBox


@dataclass(frozen=True, kw_only=True)
class DecisionForm:
    """Five decisions; what each needs shows once it is chosen, by the style alone."""

    template: ClassVar[str] = "cases/decide.html"
    boxes: ClassVar[tuple[str, ...]] = ("conditions", "justification")  # of `TEXTS`, those that it holds
    sent: Sent
    title: str
    review: str  # who looks at it again, and until when
    choices: tuple[Choice, ...]
    choice_problem: str
    conditions: TextBox
    conditions_kept: bool  # shown although nothing is chosen that needs it: what was written should not seem lost
    declines: bool  # the model suggests a decline, so there are principal reasons to confirm
    principal: tuple[Choice, ...]
    principal_problem: str
    codes: tuple[ReasonCodes, ...]
    codes_problem: str
    justification: TextBox
    justification_kept: bool


@dataclass(frozen=True, kw_only=True)
class AgreementForm:
    """A second person agrees, or sends it back."""

    template: ClassVar[str] = "cases/agree.html"
    boxes: ClassVar[tuple[str, ...]] = ("note",)
    sent: Sent
    choices: tuple[Choice, ...]
    choice_problem: str
    note: TextBox


@dataclass(frozen=True, kw_only=True)
class ObjectionForm:
    """The applicant objects: what, who looks at it again, until when."""

    template: ClassVar[str] = "cases/contest.html"
    sent: Sent
    lead: str
    objection: TextBox
    reviewer: TextBox
    deadline: TextBox


@dataclass(frozen=True)
class Outcome:
    """The last decision, with its way to the record and the notice, and on to the next application."""

    decided: str
    has_notice: bool


@dataclass(frozen=True)
class Section:
    """What can be done with a case now. The page's script finds it, and knows where to send its form."""

    template: ClassVar[str] = "cases/section.html"
    path: str  # of the case's page
    home: str  # the desk
    seen: str
    problem: str  # why nothing was recorded, where the case has changed
    outcome: Outcome | None
    elsewhere: bool  # what can be done is on the case's page
    waits: bool  # for somebody else
    form: View | None
    folded: bool
    open: bool
    lost: tuple[str, ...]  # what somebody wrote in a form that is no longer on the page, to be copied


class CaseForms:
    """Makes the section for one lender, in one language. `up` leads from the page it stands on to the app's root."""

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
        say why the last try was not recorded, `form` what it held."""
        problems, form = problems or {}, form or {}
        decision, state = case.decision, case.state
        own = decision is not None and self._person is not None and self._person.name == decision.by
        made: DecisionForm | AgreementForm | None = None
        if state in (OPEN, REVIEW, PENDING):
            made = self.deciding(case, release, drafts, problems, form)
        elif state == WAITING and not own:
            made = self.agreeing(case, problems, form)
        boxes = made.boxes if made is not None else ()
        return self.around(
            case, made, problems, outcome=self.outcome(case), waits=state == WAITING and own, folded=state == PENDING,
            lost=written(form, boxes),
        )  # fmt: skip

    def elsewhere(self, case: Case, problems: Problems, form: Form) -> Section:
        """How a case stands whose present answers are not on this page: the way to them, and no form."""
        outcome = self.outcome(case)
        return self.around(
            case, None, problems, outcome=outcome, elsewhere=outcome is None, lost=written(form, ())
        )  # fmt: skip

    def contest(self, case: Case, problems: Problems | None = None, form: Form | None = None) -> Section:
        """Where an objection is written down."""
        return self.around(case, self.contesting(case, problems or {}, form or {}), problems or {})

    def around(
        self, case: Case, form: View | None, problems: Problems, *, outcome: Outcome | None = None,
        elsewhere: bool = False, waits: bool = False, folded: bool = False, lost: tuple[str, ...] = (),
    ) -> Section:  # fmt: skip
        """A section around a form."""
        problem = self._texts(f"decide.problem.{problems['form']}") if "form" in problems else ""
        return Section(
            self.path(case), self.home, shown(case), problem, outcome, elsewhere, waits, form, folded,
            bool(problems), lost,
        )  # fmt: skip

    @property
    def home(self) -> str:
        """The way to the desk in this language."""
        return (self._up + HOME[self._texts.language].lstrip("/")) or "./"

    def path(self, case: Case) -> str:
        """The way to a case's page."""
        return f"{self.home.removeprefix('./')}record/{quote(case.first.id)}"

    def told(self, case: Case) -> str:
        """The last decision in words; nothing before there is one."""
        decision = case.decision
        if decision is None:
            return ""
        keys = {OPEN: "decide.not_agreed", WAITING: "decide.waiting", PENDING: "decide.pending"}
        words = self._texts(f"decided.{decision.decision}")
        return self._texts(keys.get(case.state, "decide.done"), decision=words, by=decision.by, seq=decision.seq)

    def outcome(self, case: Case) -> Outcome | None:
        return None if case.decision is None else Outcome(self.told(case), case.state in IN_FORCE)

    def deciding(
        self, case: Case, release: Release | None, drafts: Sequence[str], problems: Problems, form: Form
    ) -> DecisionForm:
        """The form for a decision."""
        texts, suggested, chosen = self._texts, case.score.decision, form_value(form, "decision")
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
            conditions_kept=kept("conditions", form),
            declines=declines,
            principal=tuple(
                Choice(name, reason_text(name, release, self._lender, texts.language), name in ticked)
                for name in (drafts if declines else ())
            ),
            principal_problem=self.problem("principal", problems),
            codes=tuple(self.codes(went, form_value(form, f"reason_{went}")) for went in DIRECTIONS),
            codes_problem=self.problem("reason", problems),
            justification=self.box("justification", form, problems),
            justification_kept=kept("justification", form),
        )

    def codes(self, went: str, chosen: str) -> ReasonCodes:
        """The reason codes of one direction."""
        texts = self._texts
        listed = self._lender.codes[went].items()
        choices = tuple(Choice(code, words[texts.language], code == chosen) for code, words in listed)
        return ReasonCodes(went, texts(f"decide.why_{went}"), choices)

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
        """What every form has."""
        signed_as = "" if self._person is None else self._texts("decide.as", name=self._person.name)
        name = self.line("name", form, problems, note="decide.trust")
        return Sent(action, self._up, shown(case), bool(problems) and "form" not in problems, signed_as, name)

    def box(self, name: str, form: Form, problems: Problems) -> TextBox:
        """A text of some lines."""
        label, problem = self._texts(f"decide.{name}"), self.problem(name, problems)
        return TextBox(name, label, form_value(form, name), problem, LONGEST_TEXT, SHORTEST_TEXT)

    def line(
        self, name: str, form: Form, problems: Problems, kind: str = "text", note: str = "",
        offered: tuple[str, ...] = (),
    ) -> TextBox:  # fmt: skip
        """A text of one line."""
        return TextBox(
            name, self._texts(f"decide.{name}"), form_value(form, name), self.problem(name, problems), LONGEST_NAME,
            kind=kind, note=self._texts(note) if note else "", offered=offered,
        )  # fmt: skip

    def problem(self, part: str, problems: Problems) -> str:
        """What is wrong with a part of the form."""
        return self._texts(f"decide.problem.{problems[part]}") if part in problems else ""


def written(form: Form, boxes: Sequence[str]) -> tuple[str, ...]:
    """What somebody wrote in a form that is not in these boxes."""
    return tuple(form_value(form, name) for name in TEXTS if form_value(form, name) and name not in boxes)


def typed(form: Form) -> Form:
    """What was typed into a form, without what was chosen: that is chosen anew, of the case as it is now."""
    return {name: values for name, values in form.items() if not name.startswith(CHOSEN)}


def kept(name: str, form: Form) -> bool:
    """Whether a text is shown although nothing is chosen that needs it."""
    return bool(form_value(form, name) and not form_value(form, "decision"))

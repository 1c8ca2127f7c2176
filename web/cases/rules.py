"""The rules for decisions, approvals and objections: from a form to a draft for the ledger, or every error.

A form contains the version of the case that it showed, which is the case's last record. The rules apply to that
version, and the ledger accepts the draft only if that record is still the last.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from inference.errors import TenfoldError
from inference.measure import Clock
from ledger.cases import IN_FORCE, TO_DECIDE, WAITING, Case
from ledger.decisions import DECISIONS, agreed, contested, decided, direction
from ledger.records import Draft
from web.lender import Lender
from web.pages.forms import LONGEST_NAME, Form, day, form_value
from web.person import Person

SHORTEST_TEXT = 10  # characters of a justification: a sentence, not a single letter


class InvalidDecision(TenfoldError):
    """A form that cannot be recorded. `problems`: input of the form -> what is wrong with it, as keys of texts."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = problems
        super().__init__(", ".join(f"{part}: {problem}" for part, problem in problems.items()))


def version_of(case: Case) -> str:
    """The version of a case: sequence number and hash of its last record, as a form contains them."""
    return f"{case.last.seq} {case.last.hash.hex()}"


def case_at(case: Case, seen: object) -> Case | None:
    """The case at the version `seen` that a form contains; None if there never was such a version."""
    versions = (Case(case.events[:count]) for count in range(len(case.events), 0, -1))
    return next((earlier for earlier in versions if version_of(earlier) == seen), None)


def decide(
    case: Case, form: Form, person: Person, amount: float | None, lender: Lender, drafts: Sequence[str]
) -> Draft:
    """A decision on a case that is open, or under review by a different person. Raises `InvalidDecision`.

    `drafts` are the principal reasons that can be confirmed.
    """
    score = case.score
    choice, problems = form_value(form, "decision"), missing_name(person)
    if case.state not in TO_DECIDE:
        raise InvalidDecision({"form": "not_now"})
    if person.name in case.barred:
        problems["name"] = "another_person"
    if choice not in DECISIONS:
        raise InvalidDecision({**problems, "decision": "choose"})
    departure = direction(choice, score.suggested)
    code = form_value(form, f"reason_{departure}") if departure != "as_suggested" else ""
    if departure != "as_suggested" and code not in lender.codes[departure]:
        problems["reason"] = "choose"
    justification, conditions = form_value(form, "justification"), form_value(form, "conditions")
    confirmed = [name for name in drafts if name in form.get("principal", [])]
    by_model = choice == "decline" and departure == "as_suggested"
    if by_model and drafts and not confirmed and len(justification) < SHORTEST_TEXT:
        problems["principal"] = "confirm"
    if (departure != "as_suggested" or (by_model and not drafts)) and len(justification) < SHORTEST_TEXT:
        problems["justification"] = "sentence"
    if choice == "approve_changed" and len(conditions) < SHORTEST_TEXT:
        problems["conditions"] = "sentence"
    if problems:
        raise InvalidDecision(problems)
    draft = decided(
        case.first.id, choice, score.suggested,
        by=person.name, reference=case.first.reference, score=score.id, reason_code=code or None,
        justification=justification or None, conditions=conditions if choice == "approve_changed" else None,
        reasons=confirmed if by_model else None, needs_second=lender.needs_second(person.role, amount),
        contest=case.objection.id if case.objection else None,
    )  # fmt: skip
    return case.continued(draft)


def agree(case: Case, form: Form, person: Person) -> Draft:
    """A second person's approval, or refusal, of a decision that needs one. Raises `InvalidDecision`."""
    problems = missing_name(person)
    if case.state != WAITING or case.decision is None:
        raise InvalidDecision({"form": "not_now"})
    if person.name == case.decision.by:
        problems["name"] = "second_person"
    elif person.name in case.barred:  # made the decision that the applicant objected to
        problems["name"] = "another_person"
    answer, note = form_value(form, "agrees"), form_value(form, "note")
    if answer not in ("yes", "no"):
        problems["agrees"] = "choose"
    if answer == "no" and len(note) < SHORTEST_TEXT:
        problems["note"] = "sentence"
    if problems:
        raise InvalidDecision(problems)
    draft = agreed(
        case.decision.id, by=person.name, agrees=answer == "yes", note=note or None, reference=case.first.reference
    )
    return case.continued(draft)


def contest(
    case: Case, form: Form, person: Person, lender: Lender, reviewers: Sequence[str] = (), clock: Clock | None = None
) -> Draft:
    """An objection to a decision, with its reviewer and deadline. Raises `InvalidDecision`.

    `reviewers` are all users; empty without login.
    """
    problems = missing_name(person)
    if case.state not in IN_FORCE or case.decision is None:
        raise InvalidDecision({"form": "not_now"})
    objection, reviewer = form_value(form, "objection"), form_value(form, "reviewer", LONGEST_NAME)
    if len(objection) < SHORTEST_TEXT:
        problems["objection"] = "sentence"
    if not reviewer:
        problems["reviewer"] = "name"
    elif reviewers and (reviewer := reviewer.lower()) not in reviewers:
        problems["reviewer"] = "unknown_person"
    elif reviewer in case.decided_by:
        problems["reviewer"] = "another_person"
    today = lender.work.today(clock)
    deadline = (
        day(form_value(form, "deadline")) if form_value(form, "deadline") else today + timedelta(lender.contest_days)
    )
    if deadline is None or not today <= deadline <= today + timedelta(3650):
        problems["deadline"] = "date"
    if problems or deadline is None:
        raise InvalidDecision(problems)
    draft = contested(
        case.decision.id, by=person.name, reviewer=reviewer, deadline=deadline.isoformat(),
        objection=objection, reference=case.first.reference,
    )  # fmt: skip
    return case.continued(draft)


def able(case: Case, names: Collection[str]) -> list[str]:
    """Those who may decide now, or approve: nobody reviews their own decision."""
    own = {case.decision.by} if case.state == WAITING and case.decision else set()
    return [name for name in names if name not in case.barred | own]


def missing_name(person: Person) -> dict[str, str]:
    """The problem of a missing name, if it is missing."""
    return {} if person.name else {"name": "name"}

"""The letter of a case: its text in each language, and its place below a decline on the desk."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from inference.fields import AnswerRefused
from inference.policy import DECLINE
from ledger.cases import IN_FORCE
from ledger.errors import UNREADABLE, cause
from web.cases.decision_form import CaseForms, Section
from web.cases.letter import letter
from web.cases.notice import Notice, notices
from web.cases.opened import CaseReader, Opened
from web.lender import Lender
from web.pages.texts import Texts
from web.service_state import ServiceState

logger = logging.getLogger(__name__)


class CaseLetters:
    """Letters in one lender's words. `state` knows since when the release serves."""

    def __init__(self, reader: CaseReader, lender: Lender, state: ServiceState) -> None:
        self._reader, self._lender, self._state = reader, lender, state

    def notices(self, opened: Opened, logged_in: bool) -> Mapping[str, Notice] | None:
        """The notice in each language; empty before a decision is in force, and where people log in but the lender's
        own words are missing. None where a record cannot be read: the rest of the page still shows the case."""
        case, decision = opened.case, opened.case.decision
        if case.state not in IN_FORCE or decision is None or (self._lender.is_example and logged_in):
            return {}
        release = self._reader.decided_with(case, decision)
        try:
            return notices(case, release, self._lender, self._state.was_draft(release, case.score_of(decision).seq))
        except (AnswerRefused, *UNREADABLE) as error:
            logger.error("ledger: no letter: %s", cause(error))
            return None

    def below(self, section: Section, forms: CaseForms, opened: Opened, texts: Texts, logged_in: bool) -> Section:
        """The desk's section of a case; below a decline it has the letter, which a case's page has elsewhere."""
        decision = opened.case.decision
        if decision is None or decision.decision != DECLINE:
            return section
        return replace(section, letter=letter(forms, opened.case, self.notices(opened, logged_in), texts))

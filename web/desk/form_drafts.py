"""What a person who is logged in has typed into forms: kept on the server until it is decided on, found again after a
reload, in the other language, or after a crash of the browser. Without login nothing is kept: what was typed is sent
along when another language is chosen, and converted here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from inference.fields import NOT_STATED, AnswerRefused, NumberField
from inference.release import Release
from ledger.drafts import Drafts, FormDraft
from ledger.errors import LedgerUnavailable
from web.desk.form import FormValues, optional, shown, single_line
from web.desk.form_case import FORM_KEY
from web.pages.templates import render
from web.pages.texts import LANGUAGES, Texts
from web.person import person_of
from web.work_settings import WorkSettings

LISTED = 5  # drafts on an empty form
RECORD = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True)
class UnfinishedForm:
    """A form that can be gone on with."""

    id: str
    text: str


@dataclass(frozen=True)
class UnfinishedForms:
    """The forms that somebody has begun, on top of an empty one."""

    template: ClassVar[str] = "desk/unfinished.html"
    forms: tuple[UnfinishedForm, ...]


class FormDrafts:
    """The routes' functions for drafts, in one language."""

    def __init__(
        self, drafts: Drafts | None, release: Release, texts: Texts, settings: WorkSettings, with_reference: bool = True
    ) -> None:
        """`with_reference`: whether the form has a box for one."""
        self._drafts, self._release, self._texts, self._settings = drafts, release, texts, settings
        self._with_reference = with_reference

    async def keep(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """Keep a form as it is typed; `kept` says whether it was."""
        owner, id, content = self._owner(scope), body.get("id"), body.get("draft")
        if self._drafts is None or owner is None or not is_key(id) or not isinstance(content, dict):
            return {"kept": False}
        content = {**content, "release": self._release.digest, "language": self._texts.language}
        try:
            return {"kept": await run_in_threadpool(self._drafts.keep, owner, str(id), orjson.dumps(content).decode())}
        except LedgerUnavailable:
            return {"kept": False}

    async def discard(self, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """Erase a form: its case is decided, or it is no longer wanted."""
        owner, id = self._owner(scope), body.get("id")
        if self._drafts is None or owner is None or not is_key(id):
            return {"erased": False}
        try:
            await run_in_threadpool(self._drafts.discard, owner, str(id))
        except LedgerUnavailable:
            return {"erased": False}
        return {"erased": True}

    async def find(self, id: object, scope: Scope) -> tuple[dict[str, Any] | None, str]:
        """A form as the page fills it (None if it is not kept), and a list of the person's other ones, as HTML."""
        owner = self._owner(scope)
        if self._drafts is None or owner is None:
            return None, ""
        try:
            listed = await run_in_threadpool(self._drafts.of, owner)
        except LedgerUnavailable:
            return None, ""
        contents = {draft.id: parsed(draft) for draft in listed}
        usable = [draft for draft in listed if contents[draft.id].get("release") == self._release.digest]
        wanted = next((draft for draft in usable if draft.id == id), None)
        if wanted is not None:
            return self._filled(contents[wanted.id]), ""
        forms = tuple(UnfinishedForm(draft.id, self._named(draft, contents[draft.id])) for draft in usable[:LISTED])
        return None, render(UnfinishedForms(forms), self._texts) if forms else ""

    def carried(self, sent: object) -> dict[str, Any] | None:
        """A form that the page's script brings along, as the page fills it; None if it cannot be used."""
        if not isinstance(sent, dict) or sent.get("release") != self._release.digest:
            return None
        return self._filled(sent)

    def _owner(self, scope: Scope) -> str | None:
        person = person_of(scope)
        return None if person is None or person.machine else person.name

    def _named(self, draft: FormDraft, content: Mapping[str, Any]) -> str:
        """A form by its reference, and when it was last changed."""
        time = datetime.fromtimestamp(draft.changed, UTC).astimezone(self._settings.zone)
        reference = str(content.get("reference") or "").strip() or self._texts("drafts.no_reference")
        day = self._texts.day(time.date().isoformat())
        return self._texts("drafts.one", reference=reference, day=day, time=time.strftime("%H:%M"))

    def _filled(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """A form's values as its widgets take them, and the rest as the script sent it."""
        language = content.get("language")
        values = FormValues(self._release.form, language if language in LANGUAGES else self._texts.language, True)
        typed = content.get("answers")
        typed = typed if isinstance(typed, dict) else {}
        answers, here = values.answers(typed), self._texts.language
        widgets: list[object] = []
        for field in self._release.form.fields:
            raw, answer = typed.get(field.name), answers.get(field.name)
            if isinstance(field, NumberField):
                try:
                    widgets.append("" if raw is None else shown(field, field.parse(answer), here))
                except AnswerRefused:
                    widgets.append(raw if isinstance(raw, str) else "")  # as typed, to be mended
            else:
                widgets.append(shown(field, answer, here))
        ticks = [answers.get(field.name) == NOT_STATED for field in optional(self._release.form)]
        reference = content.get("reference")
        case = content.get("case")
        return {
            "values": [
                *widgets,
                *ticks,
                *([reference if isinstance(reference, str) else ""] if self._with_reference else []),
            ],
            "applicant": single_line(content.get("applicant")) or "",
            "touched": content.get("touched"),
            "decision": content.get("decision"),
            "of": content.get("of"),
            "seen": content.get("seen"),
            "case": case if isinstance(case, str) and RECORD.fullmatch(case) else "",
        }


def is_key(id: object) -> bool:
    """Whether this is a form's key, as the page's script makes it."""
    return isinstance(id, str) and FORM_KEY.fullmatch(id) is not None


def parsed(draft: FormDraft) -> dict[str, Any]:
    """A draft's content; empty if it cannot be used."""
    content = orjson.loads(draft.content)
    return content if isinstance(content, dict) else {}

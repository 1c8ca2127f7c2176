"""Gradio's own API: `predict_credit_score`, with the release's fields as its parameters."""

import inspect
from typing import Any, Literal

import gradio.events
from gradio.context import LocalContext

from inference.application import Form
from inference.errors import InvalidApplication
from inference.fields import ChoiceField, Field, NumberField
from ledger.store import LedgerUnavailable
from web.api import problem_json
from web.person import person_of
from web.recording import Recorder

NOBODY = "gradio"  # who asks, as long as nobody has to say so
LISTED_UP_TO = 60  # choices; longer lists are named in the release and not in the signature


def add_endpoint(recorder: Recorder) -> None:
    """Add the endpoint to the Blocks that is being built.

    It answers with `Score.as_dict()`; or with `{"problems": [...]}`: one entry a bad field, each with field, kind,
    allowed, got and unit; or with `{"problem": ...}` where it cannot be recorded. An exception would reach the client
    without its text, since the server shows no errors.
    """
    form = recorder.scorer.release.form

    async def predict_credit_score(*answers: object) -> dict[str, Any]:
        try:
            named = dict(zip(form.names, answers, strict=True))
            told = await recorder.score(named, by=caller(), channel="api")
            return told.score.as_dict()
        except InvalidApplication as error:
            return {"problems": [problem_json(problem) for problem in error.problems]}
        except LedgerUnavailable:
            return {"problem": "not recorded, so not answered: the server's log says why"}

    dress(predict_credit_score, form)
    gradio.events.api(
        predict_credit_score,
        api_name="predict_credit_score",
        api_description="Score one application. A number that may be left open takes null for not stated.",
        queue=False,
    )


def caller() -> str:
    """Who asks, as records say it: Gradio keeps the request of the call at hand."""
    request = LocalContext.request.get(None)
    person = person_of(request.request.scope) if request is not None and request.request else None
    return person.name if person else NOBODY


def dress(function: Any, form: Form) -> None:
    """Give a function that takes any answers the form's own parameters, by name and type."""
    kinds = {field.name: type_of(field) for field in form.fields}
    function.__annotations__ = {**kinds, "return": dict}
    function.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kinds[name]) for name in kinds],
        return_annotation=dict,
    )


def type_of(field: Field) -> Any:
    """The Python type that describes a field's answers."""
    if isinstance(field, NumberField):
        return float | None if field.optional else float
    if isinstance(field, ChoiceField) and field.digits is None and len(field.choices) <= LISTED_UP_TO:
        return Literal[tuple(choice.code for choice in field.choices)]
    return str

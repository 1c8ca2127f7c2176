"""Gradio's API and the server's own paths, from outside, against the server that people start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client import Client
from live import ROOT, Server
from parts import some

from inference.fields import NumberField
from inference.scorer import open_scorer
from inference.settings import Settings


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False, analytics_enabled=False)


def test_only_the_named_endpoint_is_offered(client: Client, server: Server) -> None:
    """`predict_credit_score` takes the release's fields by name; the button's own event is not on offer."""
    offered = client.view_api(return_format="dict")
    assert list(offered["named_endpoints"]) == ["/predict_credit_score"]
    assert not offered["unnamed_endpoints"]
    parameters = offered["named_endpoints"]["/predict_credit_score"]["parameters"]
    assert [one["parameter_name"] for one in parameters] == list(server.release.form.names)


def test_endpoint_scores_as_the_scorer_does(client: Client, server: Server) -> None:
    """The endpoint's JSON is the scorer's own score."""
    answer = client.predict(**server.release.form.example, api_name="/predict_credit_score")
    expected = open_scorer(Settings(release=server.release.folder, log=None)).score(server.release.form.example)
    varying = {"request_id", "milliseconds"}
    assert {k: v for k, v in answer.items() if k not in varying} == {
        k: v for k, v in json.loads(json.dumps(expected.as_dict())).items() if k not in varying
    }


def test_endpoint_names_every_bad_field(client: Client, server: Server) -> None:
    """Bad answers come back as a list of problems, markup and all, since an error's text would be hidden."""
    numbers = [field for field in server.release.form.fields if isinstance(field, NumberField)]
    answers = {**server.release.form.example, numbers[0].name: "<script>alert(1)</script>", numbers[1].name: 1e9}
    problems = client.predict(**answers, api_name="/predict_credit_score")["problems"]
    assert [(one["field"], one["kind"]) for one in problems] == [
        (numbers[0].name, "not_a_number"),
        (numbers[1].name, "too_large"),
    ]
    assert all(one["allowed"] for one in some(problems))
    open_number = next(field for field in numbers if field.optional)
    stated = client.predict(**{**server.release.form.example, open_number.name: None}, api_name="/predict_credit_score")
    assert "pd" in stated


def test_checkout_stays_as_it_was(client: Client, server: Server) -> None:
    """The server starts from a read-only checkout, logs where it was told to, and writes nothing else there."""
    client.predict(**server.release.form.example, api_name="/predict_credit_score")
    made = [path for path in server.checkout.rglob("*") if not (ROOT / path.relative_to(server.checkout)).exists()]
    assert made == []
    assert not list(server.checkout.rglob("__pycache__"))
    assert '"pd"' in server.log.read_text()


def test_a_bad_setting_stops_the_start_with_one_message(tmp_path: Path) -> None:
    """A wrong setting or release: exit status 1 and one message that says which, without a traceback."""
    for setting, said in (
        ({"TENFOLD_RELEASE": str(tmp_path)}, "release refused"),
        ({"TENFOLD_SPEED": "fast"}, "TENFOLD_SPEED: no such setting"),
        ({"PORT": "http"}, "PORT: a whole number"),
    ):
        ended = subprocess.run(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith("TENFOLD_")} | setting,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 1
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr

"""What an answer of the API holds: docs/api.md lists every field of a real one, and no other."""

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from parts import NO_USERS, newest, some, visiting
from test_lender_rules import OF_SBA, lender_file

from inference.scorer import open_scorer
from inference.settings import ROOT, Settings
from ledger.ledger import Ledger
from web.lender import EXAMPLE, read_lender
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started


def fields(value: object, path: str = "") -> Iterator[str]:
    """The names in a JSON value, as docs/api.md writes them; what is keyed by language is one field."""
    if isinstance(value, list):
        for entry in value:
            yield from fields(entry, f"{path}[]")
    elif isinstance(value, dict) and not {"en", "fr"} <= value.keys():
        for name, inner in value.items():
            here = f"{path}.{name}" if path else name
            yield here
            yield from fields(inner, here)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """One application alone and in a batch, for a lender with rules, grades and questions."""
    folder = tmp_path_factory.mktemp("answer")
    shown = re.search(r"(?:^# .*\n)*^# \[\[questions\]\]\n(?:^# .*\n)+", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    assert shown is not None
    questions = shown[0][shown[0].index("# [[questions]]") :].replace("# ", "")
    settings = Settings(release=newest("consumer"), log=None, users=NO_USERS)
    scorer, lender = open_scorer(settings), read_lender(lender_file(folder, OF_SBA, limits=questions))
    item = {"answers": {**scorer.release.form.example, "amount": 1500, "price": 1400}, "reference": "A-1"}
    with (
        closing(Ledger(folder / "ledger.sqlite3")) as ledger,
        visiting(create_app(scorer, settings, ledger, lender)) as client,
    ):
        alone = client.post("/api/v1/score", json=item).json()
        (of_batch,) = client.post("/api/v1/score:batch", json={"items": [item]}).json()["items"]
    return [alone, of_batch]


def test_the_table_has_every_field_of_an_answer(answers: list[dict[str, Any]]) -> None:
    """Also those of rules, offer and warnings, one by one; a batch adds the status."""
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    table = page.partition("## An answer")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([^`]+)` \| \S.* \|$", table, re.MULTILINE)
    assert len(listed) == len(set(listed)) > 30
    alone, of_batch = answers
    assert set(fields(alone)) == set(listed)
    assert set(fields(of_batch)) == {*listed, "status"}


def test_the_answer_has_something_of_each_kind(answers: list[dict[str, Any]]) -> None:
    """Otherwise the table would not be compared with what stands inside."""
    for answer in some(answers):
        assert len(answer["rules"]) == 3
        assert answer["offer"]["instalment"] > 0
        assert [warning["code"] for warning in answer["warnings"]] == ["amount_above_price"]

"""Every sentence, interval, proposal, percentage and rank of the score card and the what-if panel, by brute force.

Real loans, drawn with a seed, approvals, referrals and declines a sixth each at least, in English and French, through
the desk's own routes. `make truth` takes 2,000 loans a release instead of 200. An adopted release is judged the same.
"""

import html
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest
from adoptable import FIELDS, SENSIBLE, classifier, files, table
from fastapi.testclient import TestClient
from parts import NAMES, NO_USERS, newest, visiting
from truth_judge import Case
from truth_oracle import Oracle

from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from models.adoption.adopt import adopt
from models.data import loans
from models.recipes import RECIPES
from web.server import create_app

pytestmark = pytest.mark.slow

LOANS = int(os.environ.get("TRUTH", "60"))
POOL = 50 * LOANS  # loans to draw from, at most
ADOPTED = "adopted"


class Drawn(NamedTuple):
    """A release's desk, and the loans to judge it by."""

    scorer: Scorer
    client: TestClient
    answers: list[dict[str, object]]


def draw(scorer: Scorer, columns: dict[str, Any]) -> list[dict[str, object]]:
    """LOANS loans by seed: as they come, but at least a sixth of each decision, and none for whom there are no more."""
    count = len(next(iter(columns.values())))
    order = np.random.default_rng(15).permutation(count)[:POOL].tolist()
    pool = [{name: column[at] for name, column in columns.items()} for at in order]
    values = [scorer.release.form.parse(answers).values for answers in pool]
    decided = [
        Oracle(scorer, one).decision(pd, one) for one, pd in zip(values, scorer.pds(np.array(values)), strict=True)
    ]
    share = -(-LOANS // 6)
    chosen = {at for name in set(decided) for at in [n for n, one in enumerate(decided) if one == name][:share]}
    for at in range(len(pool)):
        if len(chosen) < LOANS:
            chosen.add(at)
    assert len(chosen) == LOANS
    found = Counter(decided[at] for at in chosen)
    assert all(found[name] >= share for name in ("approve", "refer", "decline")), found
    return [pool[at] for at in sorted(chosen)]


def adopted(folder: Path) -> Path:
    """A release as its owner would adopt it, with past loans and with fields open to change."""
    frame, bad = table()
    model = classifier(monotone_constraints=SENSIBLE).fit(frame, bad)
    fields = FIELDS.replace("[fields.price]", 'actionable = "down"\n\n[fields.price]', 1)
    fields = fields.replace("[fields.income]", 'actionable = "either"\n\n[fields.income]', 1)
    made = files(folder, model, frame.columns, fields)
    past = folder / "past.csv"
    loans.consumer().to_csv(past, index=False)
    found = adopt(*made, made.sha256, folder, loans=past)
    assert found.release
    return found.release.folder


@pytest.fixture(scope="module", params=[*NAMES, ADOPTED])
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawn]:
    folder = adopted(tmp_path_factory.mktemp("adopted")) if request.param == ADOPTED else newest(request.param)
    settings = Settings(release=folder, log=None, users=NO_USERS)
    scorer = open_scorer(settings)
    columns = RECIPES["consumer" if request.param == ADOPTED else request.param].load().answers
    with visiting(create_app(scorer, settings, None)) as client:
        yield Drawn(scorer, client, draw(scorer, dict(columns)))


def asked(client: TestClient, path: str, **wish: object) -> str:
    answer = client.post(path, content=orjson.dumps(wish), headers={"content-type": "application/json"})
    assert answer.status_code == 200
    return answer.text


def test_every_sentence_is_true(drawn: Drawn, record_testsuite_property: Callable[[str, object], None]) -> None:
    """No sentence is false, and none is unknown; the counts are printed."""
    scorer, form = drawn.scorer, drawn.scorer.release.form
    wrong: list[str] = []
    said: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    at_fault = 0
    for number, answers in enumerate(drawn.answers):
        oracle = Oracle(scorer, form.parse(answers).values)
        curve_at = number % len(form.fields)
        tried = dict(answers)
        if number % 2:  # the form as it stands, with another loan's answer to one field
            name = form.names[number // 2 % len(form.names)]
            tried[name] = drawn.answers[number - 1][name]
        now = Oracle(scorer, form.parse(tried).values)
        faults = []
        for language, path in (("en", ""), ("fr", "/fr")):
            case = Case(oracle, now, language, curve_at)
            card = asked(drawn.client, f"{path}/desk/score", answers=answers)
            case.card(card)
            base = re.search(r'data-answers="([^"]*)"', card)
            assert base
            scored = orjson.loads(html.unescape(base[1]))
            case.comparison(asked(drawn.client, f"{path}/desk/compare", answers=tried, base=scored))
            case.panel(asked(drawn.client, f"{path}/desk/try", field=form.names[curve_at], base=scored))
            said += case.said
            faults += [f"loan {number} {language}: {one}" for one in case.wrong]
        decisions[oracle.decision(oracle.pd, oracle.values)] += 1
        at_fault += bool(faults)
        wrong += faults
    print(f"\n{scorer.release.name}: {len(drawn.answers):,} loans in two languages, {dict(decisions)}; "
          f"{said.total():,} sentences of {len(said)} kinds; loans with a false one: {at_fault}")  # fmt: skip
    for key, count in sorted(said.items()):
        print(f"  {key}: {count:,}")
    assert not wrong, f"{len(wrong)} faults in {at_fault} loans:\n" + "\n".join(wrong[:40])
    assert said.total() > 20 * len(drawn.answers)

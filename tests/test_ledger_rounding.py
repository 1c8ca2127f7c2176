"""What stays of a PD after a purge: how many real loans share a rounded one, and that nothing exact stays beside it."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from parts import RealLoans

from inference.policy import APPROVE, DECLINE, REFER
from inference.scorer import Scorer
from inference.settings import ROOT, default_release
from ledger.decisions import rounded, scored
from ledger.events import EXACT
from models.recipes import RECIPES

SECURITY = (ROOT / "SECURITY.md").read_text("utf-8")


def shared(keys: Sequence[Any]) -> tuple[int, int, int]:
    """Of how many a loan shares its key with, itself included: the median, the smallest; and how many are alone."""
    counts = Counter(keys)
    own = [counts[key] for key in keys]
    return int(np.median(own)), min(own), own.count(1)


@pytest.mark.slow
def test_a_rounded_pd_is_shared_by_many(scorer: Scorer, record_property: Any) -> None:
    """All real consumer loans, scored: the figures that SECURITY.md states."""
    if scorer.release.folder.name != default_release().name:
        pytest.skip("the figures are of the default release's loans; the other release has hundreds of thousands")
    loans = RECIPES[scorer.release.manifest.name].load()
    names = scorer.release.form.names
    drafts = []
    for at in range(len(loans)):
        answers = {name: loans.answers[name][at] for name in names}
        drafts.append(scored(scorer.score(answers), scorer.release, answers, by="test", channel="api"))
    exact = shared([(draft.personal or {})["pd"] for draft in drafts])
    body = [(draft.fields["pd"], draft.fields["points"]) for draft in drafts]
    median, smallest, alone = shared(body)
    with_decision = shared([(*pair, draft.fields["decision"]) for pair, draft in zip(body, drafts, strict=True)])
    whole = shared([(*pair, str([draft.fields[name] for name in ("decision", "unusual")]))
                    for pair, draft in zip(body, drafts, strict=True)])  # fmt: skip
    said = (
        f"{len(drafts):,} real consumer loans: with the exact PD {exact[2]:,} are alone; "
        f"with the rounded PD and points the median loan shares them with {median} (itself included), "
        f"the smallest group has {smallest}, {alone} are alone; "
        f"with the decision beside it {with_decision[2]} are alone, with the unusual answers too {whole[2]}"
    )
    record_property("rounding", said)
    assert " ".join(said.split()) in " ".join(SECURITY.split())
    assert median >= 50
    assert smallest > 1


@pytest.mark.slow
def test_points_say_nothing_that_the_rounded_pd_does_not(scorer: Scorer, real: RealLoans) -> None:
    """One rounded PD, one number of points; the exact ones are in the personal part alone."""
    seen: dict[object, object] = {}
    exact = set()
    for at in range(300):
        answers = real.answers(at)
        score = scorer.score(answers)
        draft = scored(score, scorer.release, answers, by="test", channel="api")
        points = draft.fields["points"]
        assert isinstance(points, int | float)
        assert seen.setdefault(draft.fields["pd"], points) == points == round(points)
        assert {name: (draft.personal or {})[name] for name in EXACT} == {"pd": score.pd, "points": score.points}
        assert repr(score.pd) not in repr(draft.fields)
        assert (draft.fields["decision"], draft.fields["refer_from"]) == (score.decision, score.refer_from)
        exact.add(score.pd)
    assert len(exact) > len(seen) > 10


@pytest.mark.slow
def test_a_decision_is_recorded_and_not_derived(scorer: Scorer, real: RealLoans) -> None:
    """Where rounding crosses a cut-off the decision stays the one that was made."""
    crossed = 0
    for at in range(len(real.loans)):
        score = scorer.score(real.answers(at))
        if score.unusual:
            continue
        pd = rounded(score.pd)
        derived = DECLINE if pd >= score.decline_from else REFER if pd >= score.refer_from else APPROVE
        if derived != score.decision:
            crossed += 1
            draft = scored(score, scorer.release, real.answers(at), by="test", channel="api")
            assert draft.fields["decision"] == score.decision
        if crossed == 3:
            return
    assert crossed


@pytest.mark.parametrize(("pd", "kept"), [(0.0, 0.01), (1e-9, 0.01), (0.0149, 0.01), (0.125, 0.12), (0.999, 0.99)])
def test_no_rounded_pd_is_certain(pd: float, kept: float) -> None:
    assert rounded(pd) == kept


def test_the_performance_log_keeps_six_digits() -> None:
    """SECURITY.md says so, since the log outlives a purge."""
    assert re.search(r"performance log keeps .{0,40}six digits", " ".join(SECURITY.split()))

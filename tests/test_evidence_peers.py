"""Figures of an evaluation are those of optbinning and fairlearn, on real loans."""

import pytest
from parts import some

from profiling.benchmarks.peers_installed import HOME, PINS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["consumer"])
def test_figures_are_optbinnings(name: str) -> None:
    """Gini, information value, KS and the PSI of every series."""
    from profiling.documents.evidence_peers import by_optbinning, scored_by  # here: optbinning takes a while

    scored = scored_by(name)
    rows = some(by_optbinning(name, scored, scored.judging))
    assert len(rows) == 4 + len(scored.release.form.names)
    for row in rows:
        assert row.ours == pytest.approx(row.theirs, abs=1e-9), row.figure
    assert min(row.ours for row in rows) > 0


@pytest.mark.slow
def test_groups_are_fairlearns() -> None:
    """Approvals of each group, their ratio, and the difference of equal opportunity."""
    from profiling.documents.evidence_peers import by_fairlearn, scored_by

    marker = HOME / "fairlearn" / "installed"
    if not marker.exists() or marker.read_text() != PINS["fairlearn"]:
        pytest.skip("fairlearn is not in build/peers: 'python -m profiling.documents.evidence_peers' installs it there")
    rows = some(by_fairlearn("consumer", scored_by("consumer").judging))
    assert len(rows) > 5
    for row in rows:
        assert row.ours == pytest.approx(row.theirs, abs=1e-9), row.figure

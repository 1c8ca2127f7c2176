"""What the monitor would have said of the small-business loans, and of loans where nothing changes."""

import re

import numpy as np
import pytest

from inference.settings import current_releases
from inference.watch.expected import month
from inference.watch.series import SCORE, reference
from models.chance import Chance, chance, scored
from models.recipe import Loans
from models.recipes import RECIPES
from models.story import NoStory, Story, calibration_broke, sentences, story, text


@pytest.fixture(scope="module")
def played() -> Story:
    return story(current_releases()["sba"], RECIPES["sba"].load())


@pytest.mark.slow
def test_the_sba_book_alarms_by_september_2005_and_not_before_august(played: Story) -> None:
    """Never from January 2004 to July 2005, and in every month from August 2005 on."""
    assert played.reference == (month("2001-01"), month("2004-01"))
    alarms = [row.month for row in played.watched if row.alarm]
    assert month("2005-08") <= alarms[0] <= month("2005-09")
    assert alarms == list(range(alarms[0], month("2009-01")))
    assert played.bad == 498
    assert played.null < 0.05


@pytest.mark.slow
def test_the_sba_story_has_every_quarter_and_its_hindsight(played: Story) -> None:
    """The bad rate passes the mean PD in 2006; a plain PSI would have said so little of the score that it is late."""
    quarters = {quarter.name: quarter for quarter in played.quarters}
    assert next(iter(quarters)) == "2001 Q1"
    assert sum(quarter.loans for quarter in played.quarters) == played.loans
    assert quarters["2004 Q1"].high < quarters["2004 Q1"].mean_pd
    assert calibration_broke(played) == "2006 Q4"
    assert quarters["2005 Q3"].psi < 0.1
    assert quarters["2004 Q1"].drifted == ()
    printed = text(played)
    assert len(re.findall(r"^\| 200[1-7] Q[1-4] ", printed, re.MULTILINE)) == 28
    assert "The monitor alarmed first in 2005-08, after 19 months without an alarm since 2004-01" in printed
    assert list(sentences(played))[-1] == "One history describes; it does not validate."


def test_loans_without_dates_have_no_story() -> None:
    with pytest.raises(NoStory, match="no dates"):
        story(current_releases()["consumer"], RECIPES["consumer"].load())


@pytest.fixture(scope="module")
def consumer() -> Loans:
    return RECIPES["consumer"].load()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "plain"), [(50, 0.9), (100, 0.32)])
def test_chance_alone_alarms_in_at_most_one_month_of_a_hundred(consumer: Loans, n: int, plain: float) -> None:
    """Where a plain PSI of 0.1 fires in a third of months and more."""
    form, values, pds = scored(current_releases()["consumer"], consumer)
    seen: Chance = chance(form, values, pds, n, books=12)
    assert seen.corrected_any <= 0.01
    assert seen.plain_any >= plain
    assert seen.limit > 0.3


def test_a_change_of_the_score_is_seen(consumer: Loans) -> None:
    """Riskier applicants by a quarter of a standard deviation at 1,000 a month: it is no wall."""
    form, values, pds = scored(current_releases()["consumer"], consumer)
    against = reference("all", form, values, pds)
    worse = np.random.default_rng(1).choice(len(pds), 1_000, p=(pds + 0.05) / (pds + 0.05).sum())
    assert against.drift(against.counted(form, values[worse], pds[worse]))[SCORE].alarm

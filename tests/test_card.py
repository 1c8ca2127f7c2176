"""The model cards and plots that lie beside the embedded releases."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from parts import some, training_of

from inference.manifest import OLDEST
from inference.policy import Points
from inference.reasons import MOST_PRINCIPAL
from inference.release import Release, open_release
from inference.settings import current_releases
from models.data.loans import DATA
from models.evaluation import Report, Result
from models.model_card.captions import percent
from models.model_card.decision_outcomes import SUGGESTIONS, Book, Group, by_band

FOLDERS = list(current_releases().values())  # the cards of earlier ones stay as they were written


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name.rpartition("-")[0])
def release(request: pytest.FixtureRequest) -> Release:
    return open_release(request.param)


@pytest.fixture(scope="module")
def card(release: Release) -> str:
    return (release.folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def drawings(release: Release) -> Iterator[Path]:
    found = sorted(release.folder.glob("*.svg"))
    assert found
    yield from found


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the Markdown table whose head begins with `first`, without head and rule."""
    lines = text[text.index(f"\n| {first} |") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_there_are_releases() -> None:
    """The tests below would pass on nothing."""
    assert FOLDERS


def test_card_names_the_digest_beside_it(release: Release, card: str) -> None:
    """The card speaks of the manifest in its own folder, with title and notice from it."""
    assert f"`{release.digest}`" in card
    assert f"`{release.name}`" in card
    assert card.startswith(f"# Model card: {release.manifest.title['en']}\n")
    assert release.manifest.notice["en"] in card


def test_every_figure_and_link_resolves(release: Release, card: str) -> None:
    """Each picture is there and shown once, each link leads to a file, and every address is relative."""
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", card)
    assert sorted(pictures) == [one.name for one in drawings(release)]
    links = re.findall(r"\]\(([^)]+)\)", card)
    assert all((release.folder / link).is_file() for link in some(links))
    assert any((release.folder / link).resolve().parent == DATA for link in links), "no link to the data card"


def test_results_equal_the_manifest(release: Release, card: str) -> None:
    """Table and deciles of the card say what the manifest's metrics say."""
    metrics = training_of(release)["metrics"]
    assert Report([], metrics["table"]).table() in card
    shown = np.array([line[1:] for line in rows(card, "decile")], float)
    expected = [[d["mean_pd"], d["bad_rate"]] for groups in metrics["deciles"].values() for d in groups]
    across = np.array(expected).reshape(-1, 10, 2).transpose(1, 0, 2).reshape(10, -1)
    np.testing.assert_allclose(shown, across, rtol=0, atol=0.0005001)


def test_fields_and_columns_equal_the_manifest(release: Release, card: str) -> None:
    """All fields are listed in order; the kinds of columns add up to the model's columns."""
    assert [line[0] for line in rows(card, "field | label")] == [f"`{name}`" for name in release.form.names]
    assert sum(int(line[2]) for line in rows(card, "kind")) == len(release.manifest.columns)


def test_decisions_add_up(release: Release, card: str) -> None:
    """Shares of approve, refer and decline make 100 %, and the bad rates in them the bad rate of all."""
    books = rows(card, "loans | n")
    assert books
    for line in books:
        shares = [float(line[at].removesuffix(" %")) for at in (2, 4, 6)]
        rates = [0.0 if line[at] == "–" else float(line[at].split(" ")[0]) for at in (3, 5, 7)]
        assert sum(shares) == pytest.approx(100, abs=0.16)
        assert np.dot(shares, rates) / 100 == pytest.approx(float(line[9].removesuffix(" %")), abs=0.2)


def test_later_vintages_are_told_from_training(release: Release, card: str) -> None:
    """Where loans are dated, vintages up to the end of training are marked, and no later one is."""
    end = training_of(release)["to"]
    books = [line[0] for line in rows(card, "loans | n")]
    if end is None:
        assert not any("in training" in label for label in some(books))
        return
    years = {int(label[:4]): "in training" in label for label in books}
    assert len(years) == len(books)
    assert {year: year <= int(end[:4]) for year in years} == years
    assert {True, False} == set(years.values())


def test_plots_are_plain_pictures(release: Release) -> None:
    """Well-formed SVG below 100 kB with a title; no script, style import, doctype, event or outside reference."""
    for file in some(drawings(release)):
        text = file.read_text(encoding="utf-8")
        assert len(text.encode()) < 100_000
        assert "<!DOCTYPE" not in text
        assert "<!ENTITY" not in text
        assert "@import" not in text
        root = ElementTree.fromstring(text)  # noqa: S314  # our own file, and no entity is declared in it
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
        for element in root.iter():
            assert element.tag.rpartition("}")[2] not in {"script", "foreignObject", "image", "a", "iframe"}
            for name, value in element.attrib.items():
                assert not name.rpartition("}")[2].startswith("on")
                assert "://" not in value
                assert not name.endswith("href") or value.startswith("#")
                assert [target for target in re.findall(r"url\(([^)]*)\)", value) if not target.startswith("#")] == []


POINTS = Points(anchor=600, odds=5, double=20)


def made_up() -> tuple[list[Result], list[Book]]:
    """Results and books of a made-up vintage."""
    generator = np.random.default_rng(0)
    pd = generator.uniform(0.01, 0.99, 3000)
    bad = (generator.uniform(size=3000) < pd).astype(np.int8)
    results = [Result("this release", year, bad, [pd], headline=True) for year in ("2006", "2007")]
    groups = dict(zip(SUGGESTIONS, [Group(100, 5), Group(20, 6), Group(0, 0)], strict=True))
    return results, [Book("2005", True, 0.1, groups, 3), Book("2006", False, 0.1, groups, 3)]


@pytest.mark.slow
def test_plots_are_the_same_twice() -> None:
    """The same figures give the same bytes, also where no loan was declined."""
    from models.model_card import plots  # here: it brings Matplotlib, which make quick does without

    results, books = made_up()

    def draw() -> list[str]:
        bands = by_band(POINTS, results, fewest=30)
        return [
            plots.roc(results, results[:1]),
            plots.calibration(results),
            plots.score_bands(bands, ["2006", "2007"]),
            plots.importance([("income", 0.75), ("price", 0.25)]),
            plots.decisions(books),
            plots.vintages(books),
        ]

    assert draw() == draw()


def test_bands_hold_every_loan_once() -> None:
    """Score bands lose no loan and no default, and none at the ends is smaller than asked for."""
    results, _ = made_up()
    bands = by_band(POINTS, results, fewest=200)
    for number, one in enumerate(results):
        groups = [found[number] for _, found in bands]
        assert sum(group.loans for group in groups) == len(one.bad)
        assert sum(group.bad for group in groups) == one.bad.sum()
        assert min(groups[0].loans, groups[-1].loans) >= 200


@pytest.mark.parametrize(
    ("group", "low", "high"),
    [(Group(10, 0), 0.0, 0.2775), (Group(20, 10), 0.2993, 0.7007), (Group(10, 10), 0.7225, 1.0)],
)
def test_interval_is_wilsons(group: Group, low: float, high: float) -> None:
    """Intervals equal published values of Wilson's score interval (Newcombe 1998's method 3)."""
    assert group.interval == pytest.approx((low, high), abs=0.0001)


def test_percent_reads_as_written() -> None:
    """One decimal, and a space before the sign."""
    assert percent(0.28122) == "28.1 %"


def test_principal_reasons_are_counted(release: Release, card: str) -> None:
    """How often each reason is among those of a decline, with the text that the applicant reads, the most frequent
    first; a release of the first format has no texts, and so no such table."""
    if release.manifest.format == OLDEST:
        assert "## Principal reasons" not in card
        return
    told = {
        f"`{field.name}/{reason.code}`": reason.text["en"] for field in release.form.fields for reason in field.reasons
    }
    found = rows(card, "reason | text for the applicant")
    assert len(found) > 8
    assert [key for key, text, _ in found if told[key] != text] == []
    shares = [float(share.removesuffix(" %")) for _, _, share in found]
    assert shares == sorted(shares, reverse=True)
    assert 100 <= sum(shares) <= 100 * MOST_PRINCIPAL
    assert re.search(r"## Principal reasons\n\nOf [\d,]+ training loans, the policy above declines 1,000 that", card)

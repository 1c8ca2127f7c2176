"""The scale and the curves by geometry: in every picture all words stand in it, apart, and on no line of it."""

from typing import Any

import numpy as np
import pytest
from parts import NAMES, newest
from playwright.sync_api import Browser

from inference.fields import NumberField
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from inference.whatif import WhatIf
from models.recipes import RECIPES
from web.cards.score_card import intro_card, score_card
from web.desk.form import FormValues
from web.desk.whatif_panel import Panel
from web.lender import read_lender
from web.pages.assets import FOLDER
from web.pages.texts import LANGUAGES, texts_in
from web.recording import ScoredAnswer

WIDTHS = (280, 358, 470, 640)  # px of a column: a small phone to a wide screen
LOANS = 12  # real ones a release; and as many again with another guarantee
GUARANTEES = (1.0, 50.0, 75.0, 85.0, 85.9, 90.0, 94.0, 95.1, 96.5, 98.0, 99.0, 99.8)

# Of every picture: words that leave it, words that meet, and words that a line goes through.
LOOK = """() => {
  const found = [];
  let words = 0, points = 0;
  const inner = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
  for (const svg of document.querySelectorAll("svg.scale, svg.curve")) {
    const name = `${svg.closest("[data-case]").dataset.case} ${svg.getAttribute("class")}`;
    const frame = svg.closest("[data-case]").getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((one) => [one.textContent, one.getBoundingClientRect()]);
    const others = [...svg.querySelectorAll(".mark *, circle.own, .zone")].map((one) => one.getBoundingClientRect());
    for (const [text, box] of texts) {
      words += 1;
      if (box.left < frame.left - 0.5 || box.right > frame.right + 0.5)
        found.push(`${name}: ${text} leaves the picture`);
      for (const [other, at] of texts)
        if (other !== text && inner(box, at)) found.push(`${name}: ${text} meets ${other}`);
      for (const at of others) if (inner(box, at)) found.push(`${name}: ${text} lies on a mark`);
    }
    for (const one of others) {
      if (one.left < frame.left - 8 || one.right > frame.right + 8) found.push(`${name}: a mark leaves the picture`);
    }
    for (const line of svg.querySelectorAll("path.pd, path.cut, path.population")) {
      const onScreen = line.getScreenCTM(), length = line.getTotalLength();
      for (let at = 0; at <= 200; at += 1) {
        const point = line.getPointAtLength(length * at / 200).matrixTransform(onScreen);
        points += 1;
        for (const [text, box] of texts) {
          if (point.x > box.left && point.x < box.right && point.y > box.top + 1 && point.y < box.bottom - 1) {
            found.push(`${name}: ${text} lies on a line`);
          }
        }
      }
    }
    if (svg.matches(".scale")) {
      const zones = [...svg.querySelectorAll("rect.zone")].map((one) => one.getBoundingClientRect().width);
      const open = svg.querySelectorAll("line.cut").length === 1;
      if (zones[0] < 20 || (zones[2] < 20) !== open) found.push(`${name}: zones of ${zones.map(Math.round)} px`);
    }
  }
  if (document.documentElement.scrollWidth > window.innerWidth) found.push("the page scrolls sideways");
  return {found: [...new Set(found)], words, points};
}"""


def answers(scorer: Scorer, name: str) -> list[dict[str, Any]]:
    """Real loans by seed; where a guarantee counts, the same with others, from hardly any to nearly all."""
    loans = RECIPES[name].load()
    chosen = np.random.default_rng(5).permutation(len(loans))[:LOANS].tolist()
    found = [{field: column[at] for field, column in loans.answers.items()} for at in chosen]
    guarantee = scorer.release.manifest.policy.guarantee
    if guarantee is not None:
        found += [{**one, guarantee: share} for one, share in zip(found, GUARANTEES, strict=True)]
    for end in (0, 1):  # as good and as bad as the numbers go
        found.append({
            **scorer.release.form.example,
            **{one.name: one.usual[end] for one in scorer.release.form.fields if isinstance(one, NumberField)},
        })  # fmt: skip
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_words_in_pictures_stand_apart(browser: Browser, name: str, language: str) -> None:
    """Of many applications, at four widths: no word leaves its picture, meets another or lies on a line."""
    scorer, texts = open_scorer(Settings(release=newest(name), log=None)), texts_in(language)
    release = scorer.release
    whatif, panel = WhatIf(release, scorer.engine), Panel(release, texts, FormValues(release.form, language))
    parts = [f'<div data-case="before any score"><div id="result">{intro_card(release, texts)}</div></div>']
    for number, one in enumerate(answers(scorer, name)):
        score = scorer.score(one)
        card = score_card(ScoredAnswer(score, None, None, None), release, texts, read_lender(None))
        at = number % len(release.form.fields)
        while not isinstance(release.form.fields[at], NumberField):
            at = (at + 1) % len(release.form.fields)
        shown = panel.write(score, [], None, at, whatif.curve(score.application, at))
        parts.append(f'<div data-case="{number}"><div id="result">{card}</div><div id="tried">{shown}</div></div>')
    style = (FOLDER / "desk.css").read_text("utf-8")
    context = browser.new_context()
    page = context.new_page()
    for width in WIDTHS:
        page.set_viewport_size({"width": width + 16, "height": 900})
        page.set_content(
            f'<!doctype html><html lang="{language}"><style>{style}</style>'
            f"<style>body {{ margin: 0 8px; }} [data-case] {{ width: {width}px; }}</style>{''.join(parts)}"
        )
        looked = page.evaluate(LOOK)
        assert looked["found"] == [], f"{width} px: {len(looked['found'])}: {looked['found'][:12]}"
        assert looked["words"] > 10 * len(parts)
        assert looked["points"] > 400 * len(parts)
    context.close()

"""Judges what a card and a what-if panel say, block by block, against brute force: one `Case` a loan and language."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import Any

from truth_oracle import NEAR, Oracle
from truth_reader import Block, Reader, number, pattern, readings, spoken

from inference.fields import ChoiceField, Field, NumberField
from inference.settings import ROOT
from web.pages.answers import choice_text
from web.pages.texts import texts_in

DECISIONS = ("approve", "refer", "decline")
Check = Callable[[dict[str, str]], bool]  # of what stands at the placeholders of a sentence


class Case:
    """One application, what two pages say of it, and what is wrong in that."""

    def __init__(self, oracle: Oracle, now: Oracle, language: str, curve_at: int) -> None:
        self.oracle, self.now, self.language, self.curve_at = oracle, now, language, curve_at
        self.texts = texts_in(language)
        self.release = oracle.release
        self.pd, self.points = oracle.pd, self.release.points.of(oracle.pd)
        self.even, self.refer_from, self.decline_from = oracle.cuts(oracle.values)
        self.decision = oracle.decision(oracle.pd, oracle.values)
        self.population = oracle.manifest["population"]
        self.wrong: list[str] = []
        self.said: Counter[str] = Counter()  # keys of the sentences read
        self.shown: dict[str, list[float]] = {
            "pd": [],
            "refer": [],
            "decline": [],
        }  # in per cent, as the card shows them

    # --- judging ---

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    def is_percent(self, text: str, true: float, into: str = "") -> bool:
        """A share in per cent, rounded at most, and 0 or 100 only where it is that."""
        if not re.fullmatch(r"[^%]*\d[^%]*%", text):
            return False
        value, decimals = number(text, self.language)
        if into:
            self.shown[into].append(value)
        ends = (value == 0) == (true == 0) and (value == 100) == (true == 1)
        return ends and abs(value - 100 * true) <= 0.5 * 10.0**-decimals + 1e-9

    def is_number(self, text: str, true: float) -> bool:
        value, decimals = number(text, self.language)
        return abs(value - true) <= 0.5 * 10.0**-decimals + 1e-9

    def is_count(self, text: str, true: int) -> bool:
        return number(text, self.language) == (true, 0)

    def label(self, at: int) -> str:
        return self.oracle.fields[at].label[self.language]

    def way(self, at: int) -> str:
        """A field with the direction in which a number may be moved."""
        field = self.oracle.fields[at]
        if isinstance(field, NumberField) and field.actionable in ("down", "up"):
            return self.texts(f"whatif.only_{field.actionable}", field=self.label(at))
        return self.label(at)

    def show(self, at: int, value: float) -> str:
        return self.oracle.fields[at].show(value, self.language)

    def fixed(self, text: str, key: str) -> bool:
        """Whether a text is that of a key without placeholders."""
        return text == self.texts.words[key]

    def read(self, text: str, what: str, checks: dict[str, Check], where: str = "") -> None:
        """A text as sentences of these keys, each true; otherwise it is wrong, or unknown."""
        known = list(readings(text, self.language, checks))
        if not known:
            self.wrong.append(f"{what}: unknown sentence: {text}")
            return
        for reading in known:
            shown = {name: list(values) for name, values in self.shown.items()}
            if all(checks[one.key](one.values) for one in reading):
                self.said.update(one.key for one in reading)
                return
            self.shown = shown
        self.wrong.append(f"{what}: {', '.join(one.key for one in known[0])}: false: {text}")

    # --- the card ---

    def card(self, page: str) -> None:
        """The card that answers a score."""
        reader = Reader(page)
        attributes = next(given for tag, given in reader.elements if given.get("data-state"))
        self.expect(attributes["data-state"] == "score", f"card: state {attributes['data-state']}")
        self.expect(attributes["data-decision"] == self.decision, "card: data-decision")
        self.read(attributes["data-announce"], "card: announced", self.CARD)
        section = ""
        for block in reader.blocks:
            if block.tag == "h3":
                section = next((key for key in SECTIONS if self.fixed(block.text, key)), "")
                self.expect(bool(section), f"card: unknown heading {block.text}")
            else:
                self.card_block(block, section)
        self.scale(reader)
        self.tied()
        self.expect(self.said["result.demonstration"] + self.said["result.draft"] == 1, "card: what the release is")
        self.once("result.expects")
        self.once("result.observed", needed=bool(self.population and self.population.get("bands")))
        self.once("result.rank", needed=bool(self.population))
        self.once("stand.loss", needed=self.oracle.amount_at is not None)
        self.once("stand.computed", needed=self.oracle.amount_at is not None)
        self.once("scale.mark")
        self.once("scale.cuts")
        self.expect(self.said["reason.unusual"] == self.said["reason.alone"] == bool(self.unusual), "card: unusual")
        self.expect(sum(self.said[key] for key in REASONS) == (not self.unusual), "card: one reason")
        groups = sum(1 for _ in self.groups())
        self.expect(
            sum(n for key, n in self.said.items() if key.startswith("stand.rank")) == groups, "card: groups told"
        )
        rare = sum(n for key, n in self.said.items() if key in ("reason.unusual_range", "reason.unusual_rare"))
        self.expect(rare == len(self.unusual), f"card: {rare} unusual answers told of {len(self.unusual)}")

    def once(self, start: str, needed: bool = True) -> None:
        """Exactly one sentence of a kind, or none."""
        count = sum(n for key, n in self.said.items() if key == start or key.startswith(start + "_"))
        self.expect(count == needed, f"{count} sentences of {start}")

    @property
    def unusual(self) -> list[int]:
        return self.oracle.unusual(self.oracle.values)

    def card_block(self, block: Block, section: str) -> None:
        text, tag = block.text, block.tag
        parent = block.within[-1] if block.within else ""
        if "svg.scale" in block.within:
            self.scale_text(block)
        elif tag == "span" and "fresh" in block.attributes.get("class", ""):
            self.expect(self.fixed(text, "result.title"), f"card: title {text}")
        elif tag == "span" and "stale-note" in block.attributes.get("class", ""):
            self.expect(self.fixed(text, "result.stale"), f"card: stale title {text}")
        elif tag == "strong":
            self.expect(self.fixed(text, f"decision.{self.decision}"), f"card: decision {text}")
        elif tag == "abbr":
            self.expect(self.fixed(text, "result.pd"), f"card: {text}")
            self.expect(self.fixed(block.attributes["title"], "result.pd_long"), "card: PD in full")
        elif tag == "b":
            good = self.is_percent(text, self.pd, "pd") if "%" in text else self.is_number(text, self.points)
            self.expect(good, f"card: headline {text}")
        elif tag == "span":
            self.expect(self.fixed(text, "result.points"), f"card: {text}")
        elif "table.effects standing" in block.within or parent == "details.":
            self.standing(block)
        elif section == "why.title":
            self.why(block, self.oracle, "card")
        elif tag == "dt":
            self.term = text
            self.expect(
                text in (self.texts.words["policy.break_even"], self.texts.words["policy.refer"]), f"card: {text}"
            )
        elif tag == "dd" and self.term == self.texts.words["policy.break_even"]:
            self.expect(self.is_percent(text, self.even), f"card: break-even {text}")
        else:
            self.read(text, "card", self.CARD)

    term = ""

    @cached_property
    def CARD(self) -> dict[str, Check]:  # noqa: N802 - a table
        open_end = self.decline_from >= 1
        refer: Check = lambda v: self.is_percent(v["refer_from"], self.refer_from, "refer")  # noqa: E731
        decline: Check = lambda v: self.is_percent(v["decline_from"], self.decline_from, "decline")  # noqa: E731
        mine: Check = lambda v: self.is_percent(v["pd"], self.pd, "pd") and self.is_number(v["points"], self.points)  # noqa: E731
        at = self.release.points.of
        people = 1000 * self.pd
        # The project's own releases demonstrate; others are drafts here, where no ledger says that one is in service.
        demonstrates = self.release.folder.parent == ROOT / "models" / "releases"
        found: dict[str, Check] = {
            "result.demonstration": lambda v: demonstrates,
            "result.draft": lambda v: not demonstrates,
            "result.announce": lambda v: mine(v) and self.fixed(v["decision"], f"decision.{self.decision}"),
            "result.expects": lambda v: abs(number(v["people"], self.language)[0] - people) <= 1
            and 0.5 <= people < 999.6 and number(v["people"], self.language)[0] not in (0, 1, 1000),
            "result.expects_few": lambda v: people < 1,
            "result.expects_one": lambda v: 0.4 <= people < 1.6,
            "result.expects_most": lambda v: people > 999,
            "result.observed": lambda v: self.band(v, inside=True),
            "result.observed_near": lambda v: self.band(v, inside=False),
            "result.made": lambda v: v["release"] == self.release.name and v["date"] == self.oracle.manifest["date"],
            "stand.loss": lambda v: bool(self.policy["guarantee"]) and self.loss(v),
            "stand.loss_all": lambda v: not self.policy["guarantee"] and self.loss(v),
            "stand.computed": lambda v: self.is_percent(v["lgd"], self.policy["lgd"]),
            "reason.approve": lambda v: self.decision == "approve" and refer(v) and self.pd < self.refer_from,
            "reason.decline": lambda v: self.decision == "decline" and decline(v) and self.pd > self.decline_from,
            "reason.refer": lambda v: self.decision == "refer" and refer(v) and decline(v) and not open_end
            and self.refer_from <= self.pd <= self.decline_from
            and self.is_percent(v["band"], self.policy["refer_band"]),
            "reason.refer_open": lambda v: self.decision == "refer" and refer(v) and open_end
            and self.pd >= self.refer_from,
            "reason.unusual": lambda v: bool(self.unusual),
            "reason.alone": lambda v: bool(self.unusual)
            and self.fixed(v["decision"], f"decision.{self.oracle.by_pd(self.pd, self.oracle.values)}"),
            "reason.unusual_range": lambda v: any(self.range_told(v, one) for one in self.unusual),
            "reason.unusual_rare": lambda v: any(self.rare_told(v, one) for one in self.unusual),
            "policy.refer_range": lambda v: not open_end and refer(v) and decline(v),
            "policy.refer_open": lambda v: open_end and refer(v),
            "scale.mark": mine,
            "scale.cuts": lambda v: not open_end and refer(v) and decline(v)
            and self.is_number(v["refer_points"], at(self.refer_from))
            and self.is_number(v["decline_points"], at(self.decline_from)),
            "scale.cuts_open": lambda v: open_end and refer(v)
            and self.is_number(v["refer_points"], at(self.refer_from)),
            "scale.density": lambda v: bool(self.population) and self.is_count(v["loans"], self.population["loans"]),
        }  # fmt: skip
        for prefix in ("result", "stand"):
            for key, holds in self.ranks().items():
                found[f"{prefix}.{key}"] = holds if prefix == "result" else lambda v: False
        return found

    @property
    def policy(self) -> dict[str, Any]:
        policy: dict[str, Any] = self.oracle.policy
        return policy

    def ranks(self, group: dict[str, Any] | None = None) -> dict[str, Check]:
        """What may be said of a PD among loans, of which evenly spaced percentiles are known."""
        among = group or self.population
        if not among:
            return {}
        percentiles, n = among["pd_percentiles"], among["loans"]
        each = 100 / (len(percentiles) - 1)
        # The k-th percentile lies below: so k in 100 do, at the least. Loans with the same PD are on neither side.
        lower = max([math.floor(each * k) for k, one in enumerate(percentiles) if one < self.pd], default=0)
        higher = max([math.floor(100 - each * k) for k, one in enumerate(percentiles) if one > self.pd], default=0)

        def told(v: dict[str, str], holds: bool, count: int | None = None) -> bool:
            rated = group is None or self.is_percent(v["rate"], group["bad"] / group["loans"])
            return (
                holds and self.is_count(v["loans"], n) and rated and (count is None or self.is_count(v["count"], count))
            )

        beyond, before = self.pd > percentiles[-1], self.pd < percentiles[0]
        return {
            "rank_riskier": lambda v: told(v, lower >= higher and lower > 0 and not beyond, lower),
            "rank_safer": lambda v: told(v, higher > lower and higher > 0 and not before, higher),
            "rank_riskiest": lambda v: told(v, beyond),
            "rank_safest": lambda v: told(v, before),
            "rank_same": lambda v: told(v, lower == higher == 0),
        }

    def band(self, v: dict[str, str], inside: bool) -> bool:
        """The group of past loans that the PD lies in, or the nearest one."""
        bands = self.population["bands"]
        holding = [one for one in bands if one["low"] <= self.pd <= one["high"]]
        if bool(holding) != inside:
            return False
        far = [max(one["low"] - self.pd, self.pd - one["high"], 0) for one in bands]
        one = bands[far.index(min(far))]
        rate, n, z = one["bad"] / one["loans"], one["loans"], 1.959964
        middle, spread = rate + z * z / (2 * n), z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
        low, high = [(middle + sign * spread) / (1 + z * z / n) for sign in (-1, 1)]
        if inside:  # as shown, too
            shown, _ = number(v["low"], self.language)[0], number(v["high"], self.language)[0]
            if self.shown["pd"] and not shown <= self.shown["pd"][0] <= _:
                return False
        return (
            self.is_count(v["loans"], n) and self.is_count(v["bad"], one["bad"])
            and self.is_percent(v["low"], one["low"]) and self.is_percent(v["high"], one["high"])
            and self.is_percent(v["rate"], rate)
            and self.is_percent(v["least"], max(low, 0)) and self.is_percent(v["most"], min(high, 1))
        )  # fmt: skip

    def loss(self, v: dict[str, str]) -> bool:
        """Exposure and expected loss, as the amount's field writes them."""
        at = self.oracle.amount_at
        assert at is not None
        covered = (
            self.oracle.values[self.oracle.names.index(self.policy["guarantee"])] if self.policy["guarantee"] else 0
        )
        exposure = self.oracle.values[at] * (1 - covered / 100)
        return self.is_money(v["exposure"], exposure) and self.is_money(
            v["loss"], exposure * self.policy["lgd"] * self.pd
        )

    def is_money(self, text: str, true: float) -> bool:
        """Written as the amount is, whole or to two figures at least."""
        at = self.oracle.amount_at or 0
        found = [self.show(at, round(true, digits)) for digits in range(6)]
        return text in (
            found
            if abs(true) >= 10
            else [one for n, one in enumerate(found) if abs(round(true, n) - true) <= 0.05 * abs(true)]
        )

    def answer(self, at: int) -> str:
        return f"{self.label(at)}{self.texts.words['mark.colon']} {self.show(at, self.oracle.values[at])}"

    def range_told(self, v: dict[str, str], at: int) -> bool:
        field = self.oracle.fields[at]
        if not isinstance(field, NumberField) or v["answer"] != self.answer(at):
            return False
        # "$5,000 to $1,597,000", or without the unit: "180 to 3,000".
        ends = zip((v["low"], v["high"]), field.usual, strict=True)
        return all(end == self.show(at, true) or self.is_number(end, true) for end, true in ends)

    def rare_told(self, v: dict[str, str], at: int) -> bool:
        field = self.oracle.fields[at]
        if not isinstance(field, ChoiceField) or v["answer"] != self.answer(at):
            return False
        counts = [choice.count for choice in field.choices]
        return self.is_count(v["count"], counts[int(self.oracle.values[at])]) and self.is_count(v["loans"], sum(counts))

    def groups(self) -> Iterable[tuple[str, str, dict[str, Any]]]:
        """The application's answers that enough past loans gave: label, answer, group."""
        by = (self.population or {}).get("by", {})
        for field, value in zip(self.oracle.fields, self.oracle.values, strict=True):
            if isinstance(field, ChoiceField) and not math.isnan(value) and field.name in by:
                code = field.choices[int(value)].code
                if field.digits:
                    code = code[: min(len(choice.code) for choice in field.choices)]
                if code in by[field.name]:
                    answer = choice_text(next(one for one in field.choices if one.code == code), self.language)
                    yield field.label[self.language], answer, by[field.name][code]

    def standing(self, block: Block) -> None:
        """The table of ranks among loans with the same answer."""
        if block.tag in ("summary", "th") and block.attributes.get("scope") != "row":
            keys = ("stand.title", "stand.answer", "stand.spread", "stand.place")
            self.expect(any(self.fixed(block.text, key) for key in keys), f"card: {block.text}")
        elif block.tag == "th":
            found = [group for label, answer, group in self.groups() if block.text == f"{label} {answer}"]
            self.expect(len(found) == 1, f"card: compared with {block.text}")
            self.group = found[0] if found else None
        elif self.group is not None:
            self.read(block.text, "card", {f"stand.{key}": holds for key, holds in self.ranks(self.group).items()})

    group: dict[str, Any] | None = None

    def scale_text(self, block: Block) -> None:
        """Words and figures of the scale."""
        parent, text = block.within[-1], block.text
        if block.tag == "title":
            self.expect(self.fixed(text, "scale.title"), f"scale: {text}")
        elif block.tag == "desc":
            self.read(text, "scale", self.CARD)
        elif block.attributes.get("class") == "zone-name":
            zones = DECISIONS if self.decline_from < 1 else DECISIONS[:2]
            self.expect(any(self.fixed(text, f"decision.{zone}") for zone in zones), f"scale: zone {text}")
        elif parent == "g.cut-off":
            cuts = {"refer": self.refer_from, "decline": self.decline_from}
            cuts = {name: cut for name, cut in cuts.items() if cut < 1}
            if "%" in text:
                self.expect(any(self.is_percent(text, cut) for cut in cuts.values()), f"scale: cut-off {text}")
            else:
                told = [self.is_number(text, self.release.points.of(cut)) for cut in cuts.values()]
                self.expect(any(told), f"scale: points {text}")
        else:  # an end of the axis, beyond all that lies on it
            self.expect(parent == "g.end-of-scale", f"scale: unknown {text}")
            if "%" in text:
                named = self.texts.words["result.pd"]
                value = number(text.removeprefix(named), self.language)[0] / 100
                self.expect(value <= self.refer_from or value >= min(self.decline_from, 1), f"scale: end {text}")

    def scale(self, reader: Reader) -> None:
        """The picture: its zones fill it, and the mark stands in the zone of the PD."""
        zones = {}
        for tag, given in reader.elements:
            if tag == "rect" and given.get("class", "").startswith("zone "):
                zones[given["class"][5:]] = [float(given[name].rstrip("%")) for name in ("x", "width")]
        marks = [float(given["x"].rstrip("%")) for tag, given in reader.elements if given.get("class") == "mark"]
        self.expect(abs(sum(width for _, width in zones.values()) - 100) < 0.1, f"scale: zones {zones}")
        self.expect((zones["decline"][1] > 1) == (self.decline_from < 1), f"scale: decline {zones['decline']}")
        self.expect(zones["approve"][1] > 1, f"scale: approve {zones['approve']}")
        start, width = zones[self.oracle.by_pd(self.pd, self.oracle.values)]
        self.expect(
            bool(marks) and start - 0.02 <= marks[0] <= start + width + 0.02, f"scale: mark {marks[:1]} of {zones}"
        )

    def tied(self) -> None:
        """No PD is shown on the wrong side of a cut-off, nor as equal to one that it is not."""
        for cut, name in ((self.refer_from, "refer"), (self.decline_from, "decline")):
            if cut < 1:
                for pd in self.shown["pd"]:
                    for shown in self.shown[name]:
                        self.expect((pd > shown) - (pd < shown) == (self.pd > cut) - (self.pd < cut),
                                    f"card: PD {pd} beside a cut-off of {shown}")  # fmt: skip

    def why(self, block: Block, oracle: Oracle, page: str, against: tuple[float, list[float]] | None = None) -> None:
        """What moved the PD: by Shapley's own definition, against the reference applicant or other answers."""
        reference, effects = against or oracle.effects
        factors = [math.exp(effect) for effect in effects]
        here = f"{page}: why"
        if block.tag == "li":
            self.expect(self.is_reason(block.text), f"{here}: reason {block.text}")
            return
        if block.tag == "th" and block.attributes.get("scope") == "row":
            found = [at for at in range(len(oracle.fields))
                     if block.text == f"{self.label(at)} {self.show(at, oracle.values[at])}"]  # fmt: skip
            self.expect(len(found) == 1, f"{here}: answer {block.text}")
            self.row = found[0] if found else None
            return
        fixed = {
            key: (lambda v: True)
            for key, text in spoken(self.language).items()
            if key.startswith("why.") and "{" not in text
        }
        still = {self.label(at) for at, effect in enumerate(effects) if abs(effect) < 0.005}
        row = self.row
        self.read(block.text, here, {
            **fixed,
            "why.lead": lambda v: self.is_percent(v["pd"], oracle.pd) and self.is_percent(v["reference"], reference),
            "why.raises": lambda v: row is not None and effects[row] > 0 and self.is_number(v["factor"], factors[row]),
            "why.lowers": lambda v: row is not None and effects[row] < 0 and self.is_number(v["factor"], factors[row]),
            "why.still": lambda v: set(v["fields"].split(", ")) == still,
        })  # fmt: skip

    row: int | None = None

    def is_reason(self, text: str) -> bool:
        """An answer, or a text that the release has for applicants; which and in what order has its own test."""
        return any(text == self.answer(at) for at in range(len(self.oracle.fields))) or text in strings(
            self.oracle.manifest
        )

    # --- the panel ---

    def comparison(self, page: str) -> None:
        """The form beside what was scored; nothing where the answers are the same."""
        same = self.oracle.values == self.now.values
        self.expect(bool(page) != same, f"comparison of {'the same' if same else 'other'} answers")
        against = self.now.effects_against(self.oracle.values)
        self.heads: list[str] = []
        for block in Reader(page).blocks if page else ():
            if "table.beside" in block.within:
                self.beside(block)
            elif "div.bar" in block.within or block.tag == "section":
                self.in_view(block)
            elif "table.effects" in block.within:
                self.why(block, self.now, "panel", against)
            elif block.tag in ("h2", "h3", "button"):
                keys = ("whatif.now_title", "whatif.why", "whatif.back", "whatif.score")
                self.expect(any(self.fixed(block.text, key) for key in keys), f"panel: {block.text}")
            else:
                self.read(block.text, "panel", self.PANEL)
        self.once("whatif.announce", needed=not same)
        self.expect(self.said.pop("whatif.lead", 0) <= 1, "panel: lead")

    def in_view(self, block: Block) -> None:
        """The line that stays in view on a phone: as scored →, and now."""
        one = self.now if block.tag == "strong" else self.oracle
        decision, pd = re.split(r" (?=[\d<>])", block.text.removesuffix(" →"), maxsplit=1)
        good = self.fixed(decision, f"decision.{one.decision(one.pd, one.values)}") and self.is_percent(pd, one.pd)
        self.expect(good, f"panel: in view: {block.text}")

    def panel(self, page: str) -> None:
        """The what-if panel."""
        self.expect(bool(page), "panel: none")
        if not page:
            return
        reader = Reader(page)
        self.told: list[tuple[int, ...]] = []
        for block in reader.blocks:
            if "svg.curve" in block.within or "table.effects" in block.within:
                self.picture(block)
            elif block.tag == "option":
                self.expect(
                    any(block.text == self.label(at) for at in range(len(self.oracle.fields))), f"panel: {block.text}"
                )
            elif block.tag in ("h2", "h3", "button"):
                keys = ("whatif.title", "whatif.approval", "whatif.curve", "whatif.back", "whatif.try")
                self.expect(any(self.fixed(block.text, key) for key in keys), f"panel: {block.text}")
                if self.fixed(block.text, "whatif.approval"):
                    self.expect(self.decision != "approve", "panel: an approval is asked for where it is one")
            elif block.tag == "li" and "ul.legend" not in block.within:
                self.proposal(block.text)
            else:
                self.read(block.text, "panel", self.PANEL)
        if self.decision == "approve":
            self.expect(not self.told and not self.said["whatif.none"], "panel: proposals for an approval")
        else:
            self.expect(
                sorted(self.told) == sorted(self.oracle.proposals),
                f"panel: proposed {self.told}, true {self.oracle.proposals}",
            )
            self.once("whatif.none", needed=bool(self.oracle.movable) and not self.oracle.proposals)
            self.once("whatif.no_actionable", needed=not self.oracle.movable)
        self.once("whatif.amounts", needed=self.oracle.amount_at is not None)
        numeric = isinstance(self.oracle.fields[self.curve_at], NumberField)
        self.once("whatif.curve_approved", needed=numeric)  # also in the picture's own description, read apart

    @cached_property
    def PANEL(self) -> dict[str, Check]:  # noqa: N802 - a table
        now, at = self.now, self.oracle.amount_at
        fields = ", ".join(self.way(one) for one in self.oracle.movable if not math.isnan(self.oracle.values[one]))
        count = sum(not math.isnan(self.oracle.values[one]) for one in self.oracle.movable)
        near: Check = lambda v: self.is_percent(v["near"], NEAR)  # noqa: E731
        none: Check = lambda v: not self.oracle.proposals and v["fields"] == fields and near(v)  # noqa: E731
        found: dict[str, Check] = {
            "whatif.lead": lambda v: True,
            "whatif.announce": lambda v: now.values != self.oracle.values and self.is_percent(v["pd"], now.pd)
            and self.fixed(v["decision"], f"decision.{now.decision(now.pd, now.values)}"),
            "whatif.none": lambda v: none(v) and count > 1,
            "whatif.none_alone": lambda v: none(v) and count == 1,
            "whatif.none_stated": lambda v: count == 0 < len(self.oracle.movable)
            and v["fields"] == ", ".join(self.way(one) for one in self.oracle.movable),
            "whatif.no_actionable": lambda v: not self.oracle.movable,
            "whatif.holds": lambda v: near(v) and bool(self.told),
            "whatif.bars_text": lambda v: self.cut_drawn("decline"),
            "whatif.bars_refer": lambda v: not self.cut_drawn("decline"),
            "result.pd": lambda v: True,
            **self.legend(), **self.curve,
        }  # fmt: skip
        if at is not None:
            found |= self.amounts(at)
        return found

    def amounts(self, at: int) -> dict[str, Check]:
        """What may be said of amounts."""
        tried = [amount for amount, _ in self.oracle.amounts]
        field = self.oracle.fields[at]
        assert isinstance(field, NumberField)
        low, high = field.usual
        true = [self.interval(at, *ends) for ends in self.oracle.intervals]
        usual = [yes for amount, yes in self.oracle.amounts if low <= amount <= high]
        gap = max(b - a for a, b in itertools.pairwise(tried))

        def ends(v: dict[str, str]) -> bool:
            grid = any(
                v["step"] == self.show(at, one) for one in {round(b - a, 9) for a, b in itertools.pairwise(tried)}
            )
            return v.get("low") == self.show(at, low) and v.get("high") == self.show(at, high) and grid and gap > 0

        def several(v: dict[str, str]) -> bool:
            highest = self.show(at, self.oracle.intervals[-1][1])
            return ends(v) and v["ranges"] == ", ".join(true) and v.get("highest", highest) == highest

        def many(v: dict[str, str]) -> bool:
            sizes = sorted((b - a for a, b in self.oracle.intervals), reverse=True)
            named = v["ranges"].split(", ")
            chosen = [one for one in self.oracle.intervals if self.interval(at, *one) in named]
            return (
                ends(v) and self.is_count(v["count"], len(true)) and len(named) == len(chosen)
                and min(b - a for a, b in chosen) >= sizes[len(chosen) - 1]
                and v["lowest"] == self.show(at, self.oracle.intervals[0][0])
                and v["highest"] == self.show(at, self.oracle.intervals[-1][1])
            )  # fmt: skip

        return {
            "whatif.amounts": lambda v: len(true) == 1 and not all(usual) and several(v),
            "whatif.amounts_several": lambda v: len(true) > 1 and several(v),
            "whatif.amounts_many": lambda v: len(true) > 3 and many(v),
            "whatif.amounts_all": lambda v: all(usual) and ends(v),
            "whatif.amounts_none": lambda v: not true and ends(v),
        }

    def interval(self, at: int, low: float, high: float) -> str:
        if low == high:
            return self.texts("whatif.at", amount=self.show(at, low))
        return self.texts("whatif.from", low=self.show(at, low), high=self.show(at, high))

    def proposal(self, text: str) -> None:
        """A change in words: the nearest that holds, scored by itself."""
        words = self.texts.words
        then = pattern(words["whatif.then"])
        for ats, cost in self.oracle.proposals.items():
            changes = [
                pattern(words["whatif.change"], field=self.label(at), was=self.show(at, self.oracle.values[at])).pattern
                .replace("(?P<to>", f"(?P<to{at}>") for at in ats
            ]  # fmt: skip
            found = re.fullmatch("; ".join(changes) + then.pattern, text)
            if not found:
                continue
            read = {at: self.value(at, found[f"to{at}"], len(ats)) for at in ats}
            change = {at: value for at, value in read.items() if value is not None}
            if change.keys() != read.keys():
                break
            pd, decision = self.oracle.scored(self.oracle.changed(change))
            good = (
                decision == "approve" and self.oracle.holds(change) and abs(self.oracle.cost(change) - cost) < 1e-9
                and self.is_percent(found["pd"], pd) and self.is_number(found["points"], self.release.points.of(pd))
            )  # fmt: skip
            shown, _ = number(found["pd"], self.language)
            refer = self.oracle.cuts(self.oracle.changed(change))[1]
            good = good and shown < 100 * refer
            self.expect(good, f"panel: proposal false: {text}")
            self.told.append(ats)
            self.said["whatif.change"] += 1
            return
        self.wrong.append(f"panel: proposal unknown or false: {text}; true: {self.oracle.proposals}")

    def value(self, at: int, text: str, together: int) -> float | None:
        """The answer of a field that is written so, of those that it could be moved to."""
        return next(
            (one for one in self.oracle.moves(at, 3000 if together == 1 else 40) if self.show(at, one) == text), None
        )

    def beside(self, block: Block) -> None:
        """The table of the scored answers and those now in the form."""
        if block.attributes.get("scope") == "col":
            self.expect(
                any(self.fixed(block.text, f"whatif.{one}") for one in ("scored", "now")), f"panel: {block.text}"
            )
            return
        if block.tag == "th":
            self.heads = [block.text]
            return
        one = (self.oracle, self.now)[len(self.heads) - 1]
        head = self.heads[0]
        self.heads.append(block.text)
        decision = one.decision(one.pd, one.values)
        fixed = {self.texts.words[key]: key for key in ("whatif.suggestion", "result.pd", "whatif.points")}
        if head not in fixed:
            changed = [at for at in range(len(one.fields)) if self.label(at) == head
                       and self.oracle.values[at] != self.now.values[at]]  # fmt: skip
            good = len(changed) == 1 and block.text == self.show(changed[0], one.values[changed[0]])
        elif fixed[head] == "whatif.suggestion":
            good = self.fixed(block.text, f"decision.{decision}")
        elif fixed[head] == "result.pd":
            good = self.is_percent(block.text, one.pd)
            shown, _ = number(block.text, self.language)
            _, refer, decline = one.cuts(one.values)
            alone = "approve" if shown < 100 * refer else "decline" if shown > 100 * decline else "refer"
            good = good and alone == one.by_pd(one.pd, one.values)
        else:
            good = self.is_number(block.text, self.release.points.of(one.pd))
        self.expect(good, f"panel: beside: {head}: {block.text}")

    # --- the curve ---

    @cached_property
    def cut_series(self) -> dict[str, list[float]]:
        """Both cut-offs at the values drawn."""
        found = [self.oracle.cuts(self.oracle.changed({self.curve_at: value})) for value, _ in self.drawn]
        return {"refer": [one[1] for one in found], "decline": [one[2] for one in found]}

    @property
    def drawn(self) -> list[tuple[float, float]]:
        return self.oracle.drawn(self.curve_at)

    def cut_drawn(self, name: str) -> bool:
        """Whether a cut-off lies low enough to be in the picture, which ends a little above the highest PD."""
        top = min(1.0, math.ceil(115 * max(*(pd for _, pd in self.drawn), *self.cut_series["refer"])) / 100)
        return min(self.cut_series[name]) < top

    def legend(self) -> dict[str, Check]:
        """What may be said of the lines."""

        def end(text: str, cut: float) -> bool:
            return self.fixed(text, "whatif.never") if cut >= 1 else self.is_percent(text, cut)

        def level(values: dict[str, str], name: str) -> bool:
            first, last = self.cut_series[name][0], self.cut_series[name][-1]
            return self.cut_drawn(name) and first == last and self.is_percent(values["pd"], first)

        def varying(values: dict[str, str], name: str) -> bool:
            first, last = self.cut_series[name][0], self.cut_series[name][-1]
            return self.cut_drawn(name) and first != last and end(values["first"], first) and end(values["last"], last)

        found: dict[str, Check] = {}
        for name in ("refer", "decline"):
            found[f"whatif.{name}_from"] = partial(level, name=name)
            found[f"whatif.{name}_varies"] = partial(varying, name=name)
        return found

    @cached_property
    def curve(self) -> dict[str, Check]:
        """What may be said of the way of the PD over a number."""
        at = self.curve_at
        values, pds = [value for value, _ in self.drawn], [pd for _, pd in self.drawn]
        moves = [b - a for a, b in itertools.pairwise(pds)]
        up, down = any(move > 0 for move in moves), any(move < 0 for move in moves)

        def ends(v: dict[str, str]) -> bool:
            named = (v["field"], v["low"], v["high"]) == (
                self.label(at),
                self.show(at, values[0]),
                self.show(at, values[-1]),
            )
            return named and all(
                self.is_percent(v[one], true) for one, true in (("first", pds[0]), ("last", pds[-1])) if one in v
            )

        def extreme(text: str, where: str, worst: float) -> bool:
            places = [self.show(at, value) for value, pd in self.drawn if pd == worst]
            return self.is_percent(text, worst) and where in places

        approved = [self.oracle.decision(pd, self.oracle.changed({at: value})) == "approve" for value, pd in self.drawn]
        return {
            "whatif.curve_flat": lambda v: ends(v) and not up and not down,
            "whatif.curve_rises": lambda v: ends(v) and up and not down,
            "whatif.curve_falls": lambda v: ends(v) and down and not up,
            "whatif.curve_turns": lambda v: ends(v) and up and down and extreme(v["least"], v["at_least"], min(pds))
            and extreme(v["most"], v["at_most"], max(pds)),
            "whatif.curve_approved": lambda v: self.is_count(v["approved"], sum(approved))
            and self.is_count(v["drawn"], len(pds)),
        }  # fmt: skip

    def picture(self, block: Block) -> None:
        """Words in the curve's picture, and the rows of a choice's bars."""
        at, text = self.curve_at, block.text
        field: Field = self.oracle.fields[at]
        if block.tag == "title":
            self.expect(text == self.label(at), f"panel: picture of {text}")
        elif block.tag == "desc":
            before = self.said.copy()
            self.read(text, "panel: picture", self.curve)
            self.said = before
        elif block.tag == "text" and block.attributes.get("class"):
            top = number(text.removeprefix(self.texts.words["result.pd"]), self.language)[0] / 100
            self.expect(top >= max(pd for _, pd in self.drawn), f"panel: top of the picture {text}")
        elif block.tag == "text":
            ends = (self.show(at, self.drawn[0][0]), self.show(at, self.drawn[-1][0]))
            self.expect(text in ends, f"panel: end of the picture {text}")
        elif block.tag == "th":
            assert isinstance(field, ChoiceField)
            own = self.oracle.values[at]
            rows: dict[str, list[float]] = {}
            for value, pd in self.drawn:
                mine = f" {self.texts.words['whatif.own']}" if value == own else ""
                rows.setdefault(choice_text(field.choices[int(value)], self.language) + mine, []).append(pd)
            self.bar = rows.get(text, [])
            self.expect(bool(self.bar), f"panel: choice {text}")
        else:
            self.expect(any(self.is_percent(text, pd) for pd in self.bar), f"panel: choice at {text}")

    bar: list[float] = []  # noqa: RUF012 - replaced, never changed


REASONS = ("reason.approve", "reason.refer", "reason.refer_open", "reason.decline")
SECTIONS = ("reason.title", "why.title", "policy.title")


def strings(value: Any) -> set[str]:
    """Every text in a manifest."""
    if isinstance(value, dict):
        return set().union(*map(strings, value.values()))
    if isinstance(value, list):
        return set().union(*map(strings, value)) if value and not isinstance(value[0], (int, float)) else set()
    return {value} if isinstance(value, str) else set()

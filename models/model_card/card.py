"""MODEL_CARD.md and its plots, for a release's folder; the digest does not cover them.

The headings follow Mitchell et al. 2019, "Model cards for model reporting" (doi 10.1145/3287560.3287596).
Every figure comes from the training run that made the release; words about the loans come from the recipe.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.blocks import Block, Plan, block_of
from inference.fields import ChoiceField, Field, NumberField
from inference.reasons import MOST_FIELDS, MOST_PRINCIPAL
from inference.release import Release
from models import stability
from models.evaluation import ALL_COLUMNS, FREE, REAL_TIME, SCORECARD, Report, Result
from models.model_card import captions as readings
from models.model_card import lender_parts, plots
from models.model_card.captions import percent, rate
from models.model_card.decision_outcomes import SUGGESTIONS, Book, Group, books, by_band
from models.model_card.lender_parts import table
from models.principal_reasons import SEED, Counts, count
from models.train import Trained

CARD = "MODEL_CARD.md"
MOST_COLUMNS = 20  # in the plot of feature importance
LATER = (
    "On later vintages, none of which entered training or calibration. Their outcomes were known to the authors of the "
    "recipe, and only loans with a known outcome are there: a later vintage, not a forecast."
)
LATER_OWN = (
    "On later loans, none of which entered training or calibration; only loans with a known outcome are there. Where "
    "the fields were chosen on all loans, these among them, the choice has seen them."
)
FOLDED = (
    "By cross-validation: models of the same recipe, each trained on four fifths of the loans and tried on the last "
    "fifth; the release itself is trained on all of them. The two numbers of calibration were fitted on these same "
    "PDs, so that the mean PD equals the bad rate by construction; how well the deciles agree is a finding."
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the card shows, computed once for plots and text."""

    release: Release
    trained: Trained
    report: Report
    headline: list[Result]
    simpler: list[Result]  # the scorecard on the same loans
    bands: list[tuple[str, list[Group]]]
    gains: list[tuple[str, float]]  # (column, share of the total gain), largest first
    books: list[Book]
    reasons: Counts

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest says about the training, as models.export wrote it."""
        return self.release.manifest.training


def card_files(release: Release, trained: Trained, report: Report) -> dict[str, bytes]:
    """The model card and its plots (SVG), by the names of their files."""
    findings = find(release, trained, report)
    samples = [result.sample for result in findings.headline]
    pictures = {
        "roc": plots.roc(findings.headline, findings.simpler),
        "calibration": plots.calibration(findings.headline),
        "score_bands": plots.score_bands(findings.bands, samples),
        "importance": plots.importance(findings.gains[:MOST_COLUMNS]),
        "decisions": plots.decisions(findings.books),
    }
    if trained.recipe.later:
        pictures["vintages"] = plots.vintages(findings.books)
    return {**{f"{name}.svg": picture.encode() for name, picture in pictures.items()}, CARD: card(findings).encode()}


def find(release: Release, trained: Trained, report: Report) -> Findings:
    """The figures behind the card."""
    headline = [result for result in report.results if result.headline]
    fewest = max(trained.recipe.rare_below, min(len(result.bad) for result in headline) // 100)
    score = trained.model.get_booster().get_score(importance_type="total_gain")
    gain = {name: float(value) for name, value in score.items() if isinstance(value, float)}  # trees have no lists
    total = sum(gain.values())
    # The booster was trained on an array: it names column 7 "f7".
    gains = [(column, gain.get(f"f{index}", 0.0) / total) for index, column in enumerate(trained.builder.columns)]
    return Findings(
        release=release,
        trained=trained,
        report=report,
        headline=headline,
        simpler=[result for result in report.results if result.model == SCORECARD],
        bands=by_band(release.points, headline, fewest),
        gains=sorted((pair for pair in gains if pair[1] > 0), key=lambda pair: -pair[1]),
        books=books(release, trained, report),
        reasons=count(release, trained.sample.values),
    )


def card(findings: Findings) -> str:
    """The whole card as Markdown."""
    recipe, about = findings.trained.recipe, findings.about
    by = "`make train` (`python -m models train {}`)" if recipe.lender is None else "`tenfold train {}.toml`"
    sections = [
        f"# Model card: {recipe.title['en']}\n\n> {recipe.notice['en']}\n\n"
        f"Written by {by.format(recipe.name)} with the release beside it; "
        "every figure below comes from that run. Do not edit.",
        *([] if recipe.lender is None else [lender_parts.lead(recipe.lender, findings.report.rows)]),
        f"## Model details\n\n{details(findings)}",
        f"## Intended use\n\n{intended_use(findings)}",
        f"## Data\n\n{data(findings)}",
        f"## Fields\n\n{fields(findings)}",
        f"## Features\n\n{features(findings)}",
        f"## Training and calibration\n\n{training(findings)}",
        f"## Policy{'' if recipe.lender else ': assumptions that a lender must set'}\n\n{policy(findings)}",
        f"## Results\n\n{results(findings)}",
        f"## Suggested decisions\n\n{decisions(findings)}",
        f"## Principal reasons\n\n{principal_reasons(findings)}",
        *lenders_own(findings),
        f"## Small changes of one answer\n\n{stability.section(about['metrics']['stability'])}",
        "## Limits and ethical considerations\n\n" + "\n".join(f"- {limit}" for limit in recipe.limits),
    ]
    return "\n\n".join(sections) + "\n"


def lenders_own(findings: Findings) -> list[str]:
    """Sections on measurements of a lender's own release."""
    if findings.trained.recipe.lender is None:
        return []
    metrics = findings.about["metrics"]
    return [
        f"## Directions\n\n{lender_parts.directions(metrics['directions'])}",
        f"## Groups\n\n{lender_parts.groups(metrics['groups'])}",
    ]


def names(columns: Sequence[str]) -> str:
    """Names as code, or a dash."""
    return ", ".join(f"`{name}`" for name in columns) or "–"


def details(findings: Findings) -> str:
    manifest, release = findings.release.manifest, findings.release
    points = release.points
    recipe = findings.trained.recipe
    model = "Gradient-boosted trees (XGBoost, `binary:logistic`)"
    if recipe.kind == "scorecard":
        model = "**Logistic scorecard from few bad loans**, written as trees (bins of each column, weights of evidence)"
    text = "\n".join(
        [
            f"- Release `{release.name}`, format {manifest.format}, dated {manifest.date}",
            f"- Digest (sha256 of `manifest.json`): `{release.digest}`",
            f"- {model}, then two numbers of calibration",
            f"- In: {len(release.form.fields)} answers. Out: a PD between 0 and 1, points, a suggested decision "
            "and the reasons for it; the officer decides",
            f"- Points: {points.anchor:g} at good-to-bad odds of {points.odds:g} to 1; "
            f"{points.double:g} more double the odds",
        ]
    )
    return text if recipe.lender is None else f"{text}\n{lender_parts.responsible(recipe.lender)}"


def intended_use(findings: Findings) -> str:
    if findings.trained.recipe.lender is not None:
        return lender_parts.intended_use(findings.trained.recipe.lender)
    return (
        "**For** showing, testing and teaching how a credit decision is scored, explained and recorded, on real "
        "loans; and as a pattern for a lender that trains a release on its own. A person decides each "
        "application; the score is one of the things that this person sees.\n\n"
        "**Not for** decisions about real applicants; decisions without a person; populations, products, "
        "currencies or years other than those of the data; setting prices, limits, provisions or capital; "
        "employment, insurance or housing."
    )


def data(findings: Findings) -> str:
    recipe, sample = findings.trained.recipe, findings.trained.sample
    source = (
        f"Source, licence, cleaning and counts: [data card](../../data/{recipe.data_card}). The model was trained on "
        f"{len(sample.bad):,} loans, {int(sample.bad.sum()):,} of them bad ({percent(float(sample.bad.mean()))})."
    )
    lender = recipe.lender
    text = source if lender is None else lender_parts.data(lender, len(sample.bad), int(sample.bad.sum()))
    rows = []
    for index, field in enumerate(findings.trained.form.fields):
        missing = np.isnan(sample.values[:, index])
        if isinstance(field, NumberField) and field.optional:
            groups = [Group(int(chosen.sum()), int(sample.bad[chosen].sum())) for chosen in (missing, ~missing)]
            rows.append([f"`{field.name}`", *[cell for group in groups for cell in (f"{group.loans:,}", rate(group))]])
    if not rows:
        return text
    head = ["field", "not stated", "bad rate (95 % interval)", "stated", "bad rate (95 % interval)"]
    return f"{text}\n\n{table(head, rows, numbers=True)}"


def fields(findings: Findings) -> str:
    below = findings.release.manifest.policy.rare_below
    head = ["field", "label", "unit", "allowed", "usual in training", "applicant can move it"]
    rows = [
        [
            f"`{field.name}`",
            field.label["en"],
            field.unit["en"] or "–",
            allowed(field),
            usual(field, below),
            field.actionable or "no",
        ]
        for field in findings.release.form.fields
    ]
    return (
        f"{table(head, rows)}\n\nUsual: between the 0.5 % and the 99.5 % quantile of the training loans; for a list, "
        f"choices that at least {below} of them gave. An answer outside is unusual, and the application is referred."
    )


def allowed(field: Field) -> str:
    """What the field accepts; a long list by its length."""
    if isinstance(field, ChoiceField) and (field.digits or len(field.choices) > 10):
        kind = f" of {field.digits} digits" if field.digits else ""
        return f"{len(field.choices):,} codes{kind}" + (", or one with a known prefix" if field.digits else "")
    return field.allowed.removeprefix("one of ")


def usual(field: Field, below: int) -> str:
    """The usual range, or how many choices there are and which of them are rare."""
    if isinstance(field, NumberField):
        return " to ".join(f"{end:,.10g}" for end in field.usual)
    rare = [choice.code for choice in field.choices if choice.count < below]
    text = f"{len(field.choices):,} choices"
    if not rare:
        return text
    return f"{text}, rare: {', '.join(rare)}" if len(rare) <= 5 else f"{text}, {len(rare):,} of them rare"


def said_of(block: Block) -> str:
    """What a kind of block is, from its own docstring, so that a new kind needs no text here."""
    return (type(block).__doc__ or "").partition("\n")[0].partition(":")[0].removesuffix(".")


def features(findings: Findings) -> str:
    trained = findings.trained
    plan = Plan(trained.form, trained.tables)
    kinds: Counter[tuple[str, str]] = Counter()  # the kind, and what it is by its own docstring
    for spec in trained.recipe.features:
        block = block_of(spec, plan)
        kinds[str(spec.__struct_config__.tag), said_of(block)] += len(block.columns)
    columns = trained.builder.columns
    rows = [[kind, explanation, str(count)] for (kind, explanation), count in kinds.items()]
    signs = {sign: [column for column in columns if trained.recipe.constraint(column) == sign] for sign in (1, -1)}
    history = ""
    if trained.tables:
        as_of = findings.about["tables_as_of"]
        keys = sum(len(table.keys) for table in trained.tables.values())
        history = (
            f" The {len(trained.tables)} history tables ({keys:,} keys) stand as of the end of {as_of}; training "
            "built each month’s rows with that month’s tables."
        )
    return (
        f"{len(columns)} columns, every one a function of the answers and of the release’s tables.{history}\n\n"
        f"{table(['kind', 'what', 'columns'], rows)}\n\n"
        f"Monotone constraints ({len(signs[1]) + len(signs[-1])} of {len(columns)} columns), all else equal:\n\n"
        f"- more never lowers the PD: {families(trained.recipe.monotone, signs[1])}\n"
        f"- more never raises the PD: {families(trained.recipe.monotone, signs[-1])}"
    )


def families(monotone: Mapping[str, int], columns: Sequence[str]) -> str:
    """Constrained columns; those of one pattern are grouped, with their number."""
    patterns = [column for column in monotone if column.endswith("*")]
    counts: Counter[str] = Counter()
    for column in columns:
        pattern = next(
            (pattern for pattern in patterns if column not in monotone and column.startswith(pattern[:-1])), column
        )
        counts[pattern] += 1
    return ", ".join(f"`{name}`" + (f" ({n})" if name.endswith("*") else "") for name, n in counts.items()) or "–"


def training(findings: Findings) -> str:
    trained, about = findings.trained, findings.about
    window = f"loans of {about['from']} to {about['to']}" if about["from"] else "all loans (the source has no dates)"
    parameters = ", ".join(f"{name} {value}" for name, value in about["parameters"].items())
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    a, b = findings.release.calibration.intercept, findings.release.calibration.slope
    unseen = (
        "the last part of the training window, by a model trained on the part before"
        if not trained.folded
        else f"{len(trained.unseen)} repeats of cross-validation"
    )
    return "\n".join(
        [
            f"- Training: {window}, {about['loans']:,} loans",
            f"- Trees: {trained.model.get_booster().num_boosted_rounds():,}; parameters: {parameters}",
            *blur(trained.recipe.blur),
            *teacher(trained.recipe.teacher),
            f"- Libraries: {libraries}",
            f"- Calibration: logit(PD) = {a:.4f} + {b:.4f} · logit(p), fitted on PDs of loans that the model had not "
            f"seen ({unseen}). 0 and 1 would mean that nothing had to be corrected",
        ]
    )


def blur(widths: Mapping[str, tuple[float, float]]) -> list[str]:
    """A line on how far training moved the answers at random; empty if it did not."""
    if not widths:
        return []
    parts = [
        f"`{name}` by up to "
        + ", or where that is more ".join([f"{100 * share:g} %"] * (share > 0) + [f"{least:g}"] * (least > 0))
        for name, (share, least) in widths.items()
    ]
    return [
        "- Blur: the answers of training loans were moved up or down at random, so that no decision hangs on a round "
        f"sum: {'; '.join(parts)}. No loan was judged by a moved answer"
    ]


def teacher(has_one: bool) -> list[str]:
    """A line on what the trees were fitted to, if that is not the outcome."""
    text = (
        "- Teacher: the trees are fitted to what a model of all columns says of loans that it had not seen; every "
        "figure here is measured on the outcome"
    )
    return [text] if has_one else []


def policy(findings: Findings) -> str:
    about = findings.release.manifest.policy
    margin, lgd, band = about.margin, about.lgd, about.refer_band
    even = "PD* = margin / (margin + loss)"
    if about.guarantee:
        ends = [margin / (margin + lgd * (1 - share)) for share in (0.0, 0.5, 0.85)]
        loss = (
            f"the loss given default times the share that `{about.guarantee}` leaves uncovered; PD* is "
            f"{ends[0]:.3f} without a guarantee, {ends[1]:.3f} with one of 50 %, {ends[2]:.3f} with one of 85 %"
        )
    else:
        loss = f"the loss given default; PD* is {margin / (margin + lgd):.3f} for every application"
    whose = "**Both figures are the recipe's.** They "
    if findings.trained.recipe.lender is None:
        whose = "**Both figures are assumptions, not findings: a lender must put its own in their place.** They "
    return (
        f"A good loan is taken to earn {margin:g} of its amount (margin), a bad one to lose {lgd:g} of it (loss given "
        f"default, LGD). {whose}"
        "decide how many are approved; the PD does not depend on them.\n\n"
        f"- Break-even: {even}; the loss is {loss}\n"
        f"- Below {1 - band:g} · PD*: approve. Above {1 + band:g} · PD*: decline. Between, or where an answer is "
        "unusual: refer to a person"
    )


def results(findings: Findings) -> str:
    recipe = findings.trained.recipe
    how = LATER if recipe.later else FOLDED
    if recipe.lender is not None and recipe.later:
        how = LATER_OWN
    parts = [
        f"{how} In brackets: 95 % bootstrap intervals (chance in drawing these loans, nothing else). AUC and KS: "
        "higher is better; Brier and log loss: lower is better.",
        rivals(findings),
        findings.report.table(),
        figure("roc", "ROC curves", readings.roc(findings.headline, findings.simpler)),
        "Mean PD and bad rate by decile of PD, lowest to highest:",
        findings.report.calibration(),
        figure("calibration", "Calibration by decile", readings.calibration(findings.headline)),
        "The lowest and the highest tenth of PDs, where approvals and declines are, of the release and of its rivals:",
        findings.report.tenths(),
    ]
    if findings.trained.recipe.later:
        parts.append(figure("vintages", "Mean PD and bad rate by vintage", readings.vintages(findings.books)))
    samples = [result.sample for result in findings.headline]
    parts += [
        figure("score_bands", "Bad rate by score band", readings.score_bands(findings.bands, samples)),
        figure("importance", "Feature importance", readings.importance(findings.gains, MOST_COLUMNS)),
    ]
    return "\n\n".join(parts)


def rivals(findings: Findings) -> str:
    """The rivals that the release is compared with, and how they were trained."""
    present = {result.model for result in findings.report.results}
    parts = []
    if ALL_COLUMNS in present:
        parts.append(
            f"“{ALL_COLUMNS}” is what the same trees give with every usable column, also those that the form does not "
            "ask: what asking less costs."
        )
    if SCORECARD in present:
        real_time = any(model.startswith(REAL_TIME.partition(",")[0]) for model in present)
        exception = "; the “real time” rows alone are not calibrated" if real_time else ""
        parts.append(
            f"Rivals see the same loans and are calibrated in the same way{exception}. “{FREE}” shows what the "
            f"monotone constraints cost. “{SCORECARD}” is a scorecard as a careful lender builds one: monotone bins "
            "found by optbinning, “not stated” in a bin of its own, weights of evidence, logistic regression. It is "
            "given the ratios that the release computes from the answers."
        )
    return " ".join(parts) or "No rivals were asked for (`--rivals`)."


def figure(name: str, title: str, reading: str) -> str:
    """A picture with its caption."""
    return f"![{title}]({name}.svg)\n\n{reading}"


def principal_reasons(findings: Findings) -> str:
    counted = findings.reasons
    if not counted.declines:
        return f"Of {counted.of}, the policy above declines none."
    rows = [[f"`{key}`", text, percent(n / counted.declines)] for key, text, n in counted.rows]
    share = percent(counted.without / counted.declines)
    exact = (
        f"In {percent(counted.estimated / counted.declines)} of them more than {MOST_FIELDS} answers differ from the "
        "reference applicant's: their effects are estimates, shown with intervals, and no reason is drawn from them, "
        "so a decline needs one in the officer’s own words. All others are exact for this model; the effects "
        if counted.estimated
        else "The effects are exact for this model; they "
    )
    return (
        f"Of {counted.of}, the policy above declines {counted.declines:,} that are explained here (drawn with seed "
        f"{SEED}). A row says in how many of them the reason is among the up to {MOST_PRINCIPAL} principal ones: the "
        f"fields with the strongest effect against the reference applicant. {exact}say nothing about "
        f"causes. Without any principal reason: {share}.\n\n"
        + table(["reason", "text for the applicant", "of the declines"], rows)
    )


def decisions(findings: Findings) -> str:
    head = ["loans", "n"]
    head += [text for name in SUGGESTIONS for text in (name, "bad rate (95 % interval)")]
    head += ["unusual, so referred", "all: bad rate"]
    rows = []
    for book in findings.books:
        cells = [cell for name in SUGGESTIONS for cell in (percent(book.share(name)), rate(book.groups[name]))]
        label = f"{book.label} (in training)" if book.in_training else book.label
        unusual = percent(book.unusual / book.all.loans)
        rows.append([label, f"{book.all.loans:,.0f}", *cells, unusual, percent(book.all.rate)])
    marked = (
        " Rows marked “in training” are loans that the model had seen: they show the mix, not how good it is."
        if any(book.in_training for book in findings.books)
        else ""
    )
    return (
        "What the policy above, with its assumed margin and LGD, would have suggested for loans that were in fact "
        f"granted.{marked}\n\n{table(head, rows, numbers=True)}\n\n"
        + figure(
            "decisions",
            "Shares of suggested decisions and the bad rate in each",
            readings.decisions(findings.books[-1]),
        )
    )

"""A lender's own release: from a recipe file and its loans to a release folder, with all measurements."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from inference.errors import TenfoldError
from inference.fields import NumberField
from inference.intervals import wilson
from inference.release import Release
from models import stability
from models.evaluation import ALL_COLUMNS, RELEASE, Report, report
from models.export import export, month_text
from models.form_file import standard_reasons
from models.lender_loans import LoadedLoans, load_loans
from models.metrics import Floats
from models.model_card.card import card_files
from models.own_history import OwnHistory
from models.recipe import Lender, Loans, Recipe
from models.recipe_file import read_recipe
from models.recipe_toml.content import SCORECARD, TREES, RecipeFile
from models.toml_file import BadFile
from models.train import FEWEST, Sample, Trained, cross_validate, train

ENOUGH_BAD, LEAST_BAD = 100, 30  # bad loans for trees, and for a scorecard
FEW_FIELDS = 5  # of a scorecard from few loans
SUSPICIOUS = 0.9  # an AUC that answers at application do not reach
CHECKED = 30_000  # loans on which directions are verified
SWEPT = 1_000  # loans whose answers are moved through a field's range
STEPS = 9
PARTS = 4  # of a number to look at: quarters
FEWEST_OF_GROUP = 100
QUARTER = 4  # without test_from the last loans judge: one in this many


class Refused(TenfoldError):
    """A release that is not made; the message says what has to change."""


@dataclass(frozen=True, slots=True)
class OwnRelease:
    """A lender's own release, and the measurements of its training."""

    release: Release
    trained: Trained
    report: Report
    loaded: LoadedLoans


def train_file(file: Path, out: Path, *, rivals: bool = False) -> OwnRelease:
    """Train the recipe `file` and write the release into the folder `out`, beside earlier ones.

    Raises `BadFile` if the recipe is wrong or does not fit its loans, and `Refused` if the loans do not support it;
    nothing is written then.
    """
    recipe_file = read_recipe(file)
    if recipe_file.open:
        raise BadFile(file, recipe_file.open)
    loaded = load_loans(recipe_file)
    recipe = recipe_of(recipe_file, loaded)
    trained = train(recipe, recipe.load())
    evaluation = report(trained, rivals)
    refuse_leaks(recipe_file, trained, evaluation)
    metrics = {
        **evaluation.metrics,
        "stability": stability.of_trained(trained),
        "directions": directions(trained),
        "groups": looked_at(trained),
    }
    release = export(trained, metrics, out, lambda release: card_files(release, trained, evaluation))
    return OwnRelease(release, trained, evaluation, loaded)


def recipe_of(recipe_file: RecipeFile, loaded: LoadedLoans) -> Recipe:
    """The recipe for training, with its loans. Raises `Refused` if they are too few."""
    loans, window, later, same = parted(recipe_file, loaded.loans)
    start, _, end = window or (0, 0, 1)
    trained_on = loans.bad[(loans.months >= start) & (loans.months < end)] if window else loans.bad
    enough(recipe_file, int(trained_on.sum()), len(trained_on))
    policy = {name: value for name, value in recipe_file.policy.items() if name != "rare_below"}
    worded = [{**spec, "reasons": standard_reasons(spec)} for spec in recipe_file.fields]
    return Recipe(
        name=recipe_file.name,
        title=recipe_file.title,
        notice=recipe_file.notice,
        data_card=recipe_file.data_card,
        limits=limits(recipe_file),
        date=recipe_file.date,
        groups=recipe_file.groups,
        questions=recipe_file.questions,
        fields=worded,
        features=recipe_file.features,
        monotone=recipe_file.monotone,
        parameters=recipe_file.parameters,
        half_life=recipe_file.half_life if window else None,
        blur=recipe_file.blur,
        policy=policy,
        points=recipe_file.points,
        load=lambda: loans,
        history=past_loans(recipe_file, loaded.loans) if recipe_file.history else None,
        later=later,
        window=window,
        why_age=recipe_file.why_age,
        rare_below=recipe_file.policy["rare_below"],
        folds=recipe_file.folds,
        repeats=recipe_file.repeats,
        real_time=recipe_file.loans.horizon_months if recipe_file.loans.default_date else None,
        kind=recipe_file.kind,
        teacher=recipe_file.teacher != "none",
        not_prohibited=frozenset(
            name
            for name, about in recipe_file.columns.items()
            if {name, about.name} & recipe_file.loans.not_prohibited.keys()
        ),
        lender=lender(recipe_file, loaded, same),
    )


def past_loans(recipe_file: RecipeFile, loans: Loans) -> Callable[[], OwnHistory]:
    """The history of all loans of the file, made when it is needed."""
    horizon = recipe_file.loans.horizon_months
    return lambda: OwnHistory(recipe_file.history, recipe_file.fields, loans, horizon)


def limits(recipe_file: RecipeFile) -> list[str]:
    """The limits that follow from what the recipe says about its loans, then its own."""
    source = recipe_file.loans
    sentences = []
    if not source.declined:
        sentences.append(
            "Only loans that were approved are in the file: nothing is known of applicants who were declined. All "
            "figures hold for approved loans; for applicants unlike them the PD extrapolates."
        )
    if not source.date:
        sentences.append("The loans have no dates: nothing here shows how the model ages, and no later loans judge it.")
    if not source.look_at:
        sentences.append(
            "Not measured: whether the model treats groups alike. No column was given to look at (`look_at`), and a "
            "lender may not hold one. No column whose name or answers show a prohibited attribute is a field; more "
            "than that is not known."
        )
    return [*sentences, *recipe_file.limits]


def lender(recipe_file: RecipeFile, loaded: LoadedLoans, same: int) -> Lender:
    source, card = recipe_file.loans, recipe_file.card
    accepted = {
        "an AUC above 0.9": recipe_file.accept_auc,
        "more than 2 % of the loans left out": source.accept_left_out,
    }
    return Lender(
        file=source.file.name, sha256=loaded.digest, lines=loaded.lines, left_out=loaded.left_out,
        undecided=loaded.undecided, horizon=source.horizon, declined=source.declined, never_used=source.leave_out,
        not_asked=source.not_asked, look_at=source.look_at, not_prohibited=source.not_prohibited,
        draft=recipe_file.draft, intended_use=card.intended_use if card else "", owner=card.owner if card else "",
        approver=card.approver if card else "", validated=card.validated if card else "",
        next_review=card.next_review if card else "", maker=card.maker if card else "",
        accepted={column: why for column, why in accepted.items() if why}, same_people=same,
    )  # fmt: skip


def parted(
    recipe_file: RecipeFile, loans: Loans
) -> tuple[Loans, tuple[int, int, int] | None, dict[str, tuple[int, int]], int]:
    """Split dated loans into those to train on and later ones that judge; undated loans are not split.

    Loans from `test_from` on, or the last quarter of the loans by time, judge. The last quarter before that
    calibrates, or folds do if it holds too few loans of either outcome. A later loan of a
    customer that is trained on is left out.
    """
    if not recipe_file.loans.date:
        return loans, None, {}, 0
    first, last = int(loans.months.min()), int(loans.months.max())
    end = later_from(loans.months) if recipe_file.test_from is None else recipe_file.test_from
    if not first < end <= last:
        raise Refused(
            f"{recipe_file.file}: split.test_from: loans are needed before {month_text(end)} and from then on; they "
            f"are of {month_text(first)} to {month_text(last)}"
        )
    trained_on = loans.months < end
    same = np.zeros(len(loans), bool)
    if loans.people is not None:
        same = ~trained_on & np.isin(loans.people, loans.people[trained_on])
    judged = loans.bad[~trained_on & ~same]
    if min(judged.sum(), len(judged) - judged.sum()) < FEWEST:
        raise Refused(
            f"{recipe_file.file}: split: from {month_text(end)} on there are {len(judged):,} loans to judge by, "
            f"{judged.sum()} of them bad; {FEWEST} of each outcome are needed. Set split.test_from earlier"
        )
    split = later_from(loans.months[trained_on])
    calibrating = loans.bad[trained_on & (loans.months >= split)]
    earlier = loans.bad[loans.months < split]
    few = min(min(part.sum(), len(part) - part.sum()) for part in (calibrating, earlier)) < FEWEST
    window = (first, end if few else split, end)
    name = f"{month_text(end)} to {month_text(last)}"
    return loans.where(~same), window, {name: (end, last + 1)}, int(same.sum())


def later_from(months: npt.NDArray[np.int32]) -> int:
    """The month in which about the last quarter of the loans begins; never the first month."""
    counted = np.unique(months)
    month = int(np.quantile(months, 1 - 1 / QUARTER, method="inverted_cdf"))
    return month if month > counted[0] else int(counted[min(1, len(counted) - 1)])


def enough(recipe_file: RecipeFile, bad: int, loans: int) -> None:
    """Raise `Refused` if there are too few bad loans for this model."""
    counts = f"{recipe_file.file}: {bad} bad loans of {loans:,} to train on"
    if min(bad, loans - bad) < LEAST_BAD:
        raise Refused(
            f"{counts}: below {LEAST_BAD} of either outcome nothing is trained. Wait for more, or add earlier loans"
        )
    small = recipe_file.kind == SCORECARD and len(recipe_file.fields) <= FEW_FIELDS
    if min(bad, loans - bad) < ENOUGH_BAD and not small:
        raise Refused(
            f"{counts}: below {ENOUGH_BAD} only a logistic scorecard of at most {FEW_FIELDS} fields is trained. Set "
            f'model.kind = "{SCORECARD}" and keep {FEW_FIELDS} of the {len(recipe_file.fields)} fields'
        )


def refuse_leaks(recipe_file: RecipeFile, trained: Trained, report: Report) -> None:
    """Raise `Refused` for an AUC that answers at application do not reach, with the fields that cause it."""
    auc = max(float(row["auc"]) for row in report.rows if row["model"] == RELEASE)
    if auc <= SUSPICIOUS or recipe_file.accept_auc:
        return
    alone = sorted(of_one_field(trained).items(), key=lambda item: -item[1])[:5]
    listed = ", ".join(f"{name} ({value:.3f})" for name, value in alone)
    raise Refused(
        f"{recipe_file.file}: the AUC is {auc:.3f}. That is more than answers at application tell: a field, or several "
        f"together, may have been written after the outcome was known. Of the fields alone: {listed}. Leave such a "
        'field out, or say why it is honest: model.accept_auc = "why"'
    )


def of_one_field(trained: Trained) -> dict[str, float]:
    """The AUC of each field alone, in folds of small trees."""
    sample = some(trained.sample, CHECKED)
    aucs = {}
    for index, field in enumerate(trained.form.fields):
        recipe = replace(
            trained.recipe, monotone={}, kind=TREES, teacher=False, half_life=None, folds=3,
            parameters={"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3},
        )  # fmt: skip
        alone = replace(sample, rows=sample.values[:, [index]].astype(np.float32))
        (_, p), *_ = cross_validate(recipe, (field.name,), alone, 1)
        aucs[field.name] = float(roc_auc_score(sample.bad, p))
    return aucs


def some(sample: Sample, most: int) -> Sample:
    """At most `most` of the loans, the same ones every time."""
    if len(sample) <= most:
        return sample
    return sample.subset(np.sort(np.random.default_rng(0).permutation(len(sample))[:most]))


def directions(trained: Trained) -> dict[str, Any]:
    """What the directions cost, one by one and together, and whether the release keeps to them for every answer.

    AUC of one repeat of folds without directions, with each alone, and with all. A field's `worst` is how far a PD
    moved the wrong way (0..1) as its answer went through the range, all others as they are.
    """
    recipe, sample = trained.recipe, some(trained.sample, CHECKED)
    if not recipe.monotone or recipe.kind == SCORECARD:
        return {"without": None, "together": None, "columns": [], "answers": answers_keep(trained)}

    def auc(monotone: Mapping[str, int]) -> float:
        variant = replace(recipe, monotone=monotone, teacher=False)
        (_, p), *_ = cross_validate(variant, trained.builder.columns, sample, 1)
        return float(roc_auc_score(sample.bad, p))

    without = auc({})
    return {
        "without": without,
        "together": auc(recipe.monotone),
        "columns": [
            {"column": name, "sign": sign, "auc": auc({name: sign}) if len(recipe.monotone) > 1 else None}
            for name, sign in recipe.monotone.items()
        ],
        "answers": answers_keep(trained),
    }


def answers_keep(trained: Trained) -> list[dict[str, Any]]:
    """Each number field with a direction: the largest move of a PD the wrong way, over loans and steps of its range."""
    values = some(trained.sample, SWEPT).values
    fields = []
    for index, field in enumerate(trained.form.fields):
        sign = trained.recipe.constraint(field.name)
        if not sign or not isinstance(field, NumberField):
            continue
        steps = np.unique(
            np.quantile(values[:, index][~np.isnan(values[:, index])], np.linspace(0, 1, STEPS), method="nearest")
        )
        swept = []
        for step in steps:
            moved = values.copy()
            moved[:, index] = step
            swept.append(pds(trained, moved))
        against = -sign * np.diff(np.stack(swept), axis=0)
        fields.append(
            {"field": field.name, "sign": sign, "worst": float(max(0.0, against.max())) if len(against) else 0.0}
        )
    return fields


def pds(trained: Trained, values: Floats) -> Floats:
    """PDs (m,) of encoded answers (m, n_fields), as the release gives them."""
    p = trained.model.predict_proba(trained.builder.build(values))[:, 1]
    return trained.calibration.pds(np.asarray(p, np.float64))


def looked_at(trained: Trained) -> list[dict[str, Any]]:
    """How the model treats groups that it does not know: a table for each column of `look_at`, on unseen loans.

    `approved` is the share with a PD below the refer band, whatever else is unusual; `ratio` is that share over the
    largest one of the column's groups. `few` names groups with too few loans for a figure.
    """
    recipe = trained.recipe
    loans, p = judged(trained)
    if loans.looked_at is None:
        return []
    cut = break_even(recipe) * (1 - float(recipe.policy["refer_band"]))
    tables = []
    for name in loans.looked_at.columns:
        rows: list[dict[str, Any]] = []
        few = []
        for label, members in groups_of(loans.looked_at[name].tolist()):
            if members.sum() < FEWEST_OF_GROUP:
                few.append(label)
                continue
            bad, group_pds = loans.bad[members], p[members]
            rows.append({
                "group": label, "loans": int(members.sum()), "bad_rate": float(bad.mean()),
                "interval": list(wilson(float(bad.sum()), float(len(bad)))), "mean_pd": float(group_pds.mean()),
                "approved": float((group_pds < cut).mean()),
                "auc": float(roc_auc_score(bad, group_pds)) if len(np.unique(bad)) == 2 else None,
            })  # fmt: skip
        most = max((float(row["approved"]) for row in rows), default=0.0)
        for row in rows:
            row["ratio"] = row["approved"] / most if most else None
        tables.append({"column": name, "groups": rows, "few": few})
    return tables


def judged(trained: Trained) -> tuple[Loans, Floats]:
    """Loans that the model had not seen, and their PDs (m,): later loans, else those of the folds."""
    recipe = trained.recipe
    if recipe.later:
        ((start, until),) = recipe.later.values()
        loans = trained.loans.where((trained.loans.months >= start) & (trained.loans.months < until))
        return loans, pds(trained, trained.form.encode(loans.answers))
    places = trained.unseen[0][0]
    start, _, end = recipe.window or (0, 0, 1)
    inside = (
        trained.loans.where((trained.loans.months >= start) & (trained.loans.months < end))
        if recipe.window
        else trained.loans
    )
    chosen = np.zeros(len(inside), bool)
    chosen[places] = True
    p = np.mean([trained.calibration.pds(p) for _, p in trained.unseen], axis=0)
    return inside.where(chosen), np.asarray(p)


def break_even(recipe: Recipe) -> float:
    """PD* of the policy, without a guarantee."""
    return float(recipe.policy["margin"] / (recipe.policy["margin"] + recipe.policy["lgd"]))


def groups_of(cells: list[object]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """The groups of a column of texts: its values, or quarters where it is one of numbers."""
    texts = ["not stated" if cell != cell or cell is None else str(cell) for cell in cells]
    distinct = sorted(set(texts))
    if len(distinct) > 12:
        number = np.array([float(text) if plain(text) else np.nan for text in texts])
        stated = number[~np.isnan(number)]
        edges = np.unique(np.quantile(stated, np.linspace(0, 1, PARTS + 1))).tolist() if len(stated) else []
        for low, high in pairwise(edges):
            inside = (number >= low) & ((number < high) | (high == edges[-1]))
            yield f"{low:,.6g} to {high:,.6g}", inside
        return
    values = np.array(texts)
    for value in distinct:
        yield value, values == value


def plain(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def summary(own_release: OwnRelease) -> str:
    """The result of a training, for the terminal."""
    loaded, rows = own_release.loaded, own_release.report.rows
    lines = [f"{len(loaded.loans):,} of {loaded.lines:,} loans, {int(loaded.loans.bad.sum()):,} bad."]
    if loaded.undecided:
        lines.append(f"Neither good nor bad: {sum(loaded.undecided.values()):,} loans.")
    if loaded.left_out:
        lines.append(f"Left out, since the form could not give them: {loaded.share_left_out:.1%}.")
        lines += [f"  {count:>9,}  {why}" for why, count in sorted(loaded.left_out.items(), key=lambda item: -item[1])]
    nested = own_release.trained.recipe.lender.draft.get("nested_auc") if own_release.trained.recipe.lender else None
    if nested is not None:
        own = next(float(row["auc"]) for row in rows if "intervals" in row)
        expected = (
            "That is the one to expect."
            if own >= nested
            else f"This release has {own:.3f} with its fields as they are: expect no more than that."
        )
        lines.append(
            f"AUC with the fields chosen on other loans than those that judge, from the draft: {nested:.3f}. {expected}"
        )
    lines += ["", own_release.report.text, ""]
    if not any(row["model"] == ALL_COLUMNS for row in rows):
        lines.append("The form asks every usable column: there is no larger model to compare with.")
    lines.append(f"{own_release.release.folder}: digest {own_release.release.digest}")
    lines.append(f"Serve it: TENFOLD_RELEASE={own_release.release.folder} tenfold serve")
    lines.append("It is a draft, and says so, until a manager who did not make it puts it into service: page Releases.")
    return "\n".join(lines)

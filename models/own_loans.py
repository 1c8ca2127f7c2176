"""A lender's own release: from a recipe file and its loans to a folder that serves, with what was found on the way."""

from collections.abc import Iterator, Mapping
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
from models.lender_loans import Taken, take
from models.metrics import Floats
from models.model_card.card import write_card
from models.recipe import Lender, Loans, Recipe
from models.recipe_file import SCORECARD, TREES, RecipeFile, read_recipe
from models.toml_file import BadFile
from models.train import FEWEST, Sample, Trained, cross_validate, train

ENOUGH_BAD, LEAST_BAD = 100, 30  # bad loans for trees, and for a scorecard
FEW_FIELDS = 5  # of a scorecard from few loans
SUSPICIOUS = 0.9  # an AUC that honest answers at application do not reach
CHECKED = 30_000  # loans on which directions are verified
SWEPT = 1_000  # loans whose answers are moved through a field's range
STEPS = 9
PARTS = 4  # of a number to look at: quarters
FEWEST_OF_GROUP = 100
QUARTER = 4  # without test_from the last loans judge: one in so many


class Refused(TenfoldError):
    """A release that is not made, and what would have to be otherwise."""


@dataclass(frozen=True, slots=True)
class Made:
    """A release of a lender's own, and what was found."""

    release: Release
    trained: Trained
    report: Report
    taken: Taken


def train_file(file: Path, out: Path, *, rivals: bool = False) -> Made:
    """Train the recipe `file` and write the release into the folder `out`, beside earlier ones.

    Raises `BadFile` for what is wrong with the recipe or does not fit its loans, and `Refused` for what the loans
    cannot carry. Nothing is written then.
    """
    said = read_recipe(file)
    if said.open:
        raise BadFile(file, said.open)
    taken = take(said)
    recipe = recipe_of(said, taken)
    trained = train(recipe, recipe.load())
    evaluation = report(trained, rivals)
    refuse_leaks(said, trained, evaluation)
    metrics = {
        **evaluation.metrics,
        "stability": stability.of_trained(trained),
        "directions": directions(trained),
        "groups": looked_at(trained),
    }
    release = export(trained, metrics, out)
    write_card(release, trained, evaluation)
    return Made(release, trained, evaluation, taken)


def recipe_of(said: RecipeFile, taken: Taken) -> Recipe:
    """The recipe as training takes it, its loans within. Raises `Refused` where they are too few."""
    loans, window, later, same = parted(said, taken.loans)
    start, _, end = window or (0, 0, 1)
    trained_on = loans.bad[(loans.months >= start) & (loans.months < end)] if window else loans.bad
    enough(said, int(trained_on.sum()), len(trained_on))
    policy = {name: value for name, value in said.policy.items() if name != "rare_below"}
    worded = [{**spec, "reasons": standard_reasons(spec)} for spec in said.fields]
    return Recipe(
        name=said.name, title=said.title, notice=said.notice, data_card=said.data_card, limits=limits(said),
        date=said.date, groups=said.groups, fields=worded, features=said.features, monotone=said.monotone,
        parameters=said.parameters, half_life=said.half_life if window else None, blur=said.blur, policy=policy,
        points=said.points, load=lambda: loans, later=later, window=window, why_age=said.why_age,
        rare_below=said.policy["rare_below"], folds=said.folds, repeats=said.repeats,
        real_time=said.loans.horizon_months if said.loans.default_date else None, kind=said.kind,
        teacher=said.teacher != "none",
        not_prohibited=frozenset(
            name for name, about in said.columns.items() if {name, about.name} & said.loans.not_prohibited.keys()
        ),
        lender=lender(said, taken, same),
    )  # fmt: skip


def limits(said: RecipeFile) -> list[str]:
    """The recipe's own, after those that follow from what it says of its loans."""
    source = said.loans
    found = []
    if not source.declined:
        found.append(
            "Only loans that were approved are in the file: nothing is known of applicants who were declined. All "
            "figures hold for approved loans; for applicants unlike them the PD extrapolates."
        )
    if not source.date:
        found.append("The loans have no dates: nothing here shows how the model ages, and no later loans judge it.")
    if not source.look_at:
        found.append(
            "Not measured: whether the model treats groups alike. No column was given to look at (`look_at`), and a "
            "lender may not hold one. No column whose name or answers show a prohibited attribute is a field; more "
            "than that is not known."
        )
    return [*found, *said.limits]


def lender(said: RecipeFile, taken: Taken, same: int) -> Lender:
    source, card = said.loans, said.card
    accepted = {"an AUC above 0.9": said.accept_auc, "more than 2 % of the loans left out": source.accept_left_out}
    return Lender(
        file=source.file.name, sha256=taken.digest, lines=taken.lines, left_out=taken.left_out,
        undecided=taken.undecided, horizon=source.horizon, declined=source.declined, never_used=source.leave_out,
        not_asked=source.not_asked, look_at=source.look_at, not_prohibited=source.not_prohibited, draft=said.draft,
        intended_use=card.intended_use if card else "", owner=card.owner if card else "",
        approver=card.approver if card else "", validated=card.validated if card else "",
        next_review=card.next_review if card else "", maker=card.maker if card else "",
        accepted={what: why for what, why in accepted.items() if why}, same_people=same,
    )  # fmt: skip


def parted(
    said: RecipeFile, loans: Loans
) -> tuple[Loans, tuple[int, int, int] | None, dict[str, tuple[int, int]], int]:
    """Of dated loans: what to train on, and the later ones that judge; without a date all loans and no window.

    From `test_from` on, or the last quarter of the loans by time, they judge. The last quarter before that calibrates,
    or folds where it holds too few loans of either outcome. A later loan of a customer that is trained on is left out.
    """
    if not said.loans.date:
        return loans, None, {}, 0
    first, last = int(loans.months.min()), int(loans.months.max())
    end = later_from(loans.months) if said.test_from is None else said.test_from
    if not first < end <= last:
        raise Refused(
            f"{said.file}: split.test_from: loans are needed before {month_text(end)} and from then on; they are of "
            f"{month_text(first)} to {month_text(last)}"
        )
    before = loans.months < end
    same = np.zeros(len(loans), bool)
    if loans.people is not None:
        same = ~before & np.isin(loans.people, loans.people[before])
    judged = loans.bad[~before & ~same]
    if min(judged.sum(), len(judged) - judged.sum()) < FEWEST:
        raise Refused(
            f"{said.file}: split: from {month_text(end)} on there are {len(judged):,} loans to judge by, "
            f"{judged.sum()} of them bad; {FEWEST} of each outcome are needed. Set split.test_from earlier"
        )
    split = later_from(loans.months[before])
    calibrating = loans.bad[before & (loans.months >= split)]
    earlier = loans.bad[loans.months < split]
    few = min(min(one.sum(), len(one) - one.sum()) for one in (calibrating, earlier)) < FEWEST
    window = (first, end if few else split, end)
    name = f"{month_text(end)} to {month_text(last)}"
    return loans.where(~same), window, {name: (end, last + 1)}, int(same.sum())


def later_from(months: npt.NDArray[np.int32]) -> int:
    """The month from which about the last quarter of the loans is; never the first month."""
    counted = np.unique(months)
    at = int(np.quantile(months, 1 - 1 / QUARTER, method="inverted_cdf"))
    return at if at > counted[0] else int(counted[min(1, len(counted) - 1)])


def enough(said: RecipeFile, bad: int, loans: int) -> None:
    """Refuse what so few bad loans do not support."""
    there = f"{said.file}: {bad} bad loans of {loans:,} to train on"
    if min(bad, loans - bad) < LEAST_BAD:
        raise Refused(
            f"{there}: below {LEAST_BAD} of either outcome nothing is trained. Wait for more, or add earlier loans"
        )
    small = said.kind == SCORECARD and len(said.fields) <= FEW_FIELDS
    if min(bad, loans - bad) < ENOUGH_BAD and not small:
        raise Refused(
            f"{there}: below {ENOUGH_BAD} only a logistic scorecard of at most {FEW_FIELDS} fields is trained. Set "
            f'model.kind = "{SCORECARD}" and keep {FEW_FIELDS} of the {len(said.fields)} fields'
        )


def refuse_leaks(said: RecipeFile, trained: Trained, found: Report) -> None:
    """Refuse an AUC that answers at application do not reach, with the fields that it comes from."""
    auc = max(float(row["auc"]) for row in found.rows if row["model"] == RELEASE)
    if auc <= SUSPICIOUS or said.accept_auc:
        return
    alone = sorted(of_one_field(trained).items(), key=lambda one: -one[1])[:5]
    listed = ", ".join(f"{name} ({value:.3f})" for name, value in alone)
    raise Refused(
        f"{said.file}: the AUC is {auc:.3f}. That is more than answers at application tell: a field, or several "
        f"together, may have been written after the outcome was known. Of the fields alone: {listed}. Leave such a "
        'field out, or say why it is honest: model.accept_auc = "why"'
    )


def of_one_field(trained: Trained) -> dict[str, float]:
    """The AUC of each field alone, in folds of small trees."""
    sample = some(trained.sample, CHECKED)
    found = {}
    for at, field in enumerate(trained.form.fields):
        recipe = replace(
            trained.recipe, monotone={}, kind=TREES, teacher=False, half_life=None, folds=3,
            parameters={"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3},
        )  # fmt: skip
        alone = replace(sample, rows=sample.values[:, [at]].astype(np.float32))
        (_, p), *_ = cross_validate(recipe, (field.name,), alone, 1)
        found[field.name] = float(roc_auc_score(sample.bad, p))
    return found


def some(sample: Sample, most: int) -> Sample:
    """At most so many of the loans, the same ones every time."""
    if len(sample) <= most:
        return sample
    return sample.at(np.sort(np.random.default_rng(0).permutation(len(sample))[:most]))


def directions(trained: Trained) -> dict[str, Any]:
    """What the directions cost, one by one and together, and whether every answer keeps to them in the release.

    AUC of one repeat of folds without directions, with each alone, and with all. A field's `worst` is how far a PD
    moved the wrong way (0..1) as its answer went through the range, all others as they are.
    """
    recipe, sample = trained.recipe, some(trained.sample, CHECKED)
    if not recipe.monotone or recipe.kind == SCORECARD:
        return {"without": None, "together": None, "columns": [], "answers": answers_keep(trained)}

    def auc(monotone: Mapping[str, int]) -> float:
        one = replace(recipe, monotone=monotone, teacher=False)
        (_, p), *_ = cross_validate(one, trained.builder.columns, sample, 1)
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
    found = []
    for at, field in enumerate(trained.form.fields):
        sign = trained.recipe.constraint(field.name)
        if not sign or not isinstance(field, NumberField):
            continue
        steps = np.unique(
            np.quantile(values[:, at][~np.isnan(values[:, at])], np.linspace(0, 1, STEPS), method="nearest")
        )
        swept = []
        for step in steps:
            moved = values.copy()
            moved[:, at] = step
            swept.append(pds(trained, moved))
        against = -sign * np.diff(np.stack(swept), axis=0)
        found.append(
            {"field": field.name, "sign": sign, "worst": float(max(0.0, against.max())) if len(against) else 0.0}
        )
    return found


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
        for label, there in groups_of(loans.looked_at[name].tolist()):
            if there.sum() < FEWEST_OF_GROUP:
                few.append(label)
                continue
            bad, own = loans.bad[there], p[there]
            rows.append({
                "group": label, "loans": int(there.sum()), "bad_rate": float(bad.mean()),
                "interval": list(wilson(float(bad.sum()), float(len(bad)))), "mean_pd": float(own.mean()),
                "approved": float((own < cut).mean()),
                "auc": float(roc_auc_score(bad, own)) if len(np.unique(bad)) == 2 else None,
            })  # fmt: skip
        most = max((float(row["approved"]) for row in rows), default=0.0)
        for row in rows:
            row["ratio"] = row["approved"] / most if most else None
        tables.append({"column": name, "groups": rows, "few": few})
    return tables


def judged(trained: Trained) -> tuple[Loans, Floats]:
    """Loans that the model had not seen, and their PDs (m,): later ones, else those of the folds."""
    recipe = trained.recipe
    if recipe.later:
        ((start, until),) = recipe.later.values()
        loans = trained.loans.where((trained.loans.months >= start) & (trained.loans.months < until))
        return loans, pds(trained, trained.form.encode(loans.answers))
    at = trained.unseen[0][0]
    start, _, end = recipe.window or (0, 0, 1)
    inside = (
        trained.loans.where((trained.loans.months >= start) & (trained.loans.months < end))
        if recipe.window
        else trained.loans
    )
    chosen = np.zeros(len(inside), bool)
    chosen[at] = True
    p = np.mean([trained.calibration.pds(one) for _, one in trained.unseen], axis=0)
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
            there = (number >= low) & ((number < high) | (high == edges[-1]))
            yield f"{low:,.6g} to {high:,.6g}", there
        return
    held = np.array(texts)
    for value in distinct:
        yield value, held == value


def plain(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def summary(made: Made) -> str:
    """What a training found, for a person at a terminal."""
    taken, rows = made.taken, made.report.rows
    lines = [f"{len(taken.loans):,} of {taken.lines:,} loans, {int(taken.loans.bad.sum()):,} bad."]
    if taken.undecided:
        lines.append(f"Neither good nor bad: {sum(taken.undecided.values()):,} loans.")
    if taken.left_out:
        lines.append(f"Left out, since the form could not give them: {taken.share_left_out:.1%}.")
        lines += [f"  {count:>9,}  {why}" for why, count in sorted(taken.left_out.items(), key=lambda one: -one[1])]
    nested = made.trained.recipe.lender.draft.get("nested_auc") if made.trained.recipe.lender else None
    if nested is not None:
        lines.append(
            f"AUC with the fields chosen inside the folds (from the draft): {nested:.3f}. That is the one to expect."
        )
    lines += ["", made.report.text, ""]
    if not any(row["model"] == ALL_COLUMNS for row in rows):
        lines.append("No column is left that the form does not ask: nothing beside it.")
    lines.append(f"{made.release.folder}: digest {made.release.digest}")
    lines.append(f"Serve it: TENFOLD_RELEASE={made.release.folder} python app.py")
    lines.append("It is a draft, and says so, until a manager who did not make it puts it into service: page Releases.")
    return "\n".join(lines)

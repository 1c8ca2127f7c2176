"""Where the PD can go: a seeded search over the form, and bounds that no answer can pass.

Both look at answers within their usual ranges; any other is referred whatever its PD.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.fields import NumberField
from inference.scorer import Scorer
from models.adoption.computed import Span
from models.adoption.fields_file import FieldsFile
from models.adoption.folding import decimals
from models.adoption.trees import Forest

Floats = npt.NDArray[np.float64]
FLAGS = (0.0, 1.0)  # what a column of a choice holds
MOST_LEVELS = 64  # of one field
EVEN_LEVELS = 33  # of a field that arithmetic takes
RANDOM, STARTS, ROUNDS = 512, 16, 10


@dataclass(frozen=True, slots=True)
class Extreme:
    """The application with the lowest or the highest PD that was found, and its decision."""

    application: Application
    pd: float
    decision: str


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the PD was found to go, how far it can go at most, and what the policy makes of it."""

    lowest: Extreme
    highest: Extreme
    referred: bool  # whether an application was found that is referred
    bounds: tuple[float, float]  # no PD of usual answers lies outside


def reach(scorer: Scorer, fields: FieldsFile, forest: Forest, seed: int = 0) -> Reach:
    """Search the form by the release's own rows, engine and policy; deterministic.

    From random applications and corners of the form, the best of which climb.
    """
    search = Search(scorer, all_levels(fields, forest))
    random = np.random.default_rng(seed)
    drawn = search.draw(random, RANDOM)
    corners = np.where(random.random(drawn.shape) < 0.5, search.first, search.last)
    starts = np.concatenate([drawn, corners])
    order = np.argsort(search.pds(starts), kind="stable")
    lowest = search.climb(starts[order[:STARTS]], -1)
    highest = search.climb(starts[order[-STARTS:]], +1)
    low, high = ranges(fields, forest.n_columns)
    calibrated = scorer.release.calibration.pds(np.array(forest.bounds(low, high)))
    return Reach(lowest, highest, search.referred or leaves_usual(fields), (float(calibrated[0]), float(calibrated[1])))


class Search:
    """Applications tried in batches; `levels` holds the encoded answers to try, one sorted array a field."""

    def __init__(self, scorer: Scorer, levels: Sequence[Floats]) -> None:
        self.scorer, self.levels = scorer, levels
        self.first = np.array([answers[0] for answers in levels])
        self.last = np.array([answers[-1] for answers in levels])
        self.referred = False

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """Random applications, (count, n_fields)."""
        return np.stack([random.choice(answers, count) for answers in self.levels], axis=1)

    def pds(self, values: Floats) -> Floats:
        """Their PDs (m,); remembers whether one lies in the refer band."""
        pds, policy = self.scorer.pds(values), self.scorer.release.policy
        refer_from, decline_from = policy.cutoffs_of_many(values)
        self.referred = self.referred or bool(((pds >= refer_from) & (pds <= decline_from)).any())
        return pds

    def climb(self, starts: Floats, sign: int) -> Extreme:
        """Coordinate ascent (sign +1) or descent (-1): each field in turn to its best level, until nothing moves."""
        current, best = starts.copy(), sign * self.pds(starts)
        for _ in range(ROUNDS):
            before = best
            for position, levels in enumerate(self.levels):
                trial = np.repeat(current, len(levels), axis=0)
                trial[:, position] = np.tile(levels, len(current))
                signed = (sign * self.pds(trial)).reshape(len(current), len(levels))
                current[:, position] = levels[signed.argmax(axis=1)]
                best = signed.max(axis=1)
            if (best <= before).all():
                break
        application = Application(tuple(current[int(best.argmax())].tolist()))
        # The last word has the sentence that scores every applicant, not the batch.
        score = self.scorer.score(self.scorer.release.form.answers(application))
        return Extreme(application, score.pd, score.decision)


def all_levels(fields: FieldsFile, forest: Forest) -> list[Floats]:
    """For each field the usual answers that the model can tell apart, not stated among them."""
    thresholds = forest.thresholds()
    places = {name: index for index, name in enumerate(fields.builder.columns)}
    own = fields.number_columns
    return [
        levels(
            field,
            thresholds[places[own[field.name]]] if field.name in own else np.zeros(0, np.float32),
            EVEN_LEVELS if field.name in fields.computed.operands else 2,
        )
        if isinstance(field, NumberField)
        else np.arange(len(field.choices), dtype=np.float64)
        for field in fields.form.fields
    ]


def levels(field: NumberField, thresholds: npt.NDArray[np.float32], even: int) -> Floats:
    """Sorted: the ends and each threshold with what lies just below it, thinned evenly where too many; then NaN.

    `even` numbers from end to end are among them: where arithmetic takes the answer, no threshold is known for it.
    """
    low, high = field.usual
    if field.whole:
        above = np.ceil(thresholds.astype(np.float64))
        below = above - 1
        low, high = np.ceil(low), np.floor(high)
    else:
        above = thresholds.astype(np.float64)
        below = decimals(np.nextafter(thresholds, np.float32(-np.inf)))
    between = np.linspace(low, high, even)
    answers = np.unique(np.concatenate([np.round(between) if field.whole else between, above, below]))
    answers = answers[(answers >= low) & (answers <= high)]
    if len(answers) > MOST_LEVELS:
        answers = answers[np.linspace(0, len(answers) - 1, MOST_LEVELS).round().astype(int)]
    return np.append(answers, np.nan) if field.optional else answers


def ranges(fields: FieldsFile, n_columns: int) -> tuple[list[float], list[float]]:
    """What each column can hold with usual answers: 0 and 0 where the form never sets it."""
    low, high = [0.0] * n_columns, [0.0] * n_columns
    places = {name: index for index, name in enumerate(fields.builder.columns)}
    spans: dict[str, Span] = {}
    for field in fields.form.fields:
        if isinstance(field, NumberField):
            spans[field.name] = Span(float(field.usual[0]), float(field.usual[1]), field.optional)
        for column in fields.columns[field.name]:
            least, most = field.usual if isinstance(field, NumberField) else FLAGS
            if isinstance(field, NumberField) and field.optional:
                unstated = fields.unstated.get(field.name, 0.0)
                least, most = min(least, unstated), max(most, unstated)
            elif field.name in fields.codes:
                numbers = fields.codes[field.name].values()
                least, most = min(*numbers, 0.0), max(*numbers, 0.0)
            low[places[column]], high[places[column]] = float(np.float32(least)), float(np.float32(most))
    for column, span in fields.computed.spans(spans).items():
        least, most = (min(span.low, 0.0), max(span.high, 0.0)) if span.undefined else (span.low, span.high)
        low[places[column]], high[places[column]] = float(np.float32(least)), float(np.float32(most))
    return low, high


def leaves_usual(fields: FieldsFile) -> bool:
    """Whether the form takes unusual answers, which are referred."""
    numbers = [field for field in fields.form.fields if isinstance(field, NumberField)]
    return any(field.usual != (field.minimum, field.maximum) for field in numbers)

"""`python -m models adopt`: a release from an XGBoost model that was trained elsewhere. See ADOPT.md."""

import argparse
import hashlib
import json
import platform
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inference.engines import XGBoostEngine
from inference.errors import TenfoldError
from inference.fields import ChoiceField, NumberField
from inference.manifest import FORMAT
from inference.release import MODEL, ONNX, Release
from inference.scorer import Scorer
from models.adoption.checks import FAILS, Verdict, verdicts
from models.adoption.computed import MISSING
from models.adoption.draft import draft
from models.adoption.fields_file import (
    BadFields,
    FieldsFile,
    ModelInputs,
    computed_names,
    read_features,
    read_fields,
)
from models.adoption.folding import decimals, fix, refold, turn_round
from models.adoption.kinds import Kept, look
from models.adoption.past_loans import measured, read_loans
from models.adoption.trees import Forest, UnfitModel, read_forest
from models.adoption.unpickle import About, BadPickle, Converted, convert
from models.export import LIBRARIES, as_onnx, golden, write_release
from models.model_card.card import CARD

COMPARED = 512  # applications that pickle and release both score
LEFT_OPEN = 0.1  # share of them that leaves an optional answer open
SECONDS = 120.0
INDENT = textwrap.TextWrapper(width=100, initial_indent=" " * 8, subsequent_indent=" " * 10)
UNFIT = {  # before the notice, which stands under every score, of a release made by --force
    "en": "Not fit for use: it failed the checks of its adoption (see the model card).",
    "fr": "Impropre à l’usage : les contrôles faits à sa reprise ont échoué (voir la fiche du modèle).",
}
WARNING = """\
{file} is a pickle: loading it runs whatever code is in it, with all that you may do on this machine.
Load it only if you know who made it, and that it has not changed since. Its sha256 is

    {digest}

Compare that with what its maker says, and give it back: {option} {digest}
It is then loaded once, in a process of its own. That process is no sandbox: it reads what you may read."""


class Adoption(NamedTuple):
    """What adopting a model gave."""

    verdicts: list[Verdict]
    source: str  # what the file held
    release: Release | None  # None: a verdict fails, and nobody insisted

    @property
    def fails(self) -> bool:
        """Whether a verdict fails."""
        return any(verdict.outcome == FAILS for verdict in self.verdicts)


class WrongDigest(TenfoldError):
    """A pickle's digest was not given, or is another. Nothing was loaded."""


def add_command(commands: Any) -> None:
    """Add `adopt` to the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "adopt",
        help="make a release from an XGBoost model that was trained elsewhere, and say what is wrong with it",
        epilog="Exit status: 0 a release or a draft was made; 1 a verdict fails, no release unless --force; 2 it "
        "cannot be adopted, or its sha256 was not given. models/adoption/ADOPT.md explains all of it.",
    )
    parser.add_argument("model", type=Path, help="a native .json or .ubj, a pickle, or a folder that MLflow saved")
    parser.add_argument(
        "features", type=Path, nargs="?", help="its features in order, one name a line or JSON; not needed where the "
        "model names them",
    )  # fmt: skip
    parser.add_argument(
        "fields", type=Path, nargs="?", help="the form, the threshold and what each answer sets (.toml)"
    )
    parser.add_argument("--draft", action="store_true", help="write the fields file, to be corrected, and no release")
    parser.add_argument("--sha256", metavar="DIGEST", help="a pickle's digest; without it, it is printed")
    parser.add_argument(
        "--steps", type=Path, metavar="FILE", help="a pickle of what stands before the model (a scaler)"
    )
    parser.add_argument("--steps-sha256", metavar="DIGEST", help="its digest")
    parser.add_argument("--loans", type=Path, metavar="FILE", help="past loans to measure it on, with outcomes (CSV)")
    parser.add_argument("--into", type=Path, default=Path(), metavar="FOLDER", help="where the release goes (here)")
    parser.add_argument("--force", action="store_true", help="make the release even where a verdict fails; it says so")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help="for loading (%(default)g)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """The command: prints the verdicts, or on stderr why it gives none; the exit status."""
    features, fields = given.features, given.fields
    if fields is None and features is not None and features.suffix.lower() == ".toml":
        features, fields = None, features
    try:
        source = Source.of(given.model, given.sha256, given.steps, given.steps_sha256)
        if given.draft:
            file = write_draft(source, features, given.into, given.timeout)
            print(f"{file}: read every line, answer what is marked ASK, then adopt with it.")
            return 0
        if fields is None:
            raise UnfitModel(
                "a fields file is needed (.toml), the form of the model: "
                f"tenfold adopt --draft {given.model} writes one to be corrected"
            )
        adoption = adopt_source(
            source, features, fields, given.into, loans=given.loans, force=given.force, seconds=given.timeout
        )
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:  # of the folder that the release goes into
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(json.dumps(as_json(adoption), indent=2, ensure_ascii=False) if given.json else as_text(adoption))
    return 1 if adoption.fails else 0


class Source(NamedTuple):
    """A model's file that may be loaded, with what stands before it."""

    model: Kept
    steps: bytes | None

    @classmethod
    def of(
        cls, model: Path, sha256: str | None, steps: Path | None = None, steps_sha256: str | None = None
    ) -> "Source":
        """Looks at the kind first. Raises `WrongKind`, or `WrongDigest` for a pickle of another digest than given."""
        looked_at = look(model)
        if not looked_at.native:
            trusted(looked_at.file, looked_at.content, sha256, "--sha256")
        if steps is None:
            return cls(looked_at, None)
        try:
            content = steps.read_bytes()
        except OSError as error:
            raise WrongDigest(f"{steps}: {error.strerror}") from None
        trusted(steps, content, steps_sha256, "--steps-sha256")
        return cls(looked_at, content)

    def opened(self, names: Sequence[str] | None, rows: Any, seconds: float, computed: Sequence[str] = ()) -> Converted:
        """What comes out of it, in a process of its own."""
        try:
            return convert(
                self.model.content, rows, seconds, native=self.model.native, steps=self.steps, names=names,
                computed=computed,
            )  # fmt: skip
        except BadPickle as error:
            raise BadPickle(f"{self.model.file}: {error}") from None


def adopt(
    model: Path,
    features: Path | None,
    fields: Path,
    sha256: str | None,
    into: Path,
    *,
    loans: Path | None = None,
    force: bool = False,
    seconds: float = SECONDS,
    steps: Path | None = None,
    steps_sha256: str | None = None,
) -> Adoption:
    """Load, convert, check, and write the release into the folder `into`.

    `features` is None where the model names its own. Raises `TenfoldError` of one kind or another where the model, the
    features or the fields cannot be used.
    """
    source = Source.of(model, sha256, steps, steps_sha256)
    return adopt_source(source, features, fields, into, loans=loans, force=force, seconds=seconds)


def adopt_source(
    source: Source,
    features: Path | None,
    fields: Path,
    into: Path,
    *,
    loans: Path | None = None,
    force: bool = False,
    seconds: float = SECONDS,
) -> Adoption:
    """The same of a file that was looked at."""
    listed = None if features is None else read_features(features)
    if not fields.is_file():
        raise BadFields(f"{fields}: No such file")
    computed = computed_names(fields)
    first = source.opened(listed, None, seconds, computed)
    file, about = source.model.file, first.about
    try:
        booster, names = columns_of(first, listed, features)
        form = read_fields(fields, names, ModelInputs(about.codes, about.fills, about.functions))
        past = None if loans is None else read_loans(loans, form.form)
        values = applications(form)
        expected = source_probabilities(source, form, names, listed, values, seconds, computed)
        turned, forest = rewritten(booster, form, names)
    except (BadPickle, UnfitModel) as error:
        raise type(error)(f"{file}: {error}") from None
    origin = booster.attr("source")
    manifest = {
        **form.manifest,
        "format": FORMAT,
        "columns": [{"name": name, "index": index, "monotone": 0} for index, name in enumerate(form.builder.columns)],
        "population": None,
        "training": {
            "adopted": what_was_adopted(source, form, about, origin),
            "libraries": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        },
        "golden": [],
    }
    files = {MODEL: model_bytes(turned)}
    with TemporaryDirectory(prefix="adopt-") as folder:
        release = write_release(manifest, files, Path(folder))
        engine = XGBoostEngine(release)
        scorer = Scorer(release, engine)
        checked = verdicts(scorer, form, forest, values, expected, named=about.names is not None)
        difference = checked[0].figures["difference"]
        if (about.folded or form.unasked or form.reads is not None) and not form.good and difference != 0:
            raise UnfitModel(
                f"{file}: with what was done to its inputs in its trees it differs by up to {difference:.2g} from what "
                "it says itself, and must not differ at all. Train it on the raw values"
            )
        manifest["golden"] = golden(form.form, scorer.pds)
        if past is not None:
            learnt = next(verdict for verdict in checked if verdict.question == "missing values").figures
            missing = [*learnt["optional"], *learnt["unasked"]]
            manifest["population"], verdict = measured(scorer, past, missing, good=form.good)
            checked.append(verdict)
        files[ONNX] = as_onnx(engine.classifier)
    adoption = Adoption(checked, f"{source.model.kind}: {origin}" if source.model.native else origin, None)
    if adoption.fails:
        if not force:
            return adoption
        manifest["notice"] = {language: f"{UNFIT[language]} {text}" for language, text in manifest["notice"].items()}

    def card(release: Release) -> dict[str, bytes]:
        """The card lies in the release before it has its final name: none is ever seen without its card."""
        return {CARD: as_card(adoption, release).encode()}

    return adoption._replace(release=write_release(manifest, files, into, card))


def rewritten(booster: Any, form: FieldsFile, names: Sequence[str]) -> tuple[Any, Forest]:
    """The booster that the release serves, which reads its columns, and its trees as the checks read them."""
    seen_missing = read_forest(booster).seen_missing
    if not form.unasked and not form.good and form.reads is None:
        return booster, read_forest(booster)
    model = json.loads(booster.save_raw("json"))
    fix(model, {names.index(name): value for name, value in form.unasked.items()})
    if form.good:
        turn_round(model)
    if form.reads is not None:
        refold(model, form.reads, form.builder.columns)
        seen_missing = frozenset(
            form.reads[column].column for column in seen_missing if form.reads[column].missing_below is None
        )
    turned = booster_of_json(model)
    return turned, replace(read_forest(turned), seen_missing=seen_missing)


def what_was_adopted(source: Source, form: FieldsFile, about: About, origin: str) -> dict[str, Any]:
    """Where a release comes from, as its manifest says."""
    adopted: dict[str, Any] = {
        "file": source.model.file.name,
        "sha256": hashlib.sha256(source.model.content).hexdigest(),
        "source": origin,
    }
    if about.steps:
        adopted["steps"] = list(about.steps)
    if form.unasked:
        adopted["unasked"] = {name: MISSING if value is None else value for name, value in form.unasked.items()}
    if form.missing:
        adopted["missing"] = sorted(form.missing)
    if columns := [*form.computed.columns, *form.computed.functions, *form.computed.bands]:
        adopted["computed"] = columns
    if form.good:
        adopted["positive"] = "good"
    return adopted


def columns_of(first: Converted, listed: Sequence[str] | None, features: Path | None) -> tuple[Any, list[str]]:
    """The booster, and the columns of its rows: as the model names them, else as the list does."""
    booster = read_booster(first.model)
    if first.about.folded or first.about.choices:
        return booster, list(first.about.names or ())
    if listed is not None and features is not None:
        match_features(booster, listed, features)
        return booster, list(listed)
    if first.about.names is None:
        raise UnfitModel("it names no features: give a list of them, one name a line in the order of its columns")
    if booster.num_features() != len(first.about.names):
        raise UnfitModel(f"it has {booster.num_features()} features, and {len(first.about.names)} are named beside it")
    return booster, list(first.about.names)


def source_probabilities(
    source: Source,
    form: FieldsFile,
    names: Sequence[str],
    listed: Sequence[str] | None,
    values: Any,
    seconds: float,
    computed: Sequence[str],
) -> npt.NDArray[np.float32]:
    """The probabilities of the applications by the file itself, from its own columns: before anything is rewritten."""
    predicted = source.opened(listed, form.model_rows(names, values), seconds, computed).probabilities
    if predicted is None or predicted.shape != (COMPARED,):
        raise BadPickle("the process that loaded it gave no probabilities beside the model")
    return 1 - predicted if form.good else predicted


def write_draft(source: Source, features: Path | None, into: Path, seconds: float) -> Path:
    """A fields file drafted from the model, in the folder; one that is there is not written over."""
    listed = None if features is None else read_features(features)
    first = source.opened(listed, None, seconds)
    try:
        booster, names = columns_of(first, listed, features)
        text = draft(names, read_forest(booster), first.about, source.model.file.stem)
    except UnfitModel as error:
        raise UnfitModel(f"{source.model.file}: {error}") from None
    file = into / f"{source.model.file.stem}.toml"
    try:
        into.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise BadFields(f"{file} is there already, and is not written over: move it, or say --into") from None
    return file


def trusted(file: Path, content: bytes, sha256: str | None, option: str) -> None:
    """Raise `WrongDigest` unless the digest of these bytes, which are loaded later, is the one given."""
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is None:
        raise WrongDigest(WARNING.format(file=file, digest=digest, option=option))
    if sha256.lower() != digest:
        raise WrongDigest(
            f"{file}: expected sha256 {sha256}, found {digest}. It was not loaded. Get the file again from its maker"
        )


def read_booster(content: bytes) -> Any:
    """The Booster that the child wrote. XGBoost checks no model file: it is as trusted as what was loaded."""
    from xgboost import Booster
    from xgboost.core import XGBoostError

    try:
        return Booster(model_file=bytearray(content))
    except XGBoostError as error:
        raise BadPickle(f"XGBoost cannot read the model it gave: {str(error).splitlines()[0]}") from None


def booster_of_json(model: dict[str, Any]) -> Any:
    """A Booster from its JSON."""
    return read_booster(json.dumps(model).encode())


def model_bytes(booster: Any) -> bytes:
    """The model without its columns' names, which the manifest holds: engines number columns."""
    booster.feature_names = None
    booster.feature_types = None
    return bytes(booster.save_raw("ubj"))


def match_features(booster: Any, names: Sequence[str], file: Path) -> None:
    """Refuse a feature list that is not the model's: one out of step would put answers into other columns."""
    if booster.num_features() != len(names):
        raise UnfitModel(f"the model has {booster.num_features()} features, and {file} names {len(names)}")
    for line, (has, named) in enumerate(zip(booster.feature_names or names, names, strict=True), 1):
        if has != named:
            raise UnfitModel(f"feature {line} of the model is {has}, and line {line} of {file} says {named}")


def applications(fields: FieldsFile, seed: int = 2) -> Any:
    """Encoded applications (COMPARED, n_fields) from all over the form, the example first."""
    random = np.random.default_rng(seed)
    columns = []
    for field in fields.form.fields:
        if isinstance(field, ChoiceField):
            columns.append(random.integers(len(field.choices), size=COMPARED).astype(np.float64))
        elif isinstance(field, NumberField):
            drawn = random.uniform(*field.usual, COMPARED)
            drawn = decimals(drawn.astype(np.float32)).clip(field.minimum, field.maximum)
            columns.append(np.clip(np.round(drawn), field.minimum, field.maximum) if field.whole else drawn)
            if field.optional:
                columns[-1][random.random(COMPARED) < LEFT_OPEN] = np.nan
    values = np.stack(columns, axis=1)
    values[0] = fields.form.parse(fields.form.example).values
    return values


def as_text(adoption: Adoption) -> str:
    """The verdicts for a person at a terminal."""
    lines = [f"The model: {adoption.source}.", ""]
    for verdict in adoption.verdicts:
        outcome = verdict.outcome.upper() if verdict.outcome == FAILS else verdict.outcome
        lines.append(f"{outcome:<7} {verdict.question}")
        lines += [line for text in verdict.text.split("\n") for line in INDENT.wrap(text)]
    lines.append("")
    if adoption.release is None:
        lines.append("No release was made, since a verdict fails. --force makes one that says so under every score.")
    else:
        lines.append(f"{adoption.release.folder}: digest {adoption.release.digest}")
        lines.append(f"Serve it: TENFOLD_RELEASE={adoption.release.folder} python app.py")
    return "\n".join(lines)


def as_json(adoption: Adoption) -> dict[str, Any]:
    """The same for a machine, with the applications behind the figures."""
    release = adoption.release
    return {
        "source": adoption.source,
        "verdicts": [verdict._asdict() for verdict in adoption.verdicts],
        "release": release and {"folder": str(release.folder), "digest": release.digest},
    }


def as_card(adoption: Adoption, release: Release) -> str:
    """The model card of an adopted release: what is known of it, which is its verdicts."""
    manifest = release.manifest
    training: dict[str, Any] = manifest.training
    about = training["adopted"]
    sections = [
        f"### {verdict.question}: {verdict.outcome}\n\n" + verdict.text.replace("\n", "\n\n")
        for verdict in adoption.verdicts
    ]
    return (
        f"# Model card: {manifest.title.en}\n\n{manifest.notice.en}\n\n"
        f"- Release `{release.name}`, dated {manifest.date}\n"
        f"- Adopted from `{about['file']}`, sha256 `{about['sha256']}`: {about['source']}, "
        f"{len(manifest.columns)} features\n"
        "- Training loans and their window: not known here\n\n"
        "## What its adoption found\n\n" + "\n\n".join(sections) + "\n"
    )

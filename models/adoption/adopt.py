"""`python -m models adopt`: a release from an XGBoost model that was trained elsewhere. See ADOPT.md."""

import argparse
import hashlib
import json
import platform
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inference.blocks import Matrix
from inference.engines import XGBoostEngine
from inference.errors import TenfoldError
from inference.fields import ChoiceField, NumberField
from inference.manifest import FORMAT
from inference.release import MODEL, ONNX, Release
from inference.scorer import Scorer
from models.adoption.checks import FAILS, Verdict, verdicts
from models.adoption.fields_file import FieldsFile, read_features, read_fields
from models.adoption.past_loans import measured, read_loans
from models.adoption.trees import UnfitModel, read_forest
from models.adoption.unpickle import BadPickle, convert
from models.export import LIBRARIES, as_onnx, golden, put_file, write_release
from models.model_card.card import CARD

COMPARED = 512  # applications that pickle and release both score
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

Compare that with what its maker says, and give it back: --sha256 {digest}
It is then loaded once, in a process of its own. That process is no sandbox: it reads what you may read."""


class Adoption(NamedTuple):
    """What adopting a model gave."""

    verdicts: list[Verdict]
    source: str  # what the pickle held
    release: Release | None  # None: a verdict fails, and nobody insisted

    @property
    def fails(self) -> bool:
        """Whether a verdict fails."""
        return any(one.outcome == FAILS for one in self.verdicts)


class WrongDigest(TenfoldError):
    """The pickle's digest was not given, or is another. Nothing was loaded."""


def add_command(commands: Any) -> None:
    """Add `adopt` to the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "adopt",
        help="make a release from an XGBoost pickle that was trained elsewhere, and say what is wrong with it",
        epilog="Exit status: 0 a release was made; 1 a verdict fails, no release unless --force; 2 it cannot be "
        "adopted, or its sha256 was not given. models/adoption/ADOPT.md explains all of it.",
    )
    parser.add_argument("pickle", type=Path, help="an XGBClassifier or Booster, by joblib.dump or pickle.dump")
    parser.add_argument("features", type=Path, help="the model's features in order, one name a line")
    parser.add_argument("fields", type=Path, help="the form, the threshold and what each answer sets (TOML)")
    parser.add_argument("--sha256", metavar="DIGEST", help="the pickle's digest; without it, it is printed")
    parser.add_argument("--loans", type=Path, metavar="FILE", help="past loans to measure it on, with outcomes (CSV)")
    parser.add_argument("--into", type=Path, default=Path(), metavar="FOLDER", help="where the release goes (here)")
    parser.add_argument("--force", action="store_true", help="make the release even where a verdict fails; it says so")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help="for loading (%(default)g)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """The command: prints the verdicts, or on stderr why it gives none; the exit status."""
    try:
        found = adopt(
            given.pickle, given.features, given.fields, given.sha256, given.into,
            loans=given.loans, force=given.force, seconds=given.timeout,
        )  # fmt: skip
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:  # of the folder that the release goes into
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(json.dumps(as_json(found), indent=2, ensure_ascii=False) if given.json else as_text(found))
    return 1 if found.fails else 0


def adopt(
    pickle: Path,
    features: Path,
    fields: Path,
    sha256: str | None,
    into: Path,
    *,
    loans: Path | None = None,
    force: bool = False,
    seconds: float = SECONDS,
) -> Adoption:
    """Load, convert, check, and write the release into the folder `into`.

    Raises `TenfoldError` of one kind or another where the pickle, the features or the fields cannot be used.
    """
    content = trusted(pickle, sha256)
    names = read_features(features)
    said = read_fields(fields, names)
    past = None if loans is None else read_loans(loans, said.form)
    values = applications(said)
    try:
        booster, expected = opened(content, said.builder.build(values), seconds)
        match_features(booster, names, features)
        forest = read_forest(booster)
        if expected.shape != (COMPARED,):
            raise BadPickle("the process that loaded it gave no probabilities beside the model")
    except (BadPickle, UnfitModel) as error:
        raise type(error)(f"{pickle}: {error}") from None
    source = booster.attr("source")
    manifest = {
        **said.manifest,
        "format": FORMAT,
        "columns": [{"name": name, "index": at, "monotone": 0} for at, name in enumerate(names)],
        "population": None,
        "training": {
            "adopted": {"file": pickle.name, "sha256": hashlib.sha256(content).hexdigest(), "source": source},
            "libraries": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        },
        "golden": [],
    }
    files = {MODEL: model_bytes(booster)}
    with TemporaryDirectory(prefix="adopt-") as folder:
        release = write_release(manifest, files, Path(folder))
        engine = XGBoostEngine(release)
        scorer = Scorer(release, engine)
        found = verdicts(scorer, said, forest, values, expected)
        manifest["golden"] = golden(said.form, scorer.pds)
        if past is not None:
            manifest["population"], verdict = measured(scorer, past)
            found.append(verdict)
        files[ONNX] = as_onnx(engine.classifier)
    adoption = Adoption(found, source, None)
    if adoption.fails:
        if not force:
            return adoption
        manifest["notice"] = {language: f"{UNFIT[language]} {text}" for language, text in manifest["notice"].items()}
    release = write_release(manifest, files, into)
    adoption = adoption._replace(release=release)
    put_file(release.folder / CARD, as_card(adoption).encode())
    return adoption


def trusted(pickle: Path, sha256: str | None) -> bytes:
    """The pickle's bytes if their digest is the one given; these same bytes are loaded later."""
    try:
        content = pickle.read_bytes()
    except OSError as error:
        raise WrongDigest(f"{pickle}: {error.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is None:
        raise WrongDigest(WARNING.format(file=pickle, digest=digest))
    if sha256.lower() != digest:
        raise WrongDigest(
            f"{pickle}: expected sha256 {sha256}, found {digest}. It was not loaded. Get the file again from its maker"
        )
    return content


def opened(content: bytes, rows: Matrix, seconds: float) -> tuple[Any, npt.NDArray[np.float32]]:
    """The Booster in a pickle, and the pickled object's probabilities of the rows; none where its columns are others.

    XGBoost checks no model file: what the child wrote is as trusted as the pickle was.
    """
    from xgboost import Booster
    from xgboost.core import XGBoostError

    converted = convert(content, rows, seconds)
    try:
        booster = Booster(model_file=bytearray(converted.model))
    except XGBoostError as error:
        raise BadPickle(f"XGBoost cannot read the model it gave: {str(error).splitlines()[0]}") from None
    if converted.probabilities is None:
        return booster, np.zeros(0, np.float32)
    return booster, converted.probabilities


def model_bytes(booster: Any) -> bytes:
    """The model without its columns' names, which the manifest holds: engines number columns."""
    booster.feature_names = None
    booster.feature_types = None
    return bytes(booster.save_raw("ubj"))


def match_features(booster: Any, names: Sequence[str], file: Path) -> None:
    """Refuse a feature list that is not the model's: one out of step would put answers into other columns."""
    if booster.num_features() != len(names):
        raise UnfitModel(f"the model has {booster.num_features()} features, and {file} names {len(names)}")
    for at, (has, named) in enumerate(zip(booster.feature_names or names, names, strict=True), 1):
        if has != named:
            raise UnfitModel(f"feature {at} of the model is {has}, and line {at} of {file} says {named}")


def applications(fields: FieldsFile, seed: int = 2) -> Any:
    """Encoded applications (COMPARED, n_fields) from all over the form, the example first."""
    random = np.random.default_rng(seed)
    columns = []
    for field in fields.form.fields:
        if isinstance(field, ChoiceField):
            columns.append(random.integers(len(field.choices), size=COMPARED).astype(np.float64))
        elif isinstance(field, NumberField):
            drawn = random.uniform(*field.usual, COMPARED)
            columns.append(np.clip(np.round(drawn), field.minimum, field.maximum) if field.whole else drawn)
    values = np.stack(columns, axis=1)
    values[0] = fields.form.parse(fields.form.example).values
    return values


def as_text(found: Adoption) -> str:
    """The verdicts for a person at a terminal."""
    lines = [f"The pickle holds: {found.source}.", ""]
    for one in found.verdicts:
        lines.append(f"{one.outcome.upper() if one.outcome == FAILS else one.outcome:<7} {one.question}")
        lines += [line for text in one.text.split("\n") for line in INDENT.wrap(text)]
    lines.append("")
    if found.release is None:
        lines.append("No release was made, since a verdict fails. --force makes one that says so under every score.")
    else:
        lines.append(f"{found.release.folder}: digest {found.release.digest}")
        lines.append(f"Serve it: TENFOLD_RELEASE={found.release.folder} python app.py")
    return "\n".join(lines)


def as_json(found: Adoption) -> dict[str, Any]:
    """The same for a machine, with the applications behind the figures."""
    release = found.release
    return {
        "source": found.source,
        "verdicts": [one._asdict() for one in found.verdicts],
        "release": release and {"folder": str(release.folder), "digest": release.digest},
    }


def as_card(found: Adoption) -> str:
    """The model card of an adopted release: what is known of it, which is its verdicts."""
    assert found.release is not None  # noqa: S101 - a card lies in a release
    manifest = found.release.manifest
    training: dict[str, Any] = manifest.training
    about = training["adopted"]
    sections = [f"### {one.question}: {one.outcome}\n\n" + one.text.replace("\n", "\n\n") for one in found.verdicts]
    return (
        f"# Model card: {manifest.title.en}\n\n{manifest.notice.en}\n\n"
        f"- Release `{found.release.name}`, dated {manifest.date}\n"
        f"- Adopted from `{about['file']}`, sha256 `{about['sha256']}`: {about['source']}, "
        f"{len(manifest.columns)} features\n"
        "- Training loans and their window: not known here\n\n"
        "## What its adoption found\n\n" + "\n\n".join(sections) + "\n"
    )

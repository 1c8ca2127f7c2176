"""A release is opened only when every byte is as it was; whatever is else is refused, by file."""

import hashlib
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parts import NAMES, choice, mutate, newest, number, restore, sampler, sealed, some

from inference.application import Form
from inference.engines import XGBoostEngine
from inference.errors import BadRelease
from inference.manifest import FORMAT, OLDEST
from inference.release import MODEL, TABLES, Release, open_release
from inference.scorer import Scorer
from inference.settings import RELEASES, default_release

Manifest = dict[str, Any]


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A release folder that a test may spoil."""
    return shutil.copytree(folder, tmp_path / folder.name)


def edited(folder: Path, edit: Callable[[Manifest], object]) -> Path:
    """The folder with its manifest edited and sealed again."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    edit(manifest)
    return sealed(folder, manifest)


def refused(folder: Path, digest: str | None = None) -> BadRelease:
    with pytest.raises(BadRelease) as caught:
        open_release(folder, digest)
    assert caught.value.expected
    return caught.value


# --- what opens ---


def test_the_default_release_is_there() -> None:
    """models/releases/DEFAULT names a release that opens, and these tests found it."""
    assert open_release(default_release()).manifest.name in NAMES


def test_a_release_is_named_by_the_digest_of_its_manifest(folder: Path, release: Release) -> None:
    """Digest and name are the sha256 of manifest.json, which is also the folder's name."""
    assert release.digest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert release.name == folder.name == f"{release.manifest.name}-{release.digest[:12]}"


def test_golden_applications_have_their_pd(scorer: Scorer) -> None:
    """The applications in the manifest score to the PDs beside them, within a millionth."""
    golden = scorer.release.manifest.golden
    assert len(golden) > 5
    for case in golden:
        assert scorer.score(case.answers).pd == pytest.approx(case.pd, abs=1e-6)


@pytest.mark.parametrize("length", [12, 20, 64])
def test_an_explicit_digest_opens_a_folder_of_any_name(copy: Path, release: Release, length: int) -> None:
    """With at least 12 hex digits of the expected digest given, the folder's name does not matter."""
    assert open_release(copy.rename(copy.with_name("any")), release.digest[:length]).digest == release.digest


def test_what_lies_beside_the_release_is_not_read(copy: Path, release: Release) -> None:
    """Other files in the folder, such as the model card, are outside the digest."""
    (copy / "MODEL_CARD.md").write_text("edited")
    assert open_release(copy).digest == release.digest


# --- what is altered ---


def test_a_missing_file_is_named(copy: Path) -> None:
    """Without one of its files a release is refused, and the error says which and what to do."""
    for name in ["manifest.json", *json.loads((copy / "manifest.json").read_bytes())["files"]]:
        (copy / name).rename(copy / "away")
        error = refused(copy)
        assert (error.file, error.actual) == (str(copy / name), "No such file or directory")
        assert "make train" in str(error)
        (copy / "away").rename(copy / name)


def test_an_altered_file_is_refused_by_its_name(copy: Path) -> None:
    """A byte more at the end of any of its files: the error names the file and the digest that was expected."""
    for name, entry in some(json.loads((copy / "manifest.json").read_bytes())["files"].items()):
        whole = (copy / name).read_bytes()
        (copy / name).write_bytes(whole + b"\0")
        error = refused(copy)
        assert (error.file, error.expected) == (str(copy / name), f"sha256 {entry['sha256']}")
        (copy / name).write_bytes(whole)
    assert open_release(copy)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A path to nothing, to a file or to a folder of another name is no release."""
    (tmp_path / "consumer-0123456789ab").write_text("a file")
    assert refused(tmp_path / "consumer-0123456789ab").actual == "Not a directory"
    assert refused(tmp_path / "gone-0123456789ab").actual == "No such file or directory"
    assert "folder named" in refused(tmp_path).expected


@pytest.mark.parametrize("name", ["consumer-000000000000", "consumer", "consumer-", "consumer-XYZ", "0" * 12])
def test_a_folder_of_another_name_is_refused(copy: Path, name: str) -> None:
    """A folder whose name does not end in its digest is refused."""
    refused(copy.rename(copy.with_name(name)))


@pytest.mark.parametrize("digest", ["0" * 64, "0" * 12, "abc", "", "g" * 64, "0" * 65])
def test_an_expected_digest_is_not_guessed(copy: Path, digest: str) -> None:
    """A digest that is another, too short or none at all is refused; an empty one means the folder's name."""
    if digest:
        refused(copy, digest)
    else:
        assert open_release(copy, digest)


def test_a_directory_in_place_of_a_file_is_refused(copy: Path) -> None:
    """A model that is a directory is named as what cannot be read."""
    (copy / MODEL).unlink()
    (copy / MODEL).mkdir()
    assert refused(copy).file.endswith(MODEL)


# --- what is whole, and still not a release: digests made to fit ---


@pytest.mark.parametrize("version", [0, FORMAT + 1, str(FORMAT), None, [FORMAT], True, 1.0])
def test_an_unknown_format_is_refused(copy: Path, version: object) -> None:
    """A manifest of another format version is refused before anything else of it is looked at."""

    def empty(manifest: dict[str, Any]) -> None:
        manifest.clear()
        manifest.update(format=version)

    error = refused(edited(copy, empty))
    assert (error.expected, error.actual) == (f"format {OLDEST} to {FORMAT}", f"format {version!r}")


# --- what applicants are told ---


def first_format(manifest: Manifest) -> None:
    """The manifest as the first format has it."""
    manifest["format"] = OLDEST
    for spec in manifest["fields"]:
        spec["notice"] = True
        del spec["reasons"]


@pytest.mark.slow
def test_a_release_of_the_first_format_still_opens(copy: Path, scorer: Scorer) -> None:
    """It has no texts for applicants, and scores as ever: old decisions are replayed with it."""
    old = open_release(edited(copy, first_format))
    assert [field.reasons for field in old.form.fields] == [()] * len(old.form.fields)
    assert len(old.form.fields) == 10
    golden = old.manifest.golden
    assert len(golden) > 5
    for case in golden:
        score = Scorer(old, XGBoostEngine(old), process=sampler()).score(case.answers)
        assert score.pd == pytest.approx(case.pd, abs=1e-6)


@pytest.mark.parametrize("name", ["consumer-9e127c0ee47d", "sba-d6e6fd9ccd1f"])
def test_the_releases_that_records_name_are_kept(name: str) -> None:
    """The two embedded ones of the first format open, for old records."""
    assert open_release(RELEASES / name).manifest.format == OLDEST


@pytest.mark.slow
def test_every_answer_that_can_raise_the_pd_has_a_text(copy: Path, release: Release) -> None:
    """Without any one of its plain texts a release is refused, and the error names field and answer."""
    refusals = 0
    for at, field in enumerate(release.form.fields):
        for reason in field.reasons:
            if reason.columns or reason.when not in (*field.adverse_kinds, "any"):
                continue  # a ratio, for which the plain text stands too, or the reference applicant's own answer

            def drop(manifest: Manifest, at: int = at, code: str = reason.code) -> None:
                listed = manifest["fields"][at]["reasons"]
                listed[:] = [one for one in listed if one["code"] != code]

            manifest = json.loads((copy / "manifest.json").read_bytes())
            copy = edited(copy, drop)
            assert f"no text for applicants for {field.name}/" in refused(copy).actual
            copy = sealed(copy, manifest)
            refusals += 1
    assert refusals > 15
    open_release(copy)


@pytest.mark.parametrize(
    "reason",
    [
        {"code": "odd", "when": "odd"},
        {"code": "any", "when": "any"},
        {"code": "odd", "when": "high"},
        {"code": "odd", "when": "high", "columns": ["nothing"]},
        {"code": "high", "when": "high"},
        {"code": "not_stated", "when": "not_stated", "columns": ["amount"]},
        {"code": "odd", "when": "high", "columns": ["amount"], "text": {"en": "No French"}},
        {"code": "odd", "when": "high", "columns": ["amount"], "text": {"en": "A", "fr": " "}},
        {"code": "odd", "when": "high", "columns": ["amount"], "text": None},
    ],
)
def test_a_reason_that_does_not_fit_is_refused(copy: Path, reason: Manifest) -> None:
    """One for no answer, of no column, listed twice, under another's code, or without words."""
    told = {"text": {"en": "A text", "fr": "Un texte"}, **reason}
    error = refused(edited(copy, lambda manifest: manifest["fields"][0]["reasons"].append(told)))
    assert error.actual.startswith("fields[0]")


def test_a_number_without_a_reference_is_neither_high_nor_low(copy: Path) -> None:
    """It is refused, since no text could say what is wrong with an answer."""
    error = refused(edited(copy, lambda manifest: manifest["fields"][0].update(reference=None)))
    assert error.actual.startswith("fields[0] (amount).reference: a number is needed")


@pytest.mark.parametrize(
    "key",
    [
        "format",
        "name",
        "files",
        "fields",
        "features",
        "columns",
        "calibration",
        "points",
        "policy",
        "title",
        "notice",
        "groups",
        "date",
        "golden",
        "population",
    ],
)
def test_a_manifest_that_lacks_a_part_is_refused(copy: Path, key: str) -> None:
    """Whatever scoring reads in a manifest must be there; the error names what is missing."""
    error = refused(edited(copy, lambda manifest: manifest.pop(key)))
    assert error.file.endswith("manifest.json")
    assert key in error.actual


@pytest.mark.slow
@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m["columns"].insert(0, m["columns"].pop(1)),
        lambda m: m["columns"].pop(),
        lambda m: m["columns"].append({"name": "more"}),
        lambda m: m["columns"].clear(),
        lambda m: m["features"].pop(),
        lambda m: m["features"].reverse(),
        lambda m: m["features"][0].update(kind="logarithm"),
        lambda m: m["features"][0].update(of=["nothing"]),
        lambda m: m["features"][0].pop("of"),
        lambda m: m["features"].append(m["features"][0]),
        lambda m: m["features"].append({"kind": "history", "table": "none", "key": [], "columns": ["a"]}),
        lambda m: m["title"].pop("fr"),
        lambda m: m["notice"].update(en=" "),
        lambda m: m["notice"].update(en=7),
        lambda m: m["groups"].pop(),
        lambda m: m["groups"][0].pop("label"),
        lambda m: m.update(golden={}),
        lambda m: m.update(golden=[7]),
        lambda m: m.update(golden=[{"pd": 0.5}]),
        lambda m: m["golden"][0].update(pd=[0.5]),
        lambda m: m["golden"][0].update(pd=True),
        lambda m: m.update(date=None),
        lambda m: m.update(population={"loans": 3, "pd_percentiles": [0.5, 0.1, 0.9]}),
        lambda m: m.update(population={"loans": 3}),
        lambda m: m["fields"].pop(0),
        lambda m: m["fields"].append(m["fields"][0]),
        lambda m: m["fields"][0].update(kind="date"),
        lambda m: m["fields"][0].update(example="none"),
        lambda m: m["fields"][0].update(usual=["1", None]),
        lambda m: m["title"].update(en="half a character: \ud800"),
        lambda m: m["fields"][0].update(minimum=float("nan")),
        lambda m: m["fields"][0].update(label={"en": "no French"}),
        lambda m: m["fields"][0].pop("usual"),
        lambda m: m["calibration"].update(slope=-1),
        lambda m: m["calibration"].update(slope=0),
        lambda m: m["calibration"].update(intercept=float("nan")),
        lambda m: m["calibration"].update(intercept="0"),
        lambda m: m["calibration"].update(intercept=[0.5]),
        lambda m: m["calibration"].pop("slope"),
        lambda m: m["points"].update(odds=0),
        lambda m: m["points"].update(double=-20),
        lambda m: m["points"].update(anchor=None),
        lambda m: m["points"].update(more=1),
        lambda m: m["policy"].update(margin=0),
        lambda m: m["policy"].update(lgd=2),
        lambda m: m["policy"].update(refer_band=1),
        lambda m: m["policy"].update(guarantee="nothing"),
        lambda m: m["policy"].update(guarantee=m["fields"][-1]["name"]),
        lambda m: m["policy"].pop("rare_below"),
        lambda m: m["files"].pop(MODEL),
        lambda m: m["files"].update({"../up": {"sha256": "0"}}),
        lambda m: m["files"].update({"/etc/passwd": {"sha256": "0"}}),
        lambda m: m["files"].update({"..": {"sha256": "0"}}),
        lambda m: m["files"].update({"a\0b": {"sha256": "0"}}),
        lambda m: m["files"].update({MODEL: None}),
        lambda m: m.update(files=[]),
        lambda m: m.update(fields={}),
        lambda m: m.update(features=None),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(copy: Path, edit: Callable[[Manifest], object]) -> None:
    """With all digests right, a manifest whose parts do not fit is still no release; the error names a file."""
    assert Path(refused(edited(copy, edit)).file).parent.name.startswith("edited-")


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda m: m["fields"][0].update(minimum="5"), "fields[0].minimum: Expected `int | float`, got `str`"),
        (lambda m: m["fields"][0].update(minimum=True), "fields[0].minimum: Expected `int | float`, got `bool`"),
        (lambda m: m["fields"][0].update(minimum=2**64), "fields[0].minimum: Expected `int` <= 9223372036854775807"),
        (lambda m: m["fields"][0].update(minimum=m["fields"][0]["maximum"] + 1), "fields[0]: minimum and maximum: "),
        (lambda m: m["fields"][0].update(whole=1), "fields[0].whole: Expected `bool`, got `int`"),
        (lambda m: m["fields"][0]["label"].pop("fr"), "fields[0].label: Object missing required field `fr`"),
        (lambda m: m["fields"][0]["reasons"][0].pop("text"), "fields[0].reasons[0]: Object missing required field"),
        (lambda m: m["fields"][0].update(kind="date"), "fields[0].kind: Invalid value 'date'"),
        (lambda m: m["features"][0].update(of=[1]), "features[0].of[0]: Expected `str`, got `int`"),
        (lambda m: m["features"][0].update(of=["nothing"]), "features[0]: nothing is not a field"),
        (lambda m: m["calibration"].update(slope=-1), "calibration: calibration needs a finite intercept and slope"),
        (lambda m: m["policy"].update(guarantee="nothing"), "policy.guarantee: nothing is not a field"),
        (lambda m: m["population"]["bands"][1].update(loans=-1), "population.bands[1].loans: Expected `int` >= 0"),
        (lambda m: m["population"]["by"].update(job={"fixed": {}}), "population.by[...][...]: Object missing required"),
        (lambda m: m["golden"][1].update(pd="0.5"), "golden[1].pd: Expected `float`, got `str`"),
        (lambda m: m["title"].update(en=" "), "title: a text is needed in en and fr"),
        (lambda m: m.update(training={"metrics": 2**70}), "training: Integer exceeds 64-bit range"),
        (lambda m: m["files"].pop(MODEL), "files: model.ubj is missing"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(copy: Path, edit: Callable[[Manifest], object], found: str) -> None:
    """As a person would find it in the file: `fields[0].minimum: …`. A truth value is no number."""
    assert refused(edited(copy, edit)).actual.startswith(found)


@pytest.mark.parametrize("written", ["NaN", "Infinity", "1e400", "1" * 400, "1_000", "0x10", "½", "01"])
def test_a_number_that_is_none_is_refused(copy: Path, written: str) -> None:
    """What JSON does not know, and what no float64 can hold."""
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["calibration"]["slope"] = "HERE"
    content = json.dumps(manifest).replace('"HERE"', written).encode()
    (copy / "manifest.json").write_bytes(content)
    assert refused(copy.rename(copy.with_name(f"odd-{hashlib.sha256(content).hexdigest()[:12]}")))


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}'])
def test_a_manifest_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    """Anything but a JSON object with the right parts is refused, even under its own digest."""
    folder = tmp_path / f"odd-{hashlib.sha256(content).hexdigest()[:12]}"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(content)
    assert refused(folder).file.endswith("manifest.json")


def test_a_path_out_of_the_folder_is_never_read(copy: Path) -> None:
    """A manifest cannot point at a file elsewhere, even at one that has the digest it gives."""
    (copy.parent / "up").write_bytes(b"elsewhere")
    digest = hashlib.sha256(b"elsewhere").hexdigest()
    error = refused(edited(copy, lambda manifest: manifest["files"].update({"../up": {"sha256": digest}})))
    assert (error.expected, error.actual) == ("plain file names", "'../up'")


# --- history tables ---

KEYS = np.array(["CA", "NY"])
VALUES = np.array([[0.1], [0.2], [0.15]], np.float32)


@pytest.fixture
def with_history(tmp_path: Path) -> Callable[[bytes], Path]:
    """Makes a release of two fields with a history table, out of these bytes of an .npz."""

    def make(content: bytes) -> Path:
        copy = shutil.copytree(newest(NAMES[0]), tmp_path / "release-000000000000")
        manifest = json.loads((copy / "manifest.json").read_bytes())
        (copy / TABLES).write_bytes(content)
        history = {"kind": "history", "table": "states", "key": [{"of": "state"}], "columns": ["state.rate"]}
        manifest["groups"] = []
        manifest |= {
            "fields": [number("amount"), choice("state", "CA", "NY")],
            "features": [{"kind": "numbers", "of": ["amount"]}, history],
            "columns": [{"name": "amount"}, {"name": "state.rate"}],
            "policy": {**manifest["policy"], "guarantee": None},
            "files": {MODEL: {}, TABLES: {}},
        }
        return sealed(copy, manifest)

    return make


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=True, **{f"states.{name}": array for name, array in arrays.items()})
    return stream.getvalue()


def test_history_tables_are_read_from_a_plain_npz(with_history: Callable[[bytes], Path]) -> None:
    """Keys and values stored in the .npz come out in the row."""
    release = open_release(with_history(npz(keys=KEYS, values=VALUES)))
    form: Form = release.form
    assert release.rows.fill(form.parse({"amount": 7, "state": "NY"})).tolist() == [[7.0, float(np.float32(0.2))]]


@pytest.mark.parametrize(
    "content",
    [
        npz(keys=KEYS, values=VALUES[:2]),
        npz(keys=KEYS, values=np.hstack([VALUES, VALUES])),
        npz(keys=KEYS, values=VALUES.ravel()),
        npz(keys=KEYS, values=VALUES.astype(np.float64)),
        npz(keys=KEYS, values=VALUES * np.float32("nan")),
        npz(keys=np.array([1, 2]), values=VALUES),
        npz(keys=np.array(["CA", "CA"]), values=VALUES),
        npz(keys=KEYS.reshape(1, 2), values=VALUES),
        npz(keys=KEYS.astype(object), values=VALUES),
        npz(keys=KEYS),
        npz(values=VALUES),
        b"",
        b"PK\x03\x04 no archive",
        b"\x93NUMPY no array",
        npz(keys=KEYS, values=VALUES)[:-30],
    ],
)
def test_tables_that_do_not_fit_are_refused(with_history: Callable[[bytes], Path], content: bytes) -> None:
    """Tables of another shape or type, with pickles, or in no archive at all are refused under their own digest."""
    refused(with_history(content))


class Runs:
    """What an unpickler would make a file of."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("part", ["keys", "values"])
def test_a_pickle_among_the_tables_is_never_run(
    with_history: Callable[[bytes], Path], tmp_path: Path, part: str
) -> None:
    """Under a digest that fits: the release is refused before a pickle in it has done anything."""
    mark = tmp_path / "ran"
    content = npz(**{"keys": KEYS, "values": VALUES, part: np.array([Runs(mark), "NY"], object)})
    refused(with_history(content))
    assert not mark.exists()


@pytest.mark.slow
def test_broken_archives_of_tables_are_refused(with_history: Callable[[bytes], Path]) -> None:
    """300 mutated .npz files under their own digests either open or are refused: nothing else comes out."""
    chance = random.Random(6)
    whole = npz(keys=KEYS, values=VALUES)
    folder = with_history(whole)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    outcomes = {"opened": 0, "refused": 0}
    for _ in range(300):
        restore(folder / TABLES, whole)
        with (folder / TABLES).open("r+b") as stream:
            mutate(stream, whole, chance)
        folder = sealed(folder, manifest)
        try:
            open_release(folder)
            outcomes["opened"] += 1
        except BadRelease:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10


@pytest.mark.parametrize("content", [b"", b"[", b"\0" * 8])
def test_a_model_that_is_no_object_is_refused(copy: Path, content: bytes) -> None:
    """Even under digests that match: XGBoost would abort the process on an empty file instead of raising."""
    (copy / MODEL).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    error = refused(edited(copy, lambda manifest: manifest["files"][MODEL].update(sha256=digest)))
    assert "UBJSON" in error.actual

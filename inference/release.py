"""Opens a release: checks all digests before it parses anything.

A release is a folder `<name>-<first 12 of its digest>` with `manifest.json` and the files that scoring reads.
Its digest is the sha256 of the manifest, which holds the sha256 of every other file. Each file is read once, checked,
and the same bytes are parsed. The model card and its plots are in the folder too, but not covered by the digest.
"""

import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from inference.application import Form
from inference.blocks import Table
from inference.calibration import Calibration
from inference.errors import BadRelease
from inference.fields import ANY, HIGH, LOW, NOT_STATED, ChoiceField, NumberField, without_reason
from inference.manifest import FORMAT, OLDEST, Manifest, UnknownFormat, read_manifest
from inference.policy import Points, Policy
from inference.questions import Questions
from inference.rows import RowBuilder

LARGEST = 64 << 20  # bytes per file; files of the embedded releases are below 3 MB
MODEL, ONNX, TABLES = "model.ubj", "model.onnx", "history.npz"


@dataclass(frozen=True, slots=True)
class Release:
    """A trained model and everything needed to score with it; immutable, named by its digest."""

    folder: Path
    name: str  # `<recipe>-<first 12 of the digest>`, as in records and logs
    digest: str  # sha256 of manifest.json, 64 hex digits
    manifest: Manifest = field(repr=False)
    form: Form
    rows: RowBuilder
    calibration: Calibration
    points: Points
    policy: Policy
    model: bytes = field(repr=False)  # XGBoost's UBJ format
    onnx: bytes | None = field(repr=False)  # the same model for ONNX Runtime; optional


def open_release(folder: Path | str, digest: str | None = None) -> Release:
    """Open the release in `folder`.

    `digest` is the expected sha256 of its manifest (at least 12 hex digits); if None, the folder's name must end in
    it. Raises `BadRelease` if anything is missing, truncated, altered, of an unknown format or inconsistent.
    """
    folder = Path(folder)
    expected = digest or folder.resolve().name.rpartition("-")[2]
    if not re.fullmatch(r"[0-9a-f]{12,64}", expected):
        actual = expected if folder.exists() else "nothing there"
        raise BadRelease(folder, "a folder named <name>-<first 12 of its digest>, or an expected digest", actual)
    content = read(folder / "manifest.json")
    actual = hashlib.sha256(content).hexdigest()
    if not actual.startswith(expected):
        raise BadRelease(folder / "manifest.json", f"sha256 {expected}", actual)
    try:
        manifest = read_manifest(content)
        files = {name: verified(folder, name, file.sha256) for name, file in manifest.files.items()}
        if MODEL not in files:
            raise ValueError(f"files: {MODEL} is missing")
        form = Form(manifest.fields)
        release = Release(
            folder=folder,
            name=f"{manifest.name}-{actual[:12]}",
            digest=actual,
            manifest=manifest,
            form=form,
            rows=RowBuilder(form, manifest.features, parse_tables(files.get(TABLES))),
            calibration=manifest.calibration,
            points=manifest.points,
            policy=Policy(manifest.policy, form),
            model=files[MODEL],
            onnx=files.get(ONNX),
        )
        columns = [column.name for column in manifest.columns]
        check_groups(manifest)
        check_reasons(form, columns, manifest.format)
        form.parse(form.example)
        Questions(manifest.questions, form)  # raises ValueError
        check_numbers(manifest)
        if not release.model.startswith(b"{"):  # XGBoost aborts the process if there is nothing to parse
            raise ValueError(f"{MODEL} is not a UBJSON object")
    except UnknownFormat as error:
        raise BadRelease(folder / "manifest.json", f"format {OLDEST} to {FORMAT}", str(error)) from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise BadRelease(folder / "manifest.json", "a complete, consistent release", reason) from error
    if tuple(columns) != release.rows.columns:
        wrong = next((pair for pair in zip(columns, release.rows.columns, strict=False) if pair[0] != pair[1]), None)
        raise BadRelease(
            folder / "manifest.json",
            f"{len(columns)} columns in order",
            f"{len(release.rows.columns)} from the feature list, first difference {wrong}",
        )
    return release


def check_numbers(manifest: Manifest) -> None:
    """The API shows the training figures, and cannot write integers beyond 64 bits."""
    try:
        orjson.dumps(manifest.training)
    except TypeError as error:  # orjson raises it for nesting that is too deep, too
        raise ValueError(f"training: {error}") from None


def check_groups(manifest: Manifest) -> None:
    """If there are headings, every field must be under one of them."""
    names = {group.name for group in manifest.groups}
    if names and (ungrouped := [field.name for field in manifest.fields if field.group not in names]):
        raise ValueError(f"groups: fields of a group that is not listed: {', '.join(ungrouped)}")


def check_reasons(form: Form, columns: Sequence[str], version: int) -> None:
    """Every kind of answer that can raise the PD needs a reason text, and reasons may only name existing columns."""
    for index, form_field in enumerate(form.fields):
        place = f"fields[{index}] ({form_field.name})"
        codes = [reason.code for reason in form_field.reasons]
        if len(set(codes)) < len(codes):
            raise ValueError(f"{place}.reasons: a code is listed twice")
        whens = (*form_field.index, ANY) if isinstance(form_field, ChoiceField) else (HIGH, LOW, NOT_STATED)
        for reason in form_field.reasons:
            if reason.when not in whens or not set(reason.columns) <= set(columns):
                raise ValueError(f"{place}: reason {reason.code}: no such answer or no such columns")
            if not reason.columns and reason.code != reason.when:
                raise ValueError(f"{place}: reason {reason.code}: it needs columns, or the code {reason.when}")
            if reason.columns and reason.code in whens:
                raise ValueError(f"{place}: reason {reason.code}: with columns it needs a code of its own")
        if version > OLDEST and isinstance(form_field, NumberField) and math.isnan(form_field.reference):
            raise ValueError(
                f"{place}.reference: a number is needed, so that answers can be high or low compared with it"
            )
    missing = [f"{form_field.name}/{kind}" for form_field in form.fields for kind in without_reason(form_field)]
    if missing and version > OLDEST:
        more = f" and {len(missing) - 20} more" if missing[20:] else ""
        raise ValueError(f"fields: no text for applicants for {', '.join(missing[:20])}{more}")


def read(file: Path) -> bytes:
    """Read a file once; `BadRelease` if it is missing or too large."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise BadRelease(file, "a readable file", error.strerror or type(error).__name__) from error
    if len(content) > LARGEST:
        raise BadRelease(file, f"at most {LARGEST} bytes", "more")
    return content


def verified(folder: Path, name: str, sha256: str) -> bytes:
    """Read one of a release's files; `BadRelease` if its sha256 is not the expected one."""
    if Path(name).name != name:
        raise BadRelease(folder / "manifest.json", "plain file names", repr(name))
    content = read(folder / name)
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise BadRelease(folder / name, f"sha256 {sha256}", f"{actual} ({len(content)} bytes)")
    return content


def parse_tables(content: bytes | None) -> dict[str, Table]:
    """Parse history tables from an .npz: `<table>.keys`, (n,) text, and `<table>.values`, (n + 1, k) float32."""
    if content is None:
        return {}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = dict(stored)
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen classes for broken files
        raise ValueError(f"{TABLES}: {type(error).__name__}: {error}") from error
    tables = {}
    for name, keys in arrays.items():
        table, _, part = name.rpartition(".")
        if part == "keys":
            values = arrays[f"{table}.values"]
            if keys.dtype.kind != "U" or keys.ndim != 1 or len(set(keys.tolist())) < len(keys):
                raise ValueError(f"{TABLES}: table {table}: distinct texts are needed as keys")
            if values.dtype != np.float32 or values.ndim != 2 or not np.isfinite(values).all():
                raise ValueError(f"{TABLES}: table {table}: finite float32 of two dimensions are needed")
            tables[table] = Table(tuple(keys.tolist()), values)
    return tables

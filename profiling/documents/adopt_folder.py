"""What adopting says of every model in a folder: `python -m profiling.documents.adopt_folder FOLDER`.

A model goes with each fields file (.toml) and the first list of features (.txt) whose names begin as its own does, up
to the first `_`; `…_bom.toml` with `…_bom.txt`. Where reasons for applicants are all that a fields file lacks, the
texts that the refusal asks for are added, and the line says so. Pickles are loaded: only for files that you trust.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from inference.errors import TenfoldError
from models.adoption.adopt import adopt
from profiling.documents.adopt_loans import SECONDS, digest

BESIDE = {".toml", ".txt", ".csv", ".md"}
LACKING = "what applicants are told"


class Line(NamedTuple):
    """What came of one model and one fields file."""

    model: str
    fields: str
    outcome: str
    text: str


def lines(folder: Path) -> Iterator[Line]:
    """A line a model and fields file, in the order of their names."""
    for model in sorted(file for file in folder.iterdir() if file.suffix not in BESIDE):
        stem = model.stem.partition("_")[0]
        forms = sorted(folder.glob(f"{stem}*.toml")) or [folder / "none.toml"]
        for fields in forms:
            mark = "_bom" if fields.stem.endswith("_bom") else ""
            lists = [file for file in sorted(folder.glob(f"{stem}*.txt")) if file.stem.endswith("_bom") == bool(mark)]
            yield line_of(model, lists[0] if lists else None, fields)


def line_of(model: Path, features: Path | None, fields: Path) -> Line:
    """Adopt one model into a folder that is thrown away."""
    with TemporaryDirectory(prefix="adopt-folder-") as name:
        into, added = Path(name), ""
        for _ in range(2):
            try:
                adoption = adopt(model, features, fields, digest(model), into, seconds=SECONDS)
            except TenfoldError as error:
                message = str(error)
                head, _, wanted = message.partition(":\n")
                if LACKING in head and not added:
                    added = "with the reasons that it asks for: "
                    text = fields.read_text("utf-8-sig") + "\n" + wanted.replace("…", "In words") + "\n"
                    fields = into / fields.name
                    fields.write_text(text, "utf-8")
                    continue
                short = " ".join(message.replace(f"{model.parent}/", "").split())
                return Line(model.name, fields.name, "refused", added + short[:300])
            notes = [
                f"{verdict.question} {verdict.outcome}: {verdict.text}".replace("\n", " ")
                for verdict in adoption.verdicts
                if verdict.outcome != "passes"
            ]
            outcome = "release" if adoption.release else "no release"
            return Line(model.name, fields.name, outcome, added + ("; ".join(notes) or "all pass"))
    raise ValueError("reasons are asked for twice")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m profiling.documents.adopt_folder", description=__doc__)
    parser.add_argument("folder", type=Path)
    print("| model | fields file | outcome | said |\n| --- | --- | --- | --- |")
    for line in lines(parser.parse_args().folder):
        print("| " + " | ".join(line) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

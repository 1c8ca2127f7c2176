"""How long a large file takes from draft to release: `python -m profiling.benchmarks.own_loans` (make bench-loans).

The file has 150,000 loans and 39 columns: drawn from the committed small-business loans, seeded, with columns that
lenders keep beside such answers (sums in other units, counts with gaps, noise). The commands are the user's own, run
one after the other; each open question of the recipe keeps its default.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import IO

import numpy as np
import pandas as pd

from inference.settings import ROOT
from models.data import loans
from profiling import results

LOANS, COLUMNS = 150_000, 39
AIMS = {"first questions": 30, "draft": 180, "release": 180, "release with rivals": 360}  # seconds on 2 cores


def main() -> int:
    """Print and keep the seconds of each step, beside its aim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=LOANS)
    parser.add_argument("--file", type=Path, help="only write the file of loans")
    options = parser.parse_args()
    if options.file:
        messy_loans(options.loans).to_csv(options.file, index=False)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        messy_loans(options.loans).to_csv(folder / "large.csv", index=False)
        new = ["new", str(folder / "large.csv"), "--target", "charged_off", "--out", str(folder)]
        lines, draft = run(new)
        first = next(seconds for seconds, line in lines if line.startswith("First questions"))
        stages(lines, draft)
        recipe = folder / "large.toml"
        recipe.write_text(recipe.read_text("utf-8").replace("# ASK", "# default kept:"), "utf-8")
        train = ["train", str(recipe), "--out", str(folder / "releases")]
        seconds = {"first questions": first, "draft": draft, "release": run(train)[1]}
        seconds["release with rivals"] = run([*train, "--rivals"])[1]
    for step, aim in AIMS.items():
        print(f"{step}: {seconds[step]:.0f} s (aim: {aim} s for {LOANS:,} loans on 2 cores)")
    results.merge("own_loans", {"loans": options.loans, "columns": COLUMNS, "seconds": seconds})
    return 0


def messy_loans(number: int) -> pd.DataFrame:
    """`number` loans of COLUMNS columns, the outcome last."""
    every = loans.sba()
    chance = np.random.default_rng(0)
    frame = every.iloc[np.sort(chance.choice(len(every), number, replace=False))].reset_index(drop=True)
    sector = frame["naics"].str[:2]
    outcome = frame.pop("charged_off").map({True: "yes", False: "no"})
    frame = frame.drop(columns=["charged_off_month", "approved", "naics"])
    frame.insert(0, "loan_id", [f"L{number_of_loan:07d}" for number_of_loan in range(number)])
    frame["sector"] = sector
    frame["amount_cents"] = frame["amount"] * 100
    frame["guaranteed"] = (frame["amount"] * frame["guaranteed_share"]).round(2)
    frame["jobs"] = frame["jobs_created"].fillna(0) + frame["jobs_retained"].fillna(0)
    frame["amount_per_employee"] = (frame["amount"] / frame["employees"].clip(lower=1)).round(2)
    while frame.shape[1] < COLUMNS - 1:
        position = frame.shape[1]
        kinds = (
            np.where(chance.random(number) < 0.1, np.nan, chance.lognormal(8, 1, number).round(2)),
            chance.poisson(2, number),
            chance.choice(["a", "b", "c", "d"], number),
            (frame["amount"] * chance.lognormal(0, 0.3, number)).round(),
        )
        frame[f"other_{position}"] = kinds[position % len(kinds)]
    return frame.assign(charged_off=outcome)


def run(arguments: list[str]) -> tuple[list[tuple[float, str]], float]:
    """A command of models/: its lines of both streams, each with the second it came at, and its seconds in all."""
    started, lines = time.monotonic(), list[tuple[float, str]]()

    def read(stream: IO[str]) -> None:
        lines.extend((time.monotonic() - started, line.rstrip()) for line in stream)

    command = [sys.executable, "-u", "-m", "models", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - both are pipes
        assert process.stderr is not None  # noqa: S101
        readers = [Thread(target=read, args=(stream,)) for stream in (process.stdout, process.stderr)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    if process.returncode:
        raise SystemExit(f"{arguments}: exit status {process.returncode}\n" + "\n".join(line for _, line in lines))
    return lines, time.monotonic() - started


def stages(lines: list[tuple[float, str]], total: float) -> None:
    """Print how long each stage of a draft took."""
    begun = [(seconds, line) for seconds, line in sorted(lines) if line.endswith(" …")]
    for (start, stage), (end, _) in zip(begun, [*begun[1:], (total, "")], strict=True):
        print(f"  {end - start:6.1f} s  {stage.removesuffix(' …')}")


if __name__ == "__main__":
    sys.exit(main())

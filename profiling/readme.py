"""Write the README's figures from the releases and bench.json: `python -m profiling.readme`; --check only compares.

A block stands between `<!-- figures:NAME -->` and `<!-- /figures -->`; nobody types what is between them.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference.engines import ENGINES
from inference.settings import RELEASES, ROOT
from profiling import bench_score, results

README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- figures:(\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)


def manifests() -> dict[str, dict[str, Any]]:
    """The embedded releases' manifests by name, the default first."""
    default = (RELEASES / "DEFAULT").read_text().strip()
    folders = sorted((path.parent for path in RELEASES.glob("*/manifest.json")), key=lambda f: (f.name != default, f))
    return {folder.name: json.loads((folder / "manifest.json").read_text()) for folder in folders}


def releases() -> str:
    """What is in the embedded releases."""
    lines = ["| release | loans | bad | window | features | trees |", "| --- | ---: | ---: | --- | ---: | ---: |"]
    for name, manifest in manifests().items():
        training = manifest["training"]
        window = f"{training['from']} to {training['to']}" if training["from"] else "undated"
        lines.append(
            f"| `{name}` | {training['loans']:,} | {training['bad'] / training['loans']:.1%} | {window} "
            f"| {len(manifest['columns'])} | {training['parameters']['n_estimators']} |"
        )
    return "\n".join(lines)


def models() -> str:
    """How good they are, beside simpler models."""
    lines = [
        "| release | model | loans not seen | AUC | KS | Brier | mean PD | observed |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, manifest in manifests().items():
        for row in manifest["training"]["metrics"]["table"]:
            auc = f"{row['auc']:.3f}"
            if "intervals" in row:
                low, high = row["intervals"]["auc"]
                auc = f"**{auc}** ({low:.3f}–{high:.3f})"
            lines.append(
                f"| {name.rpartition('-')[0]} | {row['model']} | {row['sample']} ({row['loans']:,}) | {auc} "
                f"| {row['ks']:.3f} | {row['brier']:.3f} | {row['mean_pd']:.3f} | {row['bad_rate']:.3f} |"
            )
    return "\n".join(lines)


def score() -> str:
    """What a score costs, with each engine, beside a bare predict_proba and the path of before."""
    found = results.read()["score"]
    lines = [
        "| release | way | p50 | p99 | p50 over predict_proba |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for release, rows in found.items():
        if isinstance(rows, dict):
            bare = rows[bench_score.BARE]["p50"]
            for name in (bench_score.BARE, *ENGINES, bench_score.BEFORE):
                p50, p99 = rows[name]["p50"], rows[name]["p99"]
                lines.append(
                    f"| {release} | {bench_score.label(name)} | {p50:.0f} µs | {p99:.0f} µs | {p50 / bare:.2f} |"
                )
    return "\n".join([*lines, "", f"Measured on {found['machine']}."])


def click() -> str:
    """Click to changed result in a browser (python -m profiling.bench_click)."""
    found = results.read()["click"]
    lines = ["| page | p50 | p95 |", "| --- | ---: | ---: |"]
    for name, row in found.items():
        if isinstance(row, dict):
            lines.append(f"| {name} | {row['p50_ms']:.1f} ms | {row['p95_ms']:.1f} ms |")
    return "\n".join([*lines, "", f"Measured on {found['machine']}."])


BLOCKS: dict[str, Callable[[], str]] = {"releases": releases, "models": models, "score": score, "click": click}


def written(text: str) -> str:
    """The README with every block as its source says today."""
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", text)


def main(readme: Path = README) -> int:
    """Exit status 1 with --check where the README differs."""
    before = readme.read_text(encoding="utf-8")
    after = written(before)
    if "--check" in sys.argv:
        return int(before != after)
    readme.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

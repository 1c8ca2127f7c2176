"""Where benchmarks leave their figures: one JSON file, merged over the commands; documents get theirs from it."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent / "out"
BENCH = OUT / "bench.json"


def read() -> dict[str, Any]:
    """All figures so far; empty where no benchmark has run."""
    return json.loads(BENCH.read_text()) if BENCH.exists() else {}


def merge(section: str, figures: Mapping[str, Any], ratios: Mapping[str, float] | None = None) -> None:
    """Put one benchmark's figures in place of its older ones; `ratios` go into the flat object of that name."""
    results = read()
    results[section] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), **figures}
    results["ratios"] = {**results.get("ratios", {}), **(ratios or {})}
    OUT.mkdir(exist_ok=True)
    new = BENCH.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    os.replace(new, BENCH)


def machine() -> str:
    """What the figures were measured on."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"

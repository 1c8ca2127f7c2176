"""What benchmarks score: real applications of the embedded releases, the same ones on every run."""

from pathlib import Path

import numpy as np

from inference.release import Release
from inference.settings import current_releases
from models.recipes import RECIPES

SEED = 0


def embedded() -> list[Path]:
    """The folders of the embedded releases that serve, the default first."""
    return list(current_releases().values())


def applications(release: Release, count: int) -> list[dict[str, object]]:
    """Raw answers of `count` real loans of the release's source, drawn with SEED; some twice where there are fewer."""
    loans = RECIPES[release.manifest.name].load()
    chosen = np.random.default_rng(SEED).choice(len(loans), count, replace=count > len(loans)).tolist()
    return [{name: column[loan] for name, column in loans.answers.items()} for loan in chosen]

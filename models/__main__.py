"""`python -m models train [consumer|sba …]`: make the embedded releases from the committed loans."""

import argparse
import sys
import time

from inference.settings import RELEASES
from models.card import write_card
from models.export import export, make_default
from models.recipes import consumer, sba
from models.report import report
from models.train import train

RECIPES = {"consumer": consumer.RECIPE, "sba": sba.RECIPE}  # the first is the default release


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate, export and describe each recipe named."""
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train, evaluate and export releases")
    training.add_argument("recipes", nargs="*", choices=[*RECIPES, []], default=list(RECIPES))
    named = parser.parse_args(arguments).recipes
    for name in named:
        started = time.monotonic()
        trained = train(RECIPES[name])
        evaluation = report(trained)
        release = export(trained, evaluation.metrics, RELEASES)
        write_card(release, trained, evaluation)
        if name == next(iter(RECIPES)):
            make_default(release)
        print(evaluation.text)
        print(f"{release.folder.name}: digest {release.digest}, {time.monotonic() - started:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

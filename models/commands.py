"""`python -m models train` makes releases from a lender's loans or the committed ones; `check` checks a recipe."""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from inference.errors import TenfoldError
from inference.release import open_release
from inference.settings import RELEASES
from inference.watch.expected import months_of
from models.adoption.adopt import add_command
from models.chance import NUMBERS, chance, scored, table
from models.draft.accept import add_command as add_accept
from models.draft.command import add_command as add_new
from models.evaluation import report
from models.evidence.command import add_commands
from models.export import export, make_current
from models.lender_loans import by_reason, load_loans
from models.model_card.card import card_files
from models.own_loans import summary, train_file
from models.own_search import search_file
from models.recipe_file import read_recipe
from models.recipes import RECIPES
from models.search import SEEDS, choose, search
from models.stability import compare, embedded, of_trained
from models.story import story, text
from models.train import train


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate, export and describe each recipe named."""
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train, evaluate and export releases")
    training.add_argument(
        "recipes", nargs="*", metavar="recipe",
        help=f"a lender's NAME.toml, or an embedded one of {', '.join(RECIPES)}; all embedded ones if none is named",
    )  # fmt: skip
    training.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder for the releases of a NAME.toml, beside earlier ones"
    )
    training.add_argument(
        "--rivals",
        action="store_true",
        help="also train a scorecard by optbinning and unconstrained trees, to compare with",
    )
    checking = commands.add_parser("check", help="list what is open or wrong in a recipe, without training")
    checking.add_argument("recipe", type=Path, metavar="NAME.toml")
    searching = commands.add_parser("search", help="try random parameters inside a recipe's training window")
    searching.add_argument(
        "recipe", metavar="recipe", help=f"a lender's NAME.toml, or an embedded one of {', '.join(RECIPES)}"
    )
    searching.add_argument("--candidates", type=int, default=20, help="how many are tried (%(default)s)")
    searching.add_argument("--seed", type=int, default=0, help="of the draw of candidates (%(default)s)")
    choosing = commands.add_parser("choose", help="see what groups of columns are worth inside the training window")
    choosing.add_argument("recipe", choices=list(RECIPES))
    choosing.add_argument(
        "--without", action="append", metavar="COLUMNS", help="names or patterns, separated by commas"
    )
    choosing.add_argument(
        "--without-fields",
        action="append",
        metavar="FIELDS",
        help="names of fields, separated by commas: leave out every column that they set",
    )
    choosing.add_argument(
        "--later", action="store_true", help="report on later vintages instead; do not choose by them"
    )
    choosing.add_argument("--seeds", type=int, default=SEEDS, help="number of trainings of each")
    turning = commands.add_parser("stability", help="see how often a small change of one answer changes the decision")
    turning.add_argument(
        "releases", nargs="*", type=Path, metavar="release", help="release folders; all embedded ones if none is named"
    )
    drawing = commands.add_parser("chance", help="see how often drift is seen although nothing changed")
    telling = commands.add_parser("story", help="play dated loans in order, and see when a monitor would have alarmed")
    for command in (drawing, telling):
        command.add_argument("release", type=Path, help="a release folder")
        command.add_argument(
            "--recipe", type=Path, metavar="NAME.toml", help="of a lender's own release, whose loans are read"
        )
    telling.add_argument(
        "--reference", type=months_of, metavar="FIRST:LAST",
        help="months of the life table, such as 2001-01:2003-12 (default: the first 36)",
    )  # fmt: skip
    telling.add_argument(
        "--drift-reference", type=months_of, metavar="FIRST:LAST",
        help="months that drift is measured against (default: the last 12 of these)",
    )  # fmt: skip
    add_command(commands)
    add_new(commands)
    add_accept(commands)
    add_commands(commands)
    options = parser.parse_args(arguments)
    if options.command in ("adopt", "new", "accept", "evaluate", "compare"):
        return int(options.run(options))
    if options.command == "search":
        if options.recipe.endswith(".toml"):
            return search_own(Path(options.recipe), options.candidates, options.seed)
        if options.recipe not in RECIPES:
            searching.error(f"no recipe {options.recipe}; there are {', '.join(RECIPES)}, or name a NAME.toml")
        print(search(RECIPES[options.recipe], options.candidates, options.seed))
        return 0
    if options.command == "choose":
        print(
            choose(
                RECIPES[options.recipe],
                options.without or (),
                options.without_fields or (),
                options.later,
                options.seeds,
            )
        )
        return 0
    if options.command == "stability":
        print(compare(RECIPES, options.releases or embedded()))
        return 0
    if options.command in ("chance", "story"):
        return watched(options)
    if options.command == "check":
        return check(options.recipe)
    own_recipes = [Path(name) for name in options.recipes if name.endswith(".toml")]
    if own_recipes:
        if len(own_recipes) < len(options.recipes) or options.out is None:
            training.error(
                "a NAME.toml needs --out FOLDER for its release, and cannot be combined with an embedded recipe"
            )
        return train_own(own_recipes, options.out, options.rivals)
    named = options.recipes or list(RECIPES)
    if unknown := [name for name in named if name not in RECIPES]:
        training.error(f"no recipe {', '.join(unknown)}; there are {', '.join(RECIPES)}")
    for name in named:
        started = time.monotonic()
        trained = train(RECIPES[name])
        evaluation = report(trained)
        metrics = {**evaluation.metrics, "stability": of_trained(trained)}
        release = export(trained, metrics, RELEASES, partial(card_files, trained=trained, report=evaluation))
        make_current(release)
        print(evaluation.text)
        print(f"{release.folder.name}: digest {release.digest}, {time.monotonic() - started:.0f} s\n")
    return 0


def watched(options: argparse.Namespace) -> int:
    """Print what a monitor of drift, or of bad loans, says of a release's own loans."""
    name = open_release(options.release).manifest.name
    if options.recipe is None and name not in RECIPES:
        raise SystemExit(f"{options.release}: name its recipe by --recipe, so that its loans can be read")
    loans = RECIPES[name].load() if options.recipe is None else load_loans(read_recipe(options.recipe)).loans
    if options.command == "story":
        print(text(story(options.release, loans, options.reference, options.drift_reference)))
        return 0
    form, values, pds = scored(options.release, loans)
    print(table(options.release.name, [chance(form, values, pds, n) for n in NUMBERS]))
    return 0


def check(recipe: Path) -> int:
    """Print what is open or wrong in a recipe, and loans it would leave out; return 1 if anything is open or wrong."""
    try:
        recipe_file = read_recipe(recipe)
        for problem in recipe_file.open:
            print(f"{recipe}: {problem}")
        loaded = load_loans(recipe_file)
    except TenfoldError as error:
        print(error)
        return 1
    print(f"{len(loaded.loans):,} of {loaded.lines:,} loans, {int(loaded.loans.bad.sum()):,} bad")
    if loaded.undecided:
        print(f"neither good nor bad: {by_reason(loaded.undecided)}")
    if loaded.left_out:
        print(f"left out ({loaded.share_left_out:.1%}): {by_reason(loaded.left_out)}")
    count = len(recipe_file.open)
    print(f"{count} open question{'s' * (count != 1)}" if count else "nothing is open")
    return 1 if count else 0


def search_own(recipe: Path, candidates: int, seed: int) -> int:
    """Print what other parameters of a lender's recipe would give; return 1, with every reason, if it is refused."""
    try:
        print(search_file(recipe, candidates, seed))
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def train_own(recipes: list[Path], out: Path, rivals: bool) -> int:
    """Train a lender's own recipes, one after the other; return 1, with every reason, if one is refused."""
    for recipe in recipes:
        started = time.monotonic()
        try:
            own_release = train_file(recipe, out, rivals=rivals)
        except TenfoldError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{summary(own_release)}\n{time.monotonic() - started:.0f} s")
    return 0

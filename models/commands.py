"""`python -m models train` makes releases, of a lender's loans or the committed ones; `check` reads a recipe."""

import argparse
import sys
import time
from pathlib import Path

from inference.errors import TenfoldError
from inference.settings import RELEASES
from models.adoption.adopt import add_command
from models.draft.accept import add_command as add_accept
from models.draft.command import add_command as add_new
from models.evaluation import report
from models.export import export, make_current
from models.lender_loans import take, told
from models.model_card.card import write_card
from models.own_loans import summary, train_file
from models.recipe_file import read_recipe
from models.recipes import RECIPES
from models.search import SEEDS, choose, search
from models.stability import compare, embedded, of_trained
from models.train import train


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate, export and describe each recipe named."""
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train, evaluate and export releases")
    training.add_argument(
        "recipes", nargs="*", metavar="recipe",
        help=f"a lender's NAME.toml, or an embedded one of {', '.join(RECIPES)}; all of these where none is named",
    )  # fmt: skip
    training.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where releases of a NAME.toml go, beside earlier ones"
    )
    training.add_argument("--rivals", action="store_true", help="beside it a scorecard by optbinning, and free trees")
    checking = commands.add_parser("check", help="say what is open or wrong in a recipe, without training")
    checking.add_argument("recipe", type=Path, metavar="NAME.toml")
    searching = commands.add_parser("search", help="try random parameters inside a recipe's training window")
    searching.add_argument("recipe", choices=list(RECIPES))
    searching.add_argument("--candidates", type=int, default=20)
    choosing = commands.add_parser("choose", help="see what groups of columns are worth inside the training window")
    choosing.add_argument("recipe", choices=list(RECIPES))
    choosing.add_argument("--without", action="append", metavar="COLUMNS", help="names or patterns, comma between")
    choosing.add_argument(
        "--without-fields", action="append", metavar="FIELDS", help="names of fields, comma between: all they set goes"
    )
    choosing.add_argument("--later", action="store_true", help="report later vintages instead; choose by none of them")
    choosing.add_argument("--seeds", type=int, default=SEEDS, help="how often each is trained")
    turning = commands.add_parser("stability", help="see how often a decision turns on a small change of an answer")
    turning.add_argument("releases", nargs="*", type=Path, metavar="release", help="folders; all embedded ones if none")
    add_command(commands)
    add_new(commands)
    add_accept(commands)
    given = parser.parse_args(arguments)
    if given.command in ("adopt", "new", "accept"):
        return int(given.run(given))
    if given.command == "search":
        print(search(RECIPES[given.recipe], given.candidates))
        return 0
    if given.command == "choose":
        print(choose(RECIPES[given.recipe], given.without or (), given.without_fields or (), given.later, given.seeds))
        return 0
    if given.command == "stability":
        print(compare(RECIPES, given.releases or embedded()))
        return 0
    if given.command == "check":
        return check(given.recipe)
    own = [Path(name) for name in given.recipes if name.endswith(".toml")]
    if own:
        if len(own) < len(given.recipes) or given.out is None:
            training.error("a NAME.toml needs --out FOLDER, where its release goes, and no embedded recipe beside it")
        return train_own(own, given.out, given.rivals)
    named = given.recipes or list(RECIPES)
    if unknown := [name for name in named if name not in RECIPES]:
        training.error(f"no recipe {', '.join(unknown)}; there are {', '.join(RECIPES)}")
    for name in named:
        started = time.monotonic()
        trained = train(RECIPES[name])
        evaluation = report(trained)
        release = export(trained, {**evaluation.metrics, "stability": of_trained(trained)}, RELEASES)
        write_card(release, trained, evaluation)
        make_current(release)
        print(evaluation.text)
        print(f"{release.folder.name}: digest {release.digest}, {time.monotonic() - started:.0f} s\n")
    return 0


def check(recipe: Path) -> int:
    """Print what is open or wrong in a recipe, and what its loans would leave out; 1 where anything is."""
    try:
        said = read_recipe(recipe)
        for one in said.open:
            print(f"{recipe}: {one}")
        taken = take(said)
    except TenfoldError as error:
        print(error)
        return 1
    print(f"{len(taken.loans):,} of {taken.lines:,} loans, {int(taken.loans.bad.sum()):,} bad")
    if taken.undecided:
        print(f"neither good nor bad: {told(taken.undecided)}")
    if taken.left_out:
        print(f"left out ({taken.share_left_out:.1%}): {told(taken.left_out)}")
    count = len(said.open)
    print(f"{count} open question{'s' * (count != 1)}" if count else "nothing is open")
    return 1 if count else 0


def train_own(recipes: list[Path], out: Path, rivals: bool) -> int:
    """Train a lender's own recipes, one after the other; 1 where one is refused, with every reason."""
    for recipe in recipes:
        started = time.monotonic()
        try:
            made = train_file(recipe, out, rivals=rivals)
        except TenfoldError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{summary(made)}\n{time.monotonic() - started:.0f} s")
    return 0

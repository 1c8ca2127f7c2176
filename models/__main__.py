"""`python -m models COMMAND`: the commands, where what training needs is installed."""

import sys

from inference.extras import MissingExtra, extra


def main(arguments: list[str] | None = None) -> int:
    """The exit status of the command; 1 where a package is missing, with how to install it."""
    try:
        with extra("train"):
            from models.commands import main as run
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 1
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())

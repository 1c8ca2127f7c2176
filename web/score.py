"""`tenfold score`, with the lender's rules and questions: from the file that `--lender` or TENFOLD_LENDER names."""

from pathlib import Path

from inference import __main__ as inference_commands
from inference.lender_option import OfLender
from inference.release import Release
from inference.settings import Settings


def main(words: list[str]) -> int:
    """Exit status as `inference.__main__` has it; nothing is scored where the lender's file cannot be used."""
    return inference_commands.main(["score", *words], read_file)


def read_file(file: Path | None, release: Release) -> OfLender:
    """What a lender's file has for a release, beside the model. Raises `BadSetting`."""
    file = file or Settings.from_environment().lender
    if file is None:
        return OfLender()  # the examples have neither rules nor questions
    from web.lender import of_lender, read_lender  # takes a third of a second: one score is often all that is asked

    return of_lender(read_lender(file), release)

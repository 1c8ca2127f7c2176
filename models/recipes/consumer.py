"""Consumer credits: 4,454 granted credits and their outcome (see models/data/CONSUMER.md); the TOML beside says all."""

from pathlib import Path

from models.lender_loans import embedded
from models.recipe_file import read_recipe

RECIPE = embedded(read_recipe(Path(__file__).with_suffix(".toml")))

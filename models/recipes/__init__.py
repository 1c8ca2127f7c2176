"""The sources of loans that releases are embedded of, by name; the first is the default release."""

from models.recipe import Recipe
from models.recipes import consumer, sba

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (consumer.RECIPE, sba.RECIPE)}

"""Recipes: the published models, from the data to the zoo (`python -m recipes.run --help`)."""

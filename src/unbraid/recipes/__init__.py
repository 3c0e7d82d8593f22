"""Recipes: what the command line offers, as functions of plain typed arguments; importing them is quick."""

from unbraid.recipes.evaluation import evaluate
from unbraid.recipes.folders import resume
from unbraid.recipes.overview import Row, overview
from unbraid.recipes.training import grassy, sprites, vectors

__all__ = ["Row", "evaluate", "grassy", "overview", "resume", "sprites", "vectors"]

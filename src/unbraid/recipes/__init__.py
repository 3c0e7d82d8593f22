"""Recipes: what the command line offers, as functions of plain typed arguments; importing them is quick."""

from unbraid.recipes.agreement import Agreed, agreement
from unbraid.recipes.cells import cells
from unbraid.recipes.classifying import classify
from unbraid.recipes.datasets import Finding, check_data, list_data, show_data
from unbraid.recipes.evaluation import evaluate
from unbraid.recipes.extending import extend
from unbraid.recipes.folders import resume
from unbraid.recipes.following import follow
from unbraid.recipes.forgetting import forgetting
from unbraid.recipes.images import images
from unbraid.recipes.overview import Row, overview
from unbraid.recipes.recipe import Recipe
from unbraid.recipes.scoring import Scores, score
from unbraid.recipes.seeds import resume_all, train_seeds
from unbraid.recipes.selection import Ranked, udr
from unbraid.recipes.sequential import sequential
from unbraid.recipes.stability import Stability, stability
from unbraid.recipes.tables import table
from unbraid.recipes.training import grassy, sprites, vectors
from unbraid.recipes.transferring import transfer

__all__ = [
    "Agreed",
    "Finding",
    "Ranked",
    "Recipe",
    "Row",
    "Scores",
    "Stability",
    "agreement",
    "cells",
    "check_data",
    "classify",
    "evaluate",
    "extend",
    "follow",
    "forgetting",
    "grassy",
    "images",
    "list_data",
    "overview",
    "resume",
    "resume_all",
    "score",
    "sequential",
    "show_data",
    "sprites",
    "stability",
    "table",
    "train_seeds",
    "transfer",
    "udr",
    "vectors",
]

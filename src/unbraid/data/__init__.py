"""Data sets: one file each, all behind `Data`."""

from unbraid.data.arrays import Arrays
from unbraid.data.card import Card, File
from unbraid.data.contract import Data, FactorData, FactorGrid
from unbraid.data.grassy import GrassyDigits
from unbraid.data.sprites import Sprites
from unbraid.data.vectors import TwoPopulationVectors

__all__ = [
    "Arrays",
    "Card",
    "Data",
    "FactorData",
    "FactorGrid",
    "File",
    "GrassyDigits",
    "Sprites",
    "TwoPopulationVectors",
]

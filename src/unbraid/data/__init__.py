"""Data sets: one file each, all behind `Data`."""

from unbraid.data.arrays import Arrays
from unbraid.data.contract import Data, FactorData
from unbraid.data.grassy import GrassyDigits
from unbraid.data.sprites import Sprites
from unbraid.data.vectors import TwoPopulationVectors

__all__ = ["Arrays", "Data", "FactorData", "GrassyDigits", "Sprites", "TwoPopulationVectors"]

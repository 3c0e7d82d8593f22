"""Data sets: one file each, all behind `Data`."""

from unbraid.data._files.images import Pictures
from unbraid.data._split import SPLITS, Split
from unbraid.data.arrays import Arrays
from unbraid.data.augmentation import Augmentation, Translate
from unbraid.data.card import Card, File
from unbraid.data.celeba import CelebA
from unbraid.data.cells import Cells
from unbraid.data.chairs import ProceduralChairs
from unbraid.data.cifar import CIFAR10
from unbraid.data.continual import Extended, OneOf
from unbraid.data.contract import Data, FactorData, FactorGrid
from unbraid.data.dsprites import DSprites
from unbraid.data.flowers import Flowers17
from unbraid.data.folders import ImageFolder
from unbraid.data.grassy import Grassy, GrassyDigits
from unbraid.data.grassy_mnist import GrassyMNIST
from unbraid.data.mnist import MNIST, FashionMNIST
from unbraid.data.populations import ByClass, Part, Populations, Shuffled, split
from unbraid.data.rendered_chairs import Chairs
from unbraid.data.sprites import Sprites
from unbraid.data.table import Table
from unbraid.data.teapots import Teapots
from unbraid.data.vectors import TwoPopulationVectors

__all__ = [
    "CIFAR10",
    "MNIST",
    "SPLITS",
    "Arrays",
    "Augmentation",
    "ByClass",
    "Card",
    "CelebA",
    "Cells",
    "Chairs",
    "DSprites",
    "Data",
    "Extended",
    "FactorData",
    "FactorGrid",
    "FashionMNIST",
    "File",
    "Flowers17",
    "Grassy",
    "GrassyDigits",
    "GrassyMNIST",
    "ImageFolder",
    "OneOf",
    "Part",
    "Pictures",
    "Populations",
    "ProceduralChairs",
    "Shuffled",
    "Split",
    "Sprites",
    "Table",
    "Teapots",
    "Translate",
    "TwoPopulationVectors",
    "split",
]

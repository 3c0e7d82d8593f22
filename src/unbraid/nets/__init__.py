"""Encoders and decoders: tensors to tensors."""

from unbraid.nets.contract import Decoder, Network, Trunk, compute_as
from unbraid.nets.convolutional import ConvDecoder, ConvTrunk
from unbraid.nets.counts import CountTrunk
from unbraid.nets.missing import MaskedTrunk
from unbraid.nets.mlp import MLPDecoder, MLPTrunk
from unbraid.nets.residual import ResidualNet
from unbraid.nets.skip import Normed, NormTrunk, SkipDecoder

__all__ = [
    "ConvDecoder",
    "ConvTrunk",
    "CountTrunk",
    "Decoder",
    "MLPDecoder",
    "MLPTrunk",
    "MaskedTrunk",
    "Network",
    "NormTrunk",
    "Normed",
    "ResidualNet",
    "SkipDecoder",
    "Trunk",
    "compute_as",
]

"""Encoders and decoders: tensors to tensors."""

from unbraid.nets.contract import Decoder, Trunk
from unbraid.nets.convolutional import ConvDecoder, ConvTrunk
from unbraid.nets.mlp import MLPDecoder, MLPTrunk
from unbraid.nets.skip import NormTrunk, SkipDecoder

__all__ = ["ConvDecoder", "ConvTrunk", "Decoder", "MLPDecoder", "MLPTrunk", "NormTrunk", "SkipDecoder", "Trunk"]

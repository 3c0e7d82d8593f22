"""What every public network promises; a new one adds a line to TRUNKS or DECODERS."""

import json
from collections.abc import Callable
from inspect import isabstract

import pytest
import torch
from torch import nn

import unbraid.nets
from unbraid.configuration import build, describe
from unbraid.nets import (
    ConvDecoder,
    ConvTrunk,
    CountTrunk,
    Decoder,
    MaskedTrunk,
    MLPDecoder,
    MLPTrunk,
    NormTrunk,
    ResidualNet,
    SkipDecoder,
    Trunk,
)

TRUNKS: dict[str, Callable[[], Trunk]] = {
    "conv, table 1": ConvTrunk,
    "conv 16": lambda: ConvTrunk(3, (4, 6), 10),
    "MLP": lambda: MLPTrunk(7, (8, 5)),
    "MLP, identity": lambda: MLPTrunk(7, ()),
    "counts": lambda: CountTrunk(MLPTrunk(7, (16, 5)), 10),
    "masked": lambda: MaskedTrunk(MLPTrunk(14, (8, 5))),
    "norm": NormTrunk,
    "residual": ResidualNet,
    "residual, not square": lambda: ResidualNet((3, 7, 12), 5, (4, 6), 2),
    "residual, narrower and narrower": lambda: ResidualNet((1, 5, 5), 2, (6, 4, 3, 2)),
    "norm, not square": lambda: NormTrunk((2, 8, 12), (4, 6)),
}
DECODERS: dict[str, Callable[[], Decoder]] = {
    "conv, table 1": ConvDecoder,
    "conv 16": lambda: ConvDecoder(3, 3, (4, 6), 10),
    "MLP": lambda: MLPDecoder(3, 7, (8, 5)),
    "MLP, linear": lambda: MLPDecoder(3, 7, ()),
    "skip": lambda: SkipDecoder(5),
    "skip, not square": lambda: SkipDecoder(3, (2, 8, 12), (4, 6), 0.5),
    "skip, one layer": lambda: SkipDecoder(3, (1, 8, 8), (4,)),
}
every_trunk = pytest.mark.parametrize("make", TRUNKS.values(), ids=TRUNKS)
every_decoder = pytest.mark.parametrize("make", DECODERS.values(), ids=DECODERS)
every_net = pytest.mark.parametrize(
    "make",
    [*TRUNKS.values(), *DECODERS.values()],
    ids=[*(f"{n} trunk" for n in TRUNKS), *(f"{n} decoder" for n in DECODERS)],
)


def made(make: Callable[[], Trunk | Decoder]) -> Trunk | Decoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def inputs(net: Trunk | Decoder, count: int = 4) -> torch.Tensor:
    shape = (net.latents,) if isinstance(net, Decoder) else net.shape
    drawn = torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))
    return drawn.abs() if isinstance(net, CountTrunk) else drawn


def test_every_public_network_is_in_this_suite():
    members = [each for name in unbraid.nets.__all__ if isinstance(each := getattr(unbraid.nets, name), type)]
    for kind, cases in ((Trunk, TRUNKS), (Decoder, DECODERS)):
        assert {type(make()) for make in cases.values()} == {
            member for member in members if issubclass(member, kind) and not isabstract(member)
        }


@every_trunk
def test_trunk_gives_the_stated_features(make):
    trunk = made(make)
    assert isinstance(trunk, Trunk)
    assert trunk(inputs(trunk)).shape == (4, trunk.features)


@every_decoder
def test_decoder_gives_the_stated_shape(make):
    decoder = made(make)
    assert decoder(inputs(decoder)).shape == (4, *decoder.shape)


@every_decoder
def test_decoder_output_has_no_non_linearity(make):
    decoder = made(make).eval()
    output = decoder(1000 * inputs(decoder, 64))
    assert output.min() < -1
    assert output.max() > 1


@every_net
def test_description_rebuilds_the_network(make):
    net = made(make)
    again = build(json.loads(json.dumps(describe(net))))
    assert repr(again) == repr(net)
    assert " at 0x" not in repr(net)
    again.load_state_dict(net.state_dict())
    assert torch.equal(again.eval()(inputs(net)), net.eval()(inputs(net)))


@every_net
def test_gradients_reach_the_input_and_every_parameter(make):
    net = made(make)
    x = inputs(net).requires_grad_()
    net(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in [x, *net.parameters()])


def layers(net: nn.Module) -> list[tuple[int, ...] | str]:
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    found = [module for module in net.modules() if isinstance(module, (*kinds, nn.Linear, nn.ReLU))]
    return [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], int(m.padding[0])) if isinstance(m, kinds)
        else (m.in_features, m.out_features) if isinstance(m, nn.Linear) else "relu"
        for m in found
    ]  # fmt: skip


def test_layers_of_table_1():
    down = [(1, 32, 4, 2, 1), (32, 32, 4, 2, 1), (32, 64, 4, 2, 1), (64, 64, 4, 2, 1), (64, 256, 4, 1, 0)]
    assert layers(ConvTrunk()) == [item for layer in down for item in (layer, "relu")]
    up = [(256, 64, 4, 1, 0), (64, 64, 4, 2, 1), (64, 32, 4, 2, 1), (32, 32, 4, 2, 1), (32, 1, 4, 2, 1)]
    assert layers(ConvDecoder(10)) == [item for layer in [(10, 256), *up] for item in (layer, "relu")][:-1]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_image_side_follows_from_the_number_of_layers(depth):
    trunk, decoder = ConvTrunk(1, (4,) * depth, 8), ConvDecoder(2, 1, (4,) * depth, 8)
    assert trunk.shape == decoder.shape == (1, 4 * 2**depth, 4 * 2**depth)


def test_latents_enter_every_layer_of_the_skip_decoder():
    decoder = SkipDecoder(3, (1, 8, 8), (4, 4)).eval()
    decoder.first.requires_grad_(False)
    for weight in decoder.first.parameters():
        weight.zero_()
    z = inputs(decoder).requires_grad_()
    decoder(z).square().sum().backward()
    assert z.grad is not None
    assert z.grad.any()


def test_offset_is_where_the_output_starts():
    decoder = SkipDecoder(3, (1, 8, 8), (4, 4), offset=0.7).eval()
    torch.testing.assert_close(decoder(torch.zeros(2, 3)), torch.full((2, 1, 8, 8), 0.7))


def test_batch_norm_follows_every_convolution():
    kinds = [type(layer) for layer in NormTrunk((1, 8, 8), (4, 4)).layers.children()]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2 + [nn.Flatten]


def test_layers_of_a_residual_network_are_counted_as_its_name_counts_them():
    for blocks, named in ((1, 8), (2, 14), (3, 20)):
        net = ResidualNet(widths=(4, 4, 4), blocks=blocks)
        straight = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        shortcuts = [m for m in straight if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
        assert net.layers == len(straight) - len(shortcuts) == named
        assert len(shortcuts) == 2  # where the side is halved


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (3, 64), (1, 29)])
def test_a_residual_network_halves_the_side_between_stages(channels, side):
    net, sides = made(lambda: ResidualNet((channels, side, side), 10, (4, 8, 8), 2)), []
    assert isinstance(net, ResidualNet)
    for block in net.residual:
        block.register_forward_hook(lambda module, given, out: sides.append(out.shape[-1]))
    assert net(inputs(net)).shape == (4, 10)
    half, quarter = -(-side // 2), -(-side // 4)
    assert sides == [side, side, half, half, quarter, quarter]


def test_a_block_of_a_residual_network_that_adds_nothing_passes_on_what_it_got():
    net = made(lambda: ResidualNet((2, 6, 6), 3, (4,), 1)).eval()
    assert isinstance(net, ResidualNet)
    (block,) = net.residual
    for parameter in block.parameters():
        parameter.data.zero_()
    x = net.first(inputs(net))
    assert torch.equal(block(x), x)


WRONG = {
    "no latents, MLP": (lambda: MLPDecoder(0, 5), "expected latents of at least 1, got 0"),
    "no latents, conv": (lambda: ConvDecoder(0), "expected latents of at least 1, got 0"),
    "no latents, skip": (lambda: SkipDecoder(0), "expected latents of at least 1, got 0"),
    "negative latents": (lambda: ConvDecoder(-3), "expected latents of at least 1, got -3"),
    "no inputs": (lambda: MLPTrunk(0), "expected inputs of at least 1, got 0"),
    "no outputs": (lambda: MLPDecoder(2, 0), "expected outputs of at least 1, got 0"),
    "empty layer": (lambda: MLPTrunk(3, (4, 0)), r"expected widths of at least 1, got \(4, 0\)"),
    "no channels": (lambda: ConvTrunk(0), "expected channels of at least 1, got 0"),
    "no layers, conv trunk": (lambda: ConvTrunk(1, ()), "expected layers of at least 1, got 0"),
    "no layers, conv decoder": (lambda: ConvDecoder(2, 1, ()), "expected layers of at least 1, got 0"),
    "no layers, norm": (lambda: NormTrunk((1, 8, 8), ()), "expected layers of at least 1, got 0"),
    "no layers, skip": (lambda: SkipDecoder(2, (1, 8, 8), ()), "expected layers of at least 1, got 0"),
    "vectors, norm": (lambda: NormTrunk((8,)), r"expected .*\(channels, height, width\), got \(8,\); .*MLP"),
    "vectors, skip": (lambda: SkipDecoder(2, (8,)), r"expected .*\(channels, height, width\), got \(8,\); .*MLP"),
    "vectors, residual": (lambda: ResidualNet((8,)), r"expected .*\(channels, height, width\), got \(8,\); .*MLP"),
    "no outputs, residual": (lambda: ResidualNet(outputs=0), "expected outputs of at least 1, got 0"),
    "no stages, residual": (lambda: ResidualNet(widths=()), "expected stages of at least 1, got 0"),
    "no blocks, residual": (lambda: ResidualNet(blocks=0), "expected blocks of at least 1, got 0"),
    "image too small": (lambda: NormTrunk((1, 4, 4)), r"at least 8 for 3 .*got \(1, 4, 4\); use fewer widths"),
    "odd image": (lambda: SkipDecoder(2, (1, 9, 8)), r"divisible by 4 .*got \(1, 9, 8\); pad"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_sizes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

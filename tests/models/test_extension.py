"""A population added to a trained model leaves the others as they are, to the bit."""

import copy

import pytest
import torch

from unbraid.configuration import build, describe
from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE, add_population
from unbraid.nets import ConvDecoder, ConvTrunk, MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.nets.contract import Decoder, Trunk
from unbraid.types import Batch

IMAGE = (1, 8, 8)


def model(trunk: Trunk, shared: Decoder, private: list[Decoder], batches: int = 3) -> CPVAE:
    made = CPVAE(trunk, shared, private, Gaussian(0.1, learned=True), ("a", "b"))
    for _ in range(batches):  # running averages of batch norms that are not what they begin with
        made(Batch(torch.rand(8, *made.shape), torch.arange(8) % 2))
    return made


KINDS = {
    "batch norm": lambda: model(
        NormTrunk(IMAGE, (4, 4)), SkipDecoder(3, IMAGE, (4, 4)), [SkipDecoder(2, IMAGE, (4, 4)) for _ in "ab"]
    ),
    "conv": lambda: model(
        ConvTrunk(1, (4,), 8), ConvDecoder(3, 1, (4,), 8), [ConvDecoder(2, 1, (4,), 8) for _ in "ab"]
    ),
    # of these widths, rows appended to one head change the last bits of the others' codes
    "MLP": lambda: model(MLPTrunk(64, (64,)), MLPDecoder(3, 64, (8,)), [MLPDecoder(5, 64, (8,)) for _ in "ab"]),
}


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def old(request: pytest.FixtureRequest) -> CPVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return request.param().eval()


def everything(of: CPVAE, x: torch.Tensor, population: int) -> list[torch.Tensor]:
    """What a model says of observations of a population, the first two populations' heads and decoders alone."""
    batch = Batch(x, torch.full((len(x),), population))
    forward = of(batch, torch.Generator().manual_seed(1))
    codes, parts = of.encode(x), of.parts(batch)
    return [
        forward.output,
        forward.log_likelihood,
        codes["shared"],
        codes["private"][:, :2],
        *parts.values(),
        of.transfer(x)[:, :2],
    ]


def assert_same(one: CPVAE, two: CPVAE) -> None:
    for count in (1, 3, 16, 64):
        x = torch.rand(count, *one.shape, generator=torch.Generator().manual_seed(count))
        for population in range(2):
            pairs = zip(everything(one, x, population), everything(two, x, population), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("frozen", [False, True])
def test_old_populations_are_answered_as_before_to_the_bit(old: CPVAE, frozen: bool):
    three = add_population(old, "c", frozen=frozen)
    four = add_population(three, "d", frozen=frozen)
    assert four.populations == ("a", "b", "c", "d")
    assert_same(old, three)
    assert_same(old, four)


def test_the_model_stays_as_it_is_and_shares_nothing_with_the_new_one(old: CPVAE):
    before = copy.deepcopy(old.state_dict())
    new = add_population(old, "c", frozen=True)
    with torch.no_grad():
        for value in (*new.parameters(), *new.buffers()):
            value.zero_()
    assert all(torch.equal(value, before[name]) for name, value in old.state_dict().items())
    assert all(parameter.requires_grad for parameter in old.parameters())
    assert (old.added, old.frozen, old.populations) == (0, False, ("a", "b"))


@pytest.mark.parametrize("frozen", [False, True])
def test_a_description_and_weights_rebuild_it(old: CPVAE, frozen: bool):
    new = add_population(add_population(old, "c"), "d", frozen=frozen)
    again = build(describe(new)).eval()
    again.load_state_dict(new.state_dict())
    assert repr(again) == repr(new)
    assert_same(new, again)
    assert [p.requires_grad for p in again.parameters()] == [p.requires_grad for p in new.parameters()]


def test_what_is_frozen_neither_learns_nor_moves_its_averages(old: CPVAE):
    new = add_population(old, "c", frozen=True).train()
    before = copy.deepcopy(new.state_dict())
    x = torch.rand(8, *new.shape)
    new(Batch(x, torch.full((8,), 2)), torch.Generator().manual_seed(0)).log_likelihood.sum().backward()
    learning = {name for name, parameter in new.named_parameters() if parameter.grad is not None}
    assert learning == {name for name, parameter in new.named_parameters() if parameter.requires_grad}
    assert all(name.startswith(("added_heads.0.", "private_decoders.2.")) for name in learning)
    moved = {name for name, value in new.state_dict().items() if not torch.equal(value, before[name])}
    assert all(name.startswith("private_decoders.2.") for name in moved)
    # the frozen parts of the pass are those of evaluation
    assert torch.equal(new.encode(x)["shared"], old.encode(x)["shared"])


def test_what_was_frozen_may_learn_again(old: CPVAE):
    new = add_population(add_population(old, "c", frozen=True), "d").train()
    assert all(parameter.requires_grad for parameter in new.parameters())
    assert all(part.training for part in new.modules())


def test_a_decoder_of_ones_own_is_taken(old: CPVAE):
    own = build(describe(old.private_decoders[0]))
    assert add_population(old, "c", own).private_decoders[2] is own


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda old: add_population(old, "b"), "got 'b', which is one of"),
        (lambda old: add_population(old, "c", MLPDecoder(7, 64)), "one number of latents|of one shape"),
        (lambda old: again(old, frozen=True), "from 1 to 1 added populations for 2 in all of which the last alone"),
        (lambda old: again(old, added=2), "from 0 to 1 added populations for 2 in all, got 2"),
    ],
)
def test_what_does_not_fit_is_refused(old: CPVAE, change, message: str):
    with pytest.raises(ValueError, match=message):
        change(old)


def again(old: CPVAE, **changes: int) -> CPVAE:
    """The model as it would be built with these arguments too."""
    networks = old.trunk, old.shared_decoder, list(old.private_decoders)
    return CPVAE(*networks, old.likelihood, old.populations, **changes)  # type: ignore[arg-type]

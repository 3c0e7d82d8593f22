"""Random numbers come from a seed and a purpose alone."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from unbraid.randomness import Purpose, derived_seed, seeded

keys = st.lists(st.integers(0, 2**32), min_size=1, max_size=4).map(tuple)


@given(one=keys, two=keys)
def test_different_keys_give_different_seeds(one, two):
    strip = lambda key: key[: max((i + 1 for i, part in enumerate(key) if part), default=1)]  # noqa: E731
    if strip(one) != strip(two):  # SeedSequence does not count trailing zeros
        assert derived_seed(*one) != derived_seed(*two)
    assert derived_seed(*one) == derived_seed(*one)
    assert 0 <= derived_seed(*one) < 2**63


def test_purposes_and_steps_have_streams_of_their_own():
    seeds = {derived_seed(seed, purpose, step) for seed in range(5) for purpose in Purpose for step in range(50)}
    assert len(seeds) == 5 * len(Purpose) * 50


def test_seeded_decides_the_weights_and_restores_the_global_state():
    weights = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        with seeded(4):
            weights.append(torch.nn.Linear(3, 3).weight)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*weights)
    with seeded(5):
        assert not torch.equal(torch.nn.Linear(3, 3).weight, weights[0])

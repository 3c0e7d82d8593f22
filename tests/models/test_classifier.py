"""What only a classifier has: targets that are populations, and probabilities of them."""

import pytest
import torch

from unbraid.likelihoods import Categorical
from unbraid.models import Classifier, log_weights
from unbraid.nets import MLPTrunk, ResidualNet
from unbraid.objectives import ELBO
from unbraid.types import Batch, Progress

NAMES = ("a", "b", "c")


@pytest.fixture
def classifier() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Classifier(ResidualNet((1, 8, 8), 3, (4, 6)), NAMES)


@pytest.fixture
def nine() -> Batch:
    return Batch(torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 3)


def test_the_loss_is_the_cross_entropy_and_nothing_else(classifier: Classifier, nine: Batch):
    assert nine.population is not None
    terms = ELBO()(classifier(nine), nine, Progress())
    expected = torch.nn.functional.cross_entropy(classifier(nine).output, nine.population)
    torch.testing.assert_close(terms.loss, expected)
    assert set(terms.parts) == {"reconstruction"}


def test_probabilities_are_those_that_the_likelihood_reads(classifier: Classifier, nine: Batch):
    classifier.eval()
    assert nine.population is not None
    found, forward = classifier.log_probabilities(nine.x), classifier(nine)
    torch.testing.assert_close(found.exp(), Categorical().mean(forward.output))
    torch.testing.assert_close(found[torch.arange(9), nine.population], forward.log_likelihood)


def test_it_has_no_codes_and_says_nothing_of_x(classifier: Classifier, nine: Batch):
    assert classifier.encode(nine.x) == classifier.samples(nine) == {}
    with pytest.raises(ValueError, match=r"a model that defines log p\(x\), got Classifier, which defines none"):
        log_weights(classifier.eval(), nine, 5, torch.Generator())


@pytest.mark.parametrize(
    ("outputs", "names", "message"),
    [
        (1, ("a",), r"expected at least two distinct populations to tell apart, got \('a',\)"),
        (2, ("a", "a"), r"two distinct populations to tell apart, got \('a', 'a'\)"),
        (3, ("a", "b"), r"one feature for each of 2 populations, got 3 in MLPTrunk.*give it 2 outputs"),
    ],
)
def test_what_cannot_tell_populations_apart_is_refused(outputs, names, message):
    with pytest.raises(ValueError, match=message):
        Classifier(MLPTrunk(5, (outputs,)), names)

"""Activations that are computed again on the way back, to save memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def forgetting(function: Callable[..., Tensor], *given: Tensor, modules: Iterable[nn.Module] = ()) -> Tensor:
    """`function` of what is given, keeping only that, not what lies between.

    Under `torch.func` transformations all is kept: the weights that they lend a network are gone by the way back.

    modules: those that `function` runs; batch norms in them count each batch once.
    """
    if not torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return function(*given)
    norms = [part for module in modules for part in module.modules() if isinstance(part, _BatchNorm)]
    return checkpoint(  # type: ignore[return-value]
        function,
        *given,
        use_reentrant=False,
        preserve_rng_state=False,  # nothing here is drawn
        context_fn=lambda: (nullcontext(), _at_rest(norms)),
    )


@contextmanager
def _at_rest(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Batch norms compute as ever, and their running statistics stay, to the bit."""
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count

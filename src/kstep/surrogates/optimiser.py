"""The optimisers (AdamW, or Muon for matrices with AdamW for the rest), and averaged weights."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kstep.config import TrainConfig

BETAS = (0.9, 0.99)
"""Adam's memory: with 0.99 instead of 0.999 the propagator errs 10 % less after 2,500 steps."""
AVERAGE_DECAY = 0.995
"""The average of the weights forgets a step after about 200."""
WARMUP = 0.02
"""Share of a training over which the learning rate rises."""
MOMENTUM = 0.95
SWEEPS = 5
"""Newton-Schulz iterations."""
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic that drives all singular values towards one (Jordan 2024)."""
ADAM_RMS = 0.2
"""Typical size of an Adam update in units of the learning rate, which Muon's is matched to."""
THIN = 4
"""Matrices with a side of this many or fewer have too few directions to make orthogonal."""


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of `train.optimiser`, with weight decay on matrices only."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=BETAS)
    return Muon(groups, config.lr, _hidden_matrices(model))


def _hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Matrices that map features to features: no embeddings, nothing thin."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return [
        p for p in model.parameters()
        if p.ndim == 2 and min(p.shape) > THIN and id(p) not in tables
    ]  # fmt: skip


class Muon(torch.optim.AdamW):
    """Muon for some matrices, AdamW for all other parameters.

    The momentum of a matrix is replaced by the nearest orthogonal matrix, so that all its
    directions learn equally fast (Jordan et al., "Muon", 2024; size of the update after
    Liu et al., arXiv:2502.16982). `torch.optim.Muon` does the same one matrix at a time; here
    matrices of one shape are treated together, which for networks of many small matrices takes
    a seventh of the time.

    Args:
        groups: parameter groups as AdamW takes them, the matrices among them.
        lr: learning rate.
        matrices: parameters to be orthogonalised.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float, matrices: Iterable[nn.Parameter]
    ) -> None:
        super().__init__(groups, lr=lr, betas=BETAS)
        self._chosen = {id(matrix) for matrix in matrices}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Not AdamW's own: it brings states of old torch up to date and takes all for Adam's.
        torch.optim.Optimizer.__setstate__(self, state)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; gradients of the matrices are used up."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for matrices in self._by_shape(group["params"]):
                    self._step_matrices(matrices, group["lr"], group["weight_decay"])
        super().step()
        return loss

    def _by_shape(self, parameters: list[Tensor]) -> Iterable[list[Tensor]]:
        shapes: dict[torch.Size, list[Tensor]] = {}
        for parameter in parameters:
            if id(parameter) in self._chosen and parameter.grad is not None:
                shapes.setdefault(parameter.shape, []).append(parameter)
        return shapes.values()

    def _step_matrices(self, matrices: list[Tensor], lr: float, weight_decay: float) -> None:
        gradients = [m.grad for m in matrices if m.grad is not None]
        memory = [self.state[m].setdefault("momentum", torch.zeros_like(m)) for m in matrices]
        torch._foreach_lerp_(memory, gradients, 1.0 - MOMENTUM)
        updates = torch.stack(torch._foreach_lerp(gradients, memory, MOMENTUM))
        size = ADAM_RMS * max(updates.shape[1:]) ** 0.5
        torch._foreach_mul_(matrices, 1.0 - lr * weight_decay)
        torch._foreach_add_(matrices, list(orthogonalise(updates).unbind(0)), alpha=-lr * size)
        for matrix in matrices:
            matrix.grad = None  # AdamW leaves it alone


def orthogonalise(matrices: Float[Tensor, "M a b"]) -> Float[Tensor, "M a b"]:
    """About U Vᵀ of every matrix U S Vᵀ: singular values between 0.7 and 1.2.

    Newton-Schulz iteration; singular values below about 1e-3 of the norm stay smaller.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
    a, b, c = COEFFICIENTS
    for _ in range(SWEEPS):
        square = x @ x.mT
        polynomial: Tensor = b * square + c * (square @ square)
        x = a * x + polynomial @ x
    return x.mT if tall else x


def update_average(average: nn.Module, model: nn.Module, steps_done: int) -> None:
    """Take the weights after a step into their exponential average, in place."""
    decay = min(AVERAGE_DECAY, (1 + steps_done) / (10 + steps_done))
    averages: list[Tensor] = list(average.parameters())
    weights: list[Tensor] = list(model.parameters())
    with torch.no_grad():
        torch._foreach_lerp_(averages, weights, 1.0 - decay)


def learning_rate(progress: float, first: float, last: float) -> float:
    """Linear warm-up, then half a cosine from the first to the last rate.

    `progress` is the share of the training that is done.
    """
    if progress < WARMUP:
        return first * (0.05 + 0.95 * progress / WARMUP)
    phase = (progress - WARMUP) / (1.0 - WARMUP)
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * phase))

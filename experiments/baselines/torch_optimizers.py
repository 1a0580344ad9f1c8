"""Optimizers of the PyTorch loops by the name after --optimizer, and the learning rate over steps.

Needs the baselines extra. What they compute is what training/optimizers.py says: parameters of one
dimension do not decay, and --layer_decay slows the layers down by how many lie above them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from ahmsa_jax import choices
from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.network import Path
from ahmsa_jax.networks.registry import network_of
from experiments.baselines import state_dicts, twins

Optimizer = torch.optim.Optimizer
Schedule = torch.optim.lr_scheduler.LRScheduler
Groups = list[dict[str, Any]]


class Adan(Optimizer):
    """Adan (Xie et al., doi:10.1109/TPAMI.2024.3423382, algorithm 1) with its authors' defaults.

    The decay is added to the step, as AdamW does it, and not divided by as in the paper's line 6:
    the engine's. Here because PyTorch has no Adan.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Take parameters or groups; `betas` are the decays of the three running means."""
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; no closure is taken."""
        for group in self.param_groups:
            for value in group["params"]:
                if value.grad is not None:
                    self._update(value, value.grad, group)

    def _update(self, value: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        state, (b1, b2, b3) = self.state[value], group["betas"]
        if not state:
            state["steps"] = 0
            for name in ("mean", "change", "square"):
                state[name] = torch.zeros_like(value)
            # The first step knows no change.
            state["last"] = gradient.clone()
        state["steps"] += 1
        change = gradient - state["last"]
        state["last"].copy_(gradient)
        ahead = gradient + (1 - b2) * change
        state["mean"].lerp_(gradient, 1 - b1)
        state["change"].lerp_(change, 1 - b2)
        state["square"].lerp_(ahead * ahead, 1 - b3)
        # Running means that begin at 0, made whole.
        mean, change, square = (
            state[name] / (1 - beta ** state["steps"])
            for name, beta in (("mean", b1), ("change", b2), ("square", b3))
        )
        update = (mean + (1 - b2) * change) / (square.sqrt() + group["eps"])
        update = update + group["weight_decay"] * value
        value.sub_(group["lr"] * update)


def _adam(groups: Groups, training: TrainConfig) -> Optimizer:
    return torch.optim.Adam(groups, lr=training.learning_rate)


def _adamw(groups: Groups, training: TrainConfig) -> Optimizer:
    return torch.optim.AdamW(groups, lr=training.learning_rate)


def _adan(groups: Groups, training: TrainConfig) -> Optimizer:
    return Adan(groups, lr=training.learning_rate)


# By the names of ahmsa_jax.choices.OPTIMIZERS.
OPTIMIZERS: dict[str, Callable[[Groups, TrainConfig], Optimizer]] = {
    "adam": _adam,
    "adamw": _adamw,
    "adan": _adan,
}


def make_optimizer(network: nn.Module, config: NetworkConfig, training: TrainConfig) -> Optimizer:
    """The optimizer that the settings name over a twin's parameters."""
    return OPTIMIZERS[training.optimizer](groups(network, config, training), training)


def groups(network: nn.Module, config: NetworkConfig, training: TrainConfig) -> Groups:
    """Parameters in groups of one decay and one learning rate each."""
    above = _layers_above(config) if training.layer_decay != 1 else {}
    found: dict[tuple[float, float], list[torch.Tensor]] = defaultdict(list)
    for name, value in network.named_parameters():
        decay = training.weight_decay if value.ndim > 1 else 0.0
        rate = training.learning_rate * training.layer_decay ** above.get(name, 0)
        found[decay, rate].append(value)
    return [
        {"params": params, "weight_decay": decay, "lr": rate}
        for (decay, rate), params in found.items()
    ]


def _layers_above(config: NetworkConfig) -> dict[str, int]:
    """How many layers lie above each parameter, by the twin's names."""
    above: Callable[[Path, Any], int] | None = network_of(config).layers_above
    assert above is not None, "refused with the settings"
    name_of = twins.TWINS[type(config)].name_of
    paths = state_dicts.flax_shapes(config)
    return {name_of(path): above(tuple(path.split("/")), config) for path in paths}


def make_schedule(optimizer: Optimizer, training: TrainConfig, steps: int) -> Schedule | None:
    """The learning rates of a training of so many steps; None where it stays the same."""
    share = choices.loaded(choices.SCHEDULES[training.schedule])(training, steps)
    if share is None:
        return None
    # The last value is for the step after the last one, which PyTorch asks for too.
    shares = [float(share(step)) for step in range(steps + 1)]
    return torch.optim.lr_scheduler.LambdaLR(optimizer, shares.__getitem__)

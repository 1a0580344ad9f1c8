"""Optimizers by the name after --optimizer, and the learning rate's schedule on top.

Parameters that can never matter (Network.is_frozen) are kept out of the optimizer, so weight decay
does not reach them either; nor does it reach those of one dimension.
"""

from typing import Any

import jax
import optax

from ahmsa_jax import choices
from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.registry import network_of

# Of Adam and AdamW: PyTorch's defaults, the paper being silent.
B1, B2, EPS = 0.9, 0.999, 1e-8


def make_optimizer(
    config: TrainConfig, steps: int, network: NetworkConfig | None = None
) -> optax.GradientTransformation:
    """The optimizer that the settings name, for a training of so many steps.

    `network` says which layers learn more slowly, where --layer_decay asks for it.
    """
    optimizer: optax.GradientTransformation = choices.loaded(choices.OPTIMIZERS[config.optimizer])(
        config
    )
    share = choices.loaded(choices.SCHEDULES[config.schedule])(config, steps)
    # Every update, decay included, is proportional to the learning rate.
    parts = [optimizer]
    if share:
        parts.append(optax.scale_by_schedule(share))
    if network is not None and config.layer_decay != 1:
        parts.append(_slower_below(config.layer_decay, network))
    return optax.chain(*parts) if len(parts) > 1 else optimizer


def _slower_below(decay: float, network: NetworkConfig) -> optax.GradientTransformation:
    """Updates of a layer times `decay` once for each layer above it."""
    above = network_of(network).layers_above
    assert above is not None, "refused with the settings"

    def scaled(updates: Any, params: Any) -> Any:
        return {path: leaf * decay ** above(path, network) for path, leaf in updates.items()}

    return optax.stateless(scaled)


def adam(config: TrainConfig) -> optax.GradientTransformation:
    """Adam as in the paper's Table 3, with PyTorch's defaults for what it leaves out."""
    return optax.adam(config.learning_rate, b1=B1, b2=B2, eps=EPS)


def adamw(config: TrainConfig) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101)."""
    return optax.adamw(
        config.learning_rate,
        b1=B1,
        b2=B2,
        eps=EPS,
        weight_decay=config.weight_decay,
        mask=_of_several_dimensions,
    )


def adan(config: TrainConfig) -> optax.GradientTransformation:
    """Adan (Xie et al., doi:10.1109/TPAMI.2024.3423382) with its authors' defaults."""
    return optax.adan(
        config.learning_rate,
        # Optax has 1e-8 here, which stops whatever has gradients below 1e-4.
        eps_root=0.0,
        weight_decay=config.weight_decay,
        mask=_of_several_dimensions,
    )


def _of_several_dimensions(params: Any) -> Any:
    """Which parameters decay: no biases, no scales of a normalisation."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

"""Optimizers by the name after --optimizer.

Parameters that can never matter (Network.is_frozen) are kept out of the optimizer, so weight decay
does not reach them either.
"""

import optax

from ahmsa_jax.config import TrainConfig


def adam(config: TrainConfig) -> optax.GradientTransformation:
    """Adam as in the paper's Table 3, with PyTorch's defaults for what it leaves out."""
    return optax.adam(config.learning_rate, b1=0.9, b2=0.999, eps=1e-8)


def adamw(config: TrainConfig) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101)."""
    return optax.adamw(
        config.learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=config.weight_decay
    )


def adan(config: TrainConfig) -> optax.GradientTransformation:
    """Adan (Xie et al., doi:10.1109/TPAMI.2024.3423382) with its authors' defaults."""
    return optax.adan(config.learning_rate, weight_decay=config.weight_decay)

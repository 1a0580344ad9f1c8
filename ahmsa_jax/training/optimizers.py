"""Optimizers by the name after --optimizer.

Parameters that can never matter (Network.is_frozen) are kept out of the optimizer, so weight decay
does not reach them either.
"""

import optax

from ahmsa_jax.config import TrainConfig

# Of Adam and AdamW: PyTorch's defaults, the paper being silent.
B1, B2, EPS = 0.9, 0.999, 1e-8


def adam(config: TrainConfig) -> optax.GradientTransformation:
    """Adam as in the paper's Table 3, with PyTorch's defaults for what it leaves out."""
    return optax.adam(config.learning_rate, b1=B1, b2=B2, eps=EPS)


def adamw(config: TrainConfig) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101)."""
    return optax.adamw(
        config.learning_rate, b1=B1, b2=B2, eps=EPS, weight_decay=config.weight_decay
    )


def adan(config: TrainConfig) -> optax.GradientTransformation:
    """Adan (Xie et al., doi:10.1109/TPAMI.2024.3423382) with its authors' defaults."""
    return optax.adan(config.learning_rate, weight_decay=config.weight_decay)

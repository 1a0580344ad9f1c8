"""Losses of a clip by the name after --loss: logits (B, K) and labels (B,) -> (B,).

In nats, but for the squared error.
"""

import jax
import jax.numpy as jnp
import optax

FOCAL_GAMMA = 2.0


def cross_entropy(logits_BxK: jax.Array, label_B: jax.Array) -> jax.Array:
    """Cross-entropy over the softmax (AHMSA-Net, arXiv 2501.02539, equation 5)."""
    return optax.softmax_cross_entropy_with_integer_labels(logits_BxK, label_B)


def focal(logits_BxK: jax.Array, label_B: jax.Array) -> jax.Array:
    """Focal loss -(1 - p)^2 log p of the true class's softmax p (doi:10.1109/ICCV.2017.324).

    Written here because optax has it for sigmoids only; the paper's class weight alpha is left out.
    """
    log_p_BxK = jax.nn.log_softmax(logits_BxK)
    log_p_B = jnp.take_along_axis(log_p_BxK, label_B[:, None], axis=-1)[:, 0]
    # 1 - p as expm1, which keeps its digits where p is almost 1.
    return -((-jnp.expm1(log_p_B)) ** FOCAL_GAMMA) * log_p_B


def logit_adjusted(logits_BxK: jax.Array, label_B: jax.Array, log_prior_K: jax.Array) -> jax.Array:
    """Cross-entropy after log_prior_K is added to the logits (Menon et al., arXiv 2007.07314).

    What is learned without the addition then treats all classes as equally frequent.
    """
    return cross_entropy(logits_BxK + log_prior_K, label_B)


def mse(logits_BxK: jax.Array, label_B: jax.Array) -> jax.Array:
    """Squared error of the logits against 1 for the true class and 0 for others, mean over classes.

    HSTA's equation 16, which leaves open whether a softmax comes before: none here.
    """
    target_BxK = jax.nn.one_hot(label_B, logits_BxK.shape[-1], dtype=logits_BxK.dtype)
    return jnp.mean(jnp.square(logits_BxK - target_BxK), axis=-1)

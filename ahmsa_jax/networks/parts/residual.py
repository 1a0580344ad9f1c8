"""Residual connections whose biases are summed apart from the patches.

A library's product adds an array of its result's shape on the way to memory, which costs no kernel
of its own; a bias per fold it does not add. So the patches in memory are those without the biases
that they met, whose sum is added wherever the patches are read. Letters in array names: B clips of
a batch, T patches of a clip, N = B*T rows of a product, D width.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ahmsa_jax.networks.parts import barrier, own_kernels


class Change(NamedTuple):
    """What a module adds to the patches: a product (..., D) and a bias (D,)."""

    product: jax.Array
    bias_D: jax.Array

    def whole(self) -> jax.Array:
        """Return both in one array (..., D)."""
        return self.product + self.bias_D.astype(self.product.dtype)


@dataclasses.dataclass(frozen=True)
class Patches:
    """Patches (B, T, D) between two modules, as rows, and the sum of biases that they still lack.

    Rows, because the compiler gives a product an array to add to in its own shape alone; in any
    other it makes a copy first.
    """

    shape: tuple[int, ...]
    lacking_NxD: jax.Array
    bias_D: jax.Array

    @classmethod
    def of(cls, x_BxTxD: jax.Array) -> "Patches":
        """Patches that lack nothing."""
        width = x_BxTxD.shape[-1]
        return cls(x_BxTxD.shape, x_BxTxD.reshape(-1, width), jnp.zeros(width, jnp.float32))

    @classmethod
    def made(cls, change: Change) -> "Patches":
        """Patches that a linear layer makes."""
        shape = change.product.shape
        product_NxD, bias_D = _parts(change.product.reshape(-1, shape[-1]), change.bias_D)
        return cls(shape, product_NxD, bias_D)

    def read(self) -> jax.Array:
        """Return the patches themselves, (B, T, D)."""
        return _whole(self.lacking_NxD, self.bias_D).reshape(self.shape)

    def plus(self, x_BxTxD: jax.Array) -> "Patches":
        """Return the patches plus an array of their shape."""
        whole = self.lacking_NxD.reshape(self.shape) + x_BxTxD
        lacking_NxD = whole.reshape(self.lacking_NxD.shape)
        if self.shape[-2] > 1:
            # Its compiler would read them in their other shape too, and add to a copy.
            (lacking_NxD,) = barrier.on_gpu(lacking_NxD)
        return dataclasses.replace(self, lacking_NxD=lacking_NxD)

    def changed(self, change: Change) -> "Patches":
        """Return the patches plus what a module adds to them."""
        product_NxD = change.product.reshape(self.lacking_NxD.shape)
        product_NxD, bias_D = _parts(product_NxD, change.bias_D)
        return Patches(self.shape, self.lacking_NxD + product_NxD, self.bias_D + bias_D)


def _parts(product_NxD: jax.Array, bias_D: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What stands in memory and the bias that is lacking, each with the gradient it is to get."""
    if own_kernels.are_used():
        # They give the bias its gradient wherever the patches are read.
        return product_NxD, bias_D
    return _lacking(product_NxD, bias_D), jax.lax.stop_gradient(bias_D)


@jax.custom_vjp
def _whole(product_NxD: jax.Array, bias_D: jax.Array) -> jax.Array:
    """Product + bias."""
    return Change(product_NxD, bias_D).whole()


@jax.custom_vjp
def _lacking(product_NxD: jax.Array, bias_D: jax.Array) -> jax.Array:
    """The product alone, with the gradient of product + bias.

    Where the bias is added no gradient leads to it: the patches' own, summed, is the same, and one
    reduction for all places that read them.
    """
    return product_NxD


def _gradient_of_both(_: None, dy_NxD: jax.Array) -> tuple[jax.Array, jax.Array]:
    # The bias gets its own in float32.
    return dy_NxD, jnp.sum(dy_NxD, axis=0, dtype=jnp.float32)


_whole.defvjp(lambda *parts: (Change(*parts).whole(), None), _gradient_of_both)
_lacking.defvjp(lambda product_NxD, _: (product_NxD, None), _gradient_of_both)

"""The attention kernels, run by Pallas's interpreter, against attention by JAX's operations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts import attention, attention_kernel

FOLDS = 2
# Clips, patches of a clip, heads, width of a head as filled up and as it is. The last tile reaches
# beyond the rows in the first two; a head of 88 is no power of two.
CASES = [(9, 4, 3, 8, 7), (5, 16, 3, 88, 85), (4, 8, 2, 16, 16), (1, 32, 1, 4, 4)]


def plain(y, tokens, heads, head_width):
    split = y.reshape(-1, tokens, 3, heads, y.shape[1] // 3 // heads)
    z, _ = attention.attend(*(split[:, :, place] for place in range(3)), head_width)
    return z.reshape(len(y), -1)


def given(clips, tokens, heads, filled, dtype):
    y = random(FOLDS, clips * tokens, 3 * heads * filled)
    return jnp.asarray(y, dtype), jnp.asarray(random(FOLDS, clips * tokens, heads * filled), dtype)


# Of the largest value. A bfloat16 has eight bits, and the kernel rounds at other places.
@pytest.mark.parametrize(("dtype", "rounding"), [(jnp.float32, 2e-6), (jnp.bfloat16, 0.01)])
@pytest.mark.parametrize(("clips", "tokens", "heads", "filled", "width"), CASES)
def test_kernels_are_attention_and_its_gradient(
    clips, tokens, heads, filled, width, dtype, rounding
):
    y, dz = given(clips, tokens, heads, filled, dtype)
    sizes = {"tokens": tokens, "heads": heads, "head_width": width}
    expected, back = jax.vmap(lambda y, dz: pulled(functools.partial(plain, **sizes), y, dz))(
        y.astype(jnp.float32), dz.astype(jnp.float32)
    )
    with jax.default_matmul_precision("highest"):
        forward = functools.partial(attention_kernel.forward, **sizes, interpret=True)
        backward = functools.partial(attention_kernel.backward, **sizes, interpret=True)
        found, gradient = jax.jit(jax.vmap(forward))(y), jax.jit(jax.vmap(backward))(y, dz)
    assert (found.dtype, gradient.dtype) == (dtype, dtype)
    for mine, other in ((found, expected), (gradient, back)):
        largest = float(np.abs(other).max())
        assert largest > 1
        np.testing.assert_allclose(mine.astype(jnp.float32), other, atol=rounding * largest)


def pulled(function, y, dz):
    z, back = jax.vjp(function, y)
    return z, back(dz)[0]


def test_a_cpu_computes_the_same_by_its_own_operations():
    y, dz = given(9, 4, 3, 8, jnp.float32)
    own = functools.partial(plain, tokens=4, heads=3, head_width=7)
    found = pulled(lambda y: attention_kernel.attended(y, 4, 3, 7, own), y[0], dz[0])
    for one, other in zip(found, pulled(own, y[0], dz[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_clips_do_not_see_each_other():
    y, _ = given(8, 4, 3, 8, jnp.float32)
    forward = functools.partial(
        attention_kernel.forward, tokens=4, heads=3, head_width=8, interpret=True
    )
    changed = y[0].at[4:8].add(100.0)
    before, after = forward(y[0]), forward(changed)
    others = np.r_[0:4, 8:32]
    np.testing.assert_array_equal(after[others], before[others])
    assert np.abs(after[4:8] - before[4:8]).max() > 1


def test_operations_follow_from_the_shapes():
    # 36 rows against tiles of 32, three heads of 8, two operations each.
    product = 2 * 36 * 32 * 24
    assert attention_kernel.forward_flop([(36, 72)]) == 2 * product
    assert attention_kernel.backward_flop([(5, 36, 72), (5, 36, 24)]) == 5 * 5 * product

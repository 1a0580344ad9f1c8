"""A barrier that only a GPU's program has."""

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.networks.parts import barrier


def _program(platform, x):
    traced = jax.jit(jax.vmap(lambda one: barrier.on_gpu(one * 2, one + 1))).trace(x)
    return traced.lower(lowering_platforms=(platform,)).as_text()


def test_it_is_in_the_program_of_a_gpu_alone():
    x = jnp.ones((2, 3))
    assert "optimization_barrier" in _program("cuda", x)
    assert "optimization_barrier" not in _program("cpu", x)


def test_arrays_and_gradients_pass_as_they_are():
    x = jnp.arange(3.0)

    def loss(x):
        double, more = barrier.on_gpu(x * 2, x + 1)
        return jnp.sum(double * more)

    value, slope = jax.value_and_grad(loss)(x)
    # Of 2x (x + 1).
    assert value == 0 + 4 + 12
    np.testing.assert_array_equal(slope, 4 * np.arange(3.0) + 2)

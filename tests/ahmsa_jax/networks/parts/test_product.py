"""Gradients of products with few rows and a large kernel, which a CPU takes another way round."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.networks.parts import product

FOLDS, ROWS, WIDTH, FEATURES = 2, 8, 512, 2048
LEAST_WIDTH = -(-product.LARGE_KERNEL // FEATURES)


def _arrays(rows=ROWS):
    rng = np.random.default_rng(0)
    shapes = ((FOLDS, rows, WIDTH), (FOLDS, WIDTH, FEATURES), (FOLDS, rows, FEATURES))
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def _pulled(multiply, x_FxNxD, kernel_FxDxF, dy_FxNxF):
    y, pull = jax.vjp(jax.vmap(multiply), x_FxNxD, kernel_FxDxF)
    return y, *pull(dy_FxNxF)


def test_values_and_gradients_of_several_folds_are_those_of_the_plain_product():
    arrays = _arrays()
    found = jax.jit(lambda *given: _pulled(product.product, *given))(*arrays)
    x, kernel, dy = (np.asarray(array, np.float64) for array in arrays)
    expected = (x @ kernel, dy @ np.swapaxes(kernel, 1, 2), np.swapaxes(x, 1, 2) @ dy)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize(
    ("rows", "width", "is_turned"),
    [
        (product.FEW_ROWS, LEAST_WIDTH, True),
        (product.FEW_ROWS + 1, LEAST_WIDTH, False),
        (ROWS, LEAST_WIDTH - 1, False),
    ],
)
def test_only_few_rows_with_a_large_kernel_are_turned(rows, width, is_turned):
    x_NxD, kernel_DxF = jnp.ones((rows, width)), jnp.ones((width, FEATURES))
    pull = jax.vjp(product.product, x_NxD, kernel_DxF)[1]
    program = str(jax.make_jaxpr(pull)(jnp.ones((rows, FEATURES))))
    assert ("optimization_barrier" in program) == is_turned


def test_a_cpus_program_multiplies_with_the_kernel_as_first_operand():
    _, kernel_FxDxF, dy_FxNxF = _arrays()
    turned = jax.jit(product.kernel_first).lower(kernel_FxDxF[0], dy_FxNxF[0]).compile()
    (line,) = [line for line in turned.as_text().splitlines() if " dot(" in line]
    assert f"f32[{WIDTH},{ROWS}]" in line.split(" dot(")[0]

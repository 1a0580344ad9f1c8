"""The product of rows with a layer's kernel, and how a CPU takes its gradient.

Letters in array names: N rows, D width of the input, F features.
"""

import jax

# A CPU's library packs the second operand of a product before it multiplies. For the rows' gradient
# that operand is the kernel, transposed; where it is large and the rows are few, packing takes
# longer than multiplying. Measured on two cores with JAX 0.7.1, as it comes and with the kernel
# first: 38 to 57 and 96 to 120 GFLOP/s on an AMD EPYC, 57 to 101 and 179 to 211 on an Intel Xeon.
# Much smaller kernels or more rows lose by it.
FEW_ROWS, LARGE_KERNEL = 512, 1_000_000


def product(x_NxD: jax.Array, kernel_DxF: jax.Array) -> jax.Array:
    """Return x @ kernel, (N, F)."""
    if len(x_NxD) <= FEW_ROWS and kernel_DxF.size >= LARGE_KERNEL:
        return _of_few_rows(x_NxD, kernel_DxF)
    return x_NxD @ kernel_DxF


@jax.custom_vjp
def _of_few_rows(x_NxD: jax.Array, kernel_DxF: jax.Array) -> jax.Array:
    return x_NxD @ kernel_DxF


def _forward(
    x_NxD: jax.Array, kernel_DxF: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x_NxD @ kernel_DxF, (x_NxD, kernel_DxF)


def _backward(saved: tuple[jax.Array, jax.Array], dy_NxF: jax.Array) -> tuple[jax.Array, jax.Array]:
    x_NxD, kernel_DxF = saved
    dx_NxD = jax.lax.platform_dependent(
        kernel_DxF, dy_NxF, cpu=kernel_first, default=lambda kernel, dy: dy @ kernel.T
    )
    return dx_NxD, x_NxD.T @ dy_NxF


def kernel_first(kernel_DxF: jax.Array, dy_NxF: jax.Array) -> jax.Array:
    """Return dy @ kernel^T, (N, D), as the transpose of kernel @ dy^T."""
    # Without the barriers the compiler would turn it back.
    dy_FxN = jax.lax.optimization_barrier(dy_NxF.T)
    return jax.lax.optimization_barrier(kernel_DxF @ dy_FxN).T


_of_few_rows.defvjp(_forward, _backward)

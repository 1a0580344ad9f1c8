"""A barrier between parts of a program, for the compiler of a GPU alone."""

import jax


def on_gpu(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """The same arrays; on a GPU what makes them and what reads them become kernels apart.

    On a CPU a barrier would cost some per cent of a training step.
    """
    kept: tuple[jax.Array, ...] = jax.lax.platform_dependent(
        *arrays,
        cpu=lambda *same: same,
        default=lambda *same: jax.lax.optimization_barrier(same),
    )
    return kept

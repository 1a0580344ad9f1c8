"""What a training step must cost at least: work counted from the shapes, ceilings measured here.

The floor of a fold-step is its products at the machine's best matrix-product rate, then the
traffic of weights and optimizer at its best memory rate; the two do not overlap, Adam having no
products to hide behind. Activations are left out, since a perfect program would keep them on chip.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ahmsa_jax.config import NetworkConfig, Precision
from ahmsa_jax.networks.arithmetic import forward_products
from experiments.schedule.forecast import best_seconds, numpy_product_rate

# Bytes moved per parameter and step. float32: read for the forward and the backward pass, gradient
# written and read (16), value and two moments read and written (24). bfloat16: the same master
# copies, but 2-byte weights and gradients in the passes, and the 2-byte copy written (34).
BYTES_PER_PARAMETER = {"float32": 40, "tf32": 40, "bfloat16": 34}
# Parts that read maps or pictures beside a network's first one.
_READING = ("video_embedding", "flow_convolution_0")
_REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """Best rates seen on a device: operations per second by precision, and bytes per second."""

    product_rate: dict[Precision, float]
    memory_rate: float


def step_operations(config: NetworkConfig, batch_size: int) -> int:
    """Floating-point operations of one optimizer step on a batch, Adam left out.

    Two per multiply-add, forward and twice that backward; the maps need no gradient.
    """
    products = forward_products(config)
    # The first part is the one that reads the maps.
    reading = {next(iter(products)), *_READING}
    unneeded = sum(count for part, count in products.items() if part in reading)
    return batch_size * (6 * sum(products.values()) - 2 * unneeded)


def step_bytes(live_parameters: int, precision: Precision) -> int:
    """Bytes that weights, gradients and Adam's moments move in one step."""
    return live_parameters * BYTES_PER_PARAMETER[precision]


def floor_seconds(
    operations: int, moved_bytes: int, ceilings: Ceilings, precision: Precision
) -> float:
    """Least seconds of a fold-step on the device of the ceilings."""
    return operations / ceilings.product_rate[precision] + moved_bytes / ceilings.memory_rate


def measure_ceilings(device: jax.Device, precisions: Sequence[Precision]) -> Ceilings:
    """Time square matrix products and a sum of large arrays on `device`; the best of some."""
    big = device.platform != "cpu"
    side, numbers = (8192, 2**28) if big else (2048, 2**25)
    rates = {name: _product_rate(device, side, name) for name in precisions}
    if not big:
        # Several libraries compete on a CPU: a ceiling is what the best of them reaches.
        numpys = numpy_product_rate(side, _REPEATS)
        rates = {name: max(rate, numpys) for name, rate in rates.items()}
    first, second = (
        jax.device_put(jnp.full(numbers, value, jnp.float32), device) for value in (1, 2)
    )
    total = jax.jit(lambda x, y: x + y)
    # Two arrays read, one written.
    seconds = best_seconds(lambda: total(first, second).block_until_ready(), _REPEATS)
    return Ceilings(rates, 12 * numbers / seconds)


def _product_rate(device: jax.Device, side: int, precision: Precision) -> float:
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    factor = jax.device_put(jnp.ones((side, side), dtype), device)
    with jax.default_matmul_precision("highest" if precision == "float32" else "default"):
        product = jax.jit(lambda x, y: x @ y).lower(factor, factor).compile()
    return 2 * side**3 / best_seconds(lambda: product(factor, factor).block_until_ready(), _REPEATS)

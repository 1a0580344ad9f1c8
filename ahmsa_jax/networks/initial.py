"""Initial parameters of a fold, all drawn at once.

The network's own initialisers say the same leaf by leaf, but compiling one random draw per leaf
takes longer than training a small run; one draw for all leaves compiles in a second.
"""

import functools
import math
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

Path = tuple[str, ...]


def parameter_shapes(model: nn.Module, config: Any) -> dict[Path, tuple[int, ...]]:
    """Shape of every parameter of the network by path, without computing anything."""
    return _shapes(model, config, "params")


def initial_statistics(model: nn.Module, config: Any) -> dict[Path, jax.Array]:
    """Running statistics before the first step, flattened by path: means 0, variances 1.

    Empty for a network without batch normalisation.
    """
    return {
        path: jnp.full(shape, 1.0 if path[-1] == "var" else 0.0, jnp.float32)
        for path, shape in _shapes(model, config, "batch_stats").items()
    }


def _shapes(model: nn.Module, config: Any, collection: str) -> dict[Path, tuple[int, ...]]:
    flat = flax.traverse_util.flatten_dict(_variables(model, config).get(collection, {}))
    return {path: flat[path].shape for path in sorted(flat)}


# Tracing the network takes longer than a small run's epochs, and many ask.
@functools.cache
def _variables(model: nn.Module, config: Any) -> Any:
    blank = jax.ShapeDtypeStruct((1, config.image_size, config.image_size, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), blank)


def initial_params(key: jax.Array, shapes: dict[Path, tuple[int, ...]]) -> dict[Path, jax.Array]:
    """Draw a fold's parameters, flattened by path, float32.

    Kernels and their biases: uniform in +-1/sqrt(fan_in), PyTorch's default for Linear and Conv.
    Normalisation: scale 1, bias 0. A positional embedding: normal with deviation 0.02; HTNet's
    scalar ones (pos_emb) have deviation 1, as in its code.
    """
    drawn = {path: bound for path in shapes if (bound := _bound(path, shapes))}
    total = sum(math.prod(shapes[path]) for path in drawn)
    unit = jax.random.uniform(key, (total,), jnp.float32, minval=-1.0, maxval=1.0)
    params: dict[Path, jax.Array] = {}
    start = others = 0
    for path, shape in shapes.items():
        if path in drawn:
            size = math.prod(shape)
            params[path] = drawn[path] * unit[start : start + size].reshape(shape)
            start += size
        elif path[-1] == "scale":
            params[path] = jnp.ones(shape, jnp.float32)
        elif path[-1] == "bias":
            params[path] = jnp.zeros(shape, jnp.float32)
        else:
            others += 1
            deviation = 1.0 if path[-1].endswith("pos_emb") else 0.02
            normal = jax.random.normal(jax.random.fold_in(key, others), shape)
            params[path] = deviation * normal
    return params


def _bound(path: Path, shapes: dict[Path, Any]) -> float | None:
    kernel = shapes.get((*path[:-1], "kernel"))
    if kernel is None or path[-1] not in ("kernel", "bias"):
        return None
    return math.prod(kernel[:-1]) ** -0.5

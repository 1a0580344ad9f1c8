"""Initial parameters of a fold: what the modules declare, most of it drawn at once.

Compiling one random draw per leaf takes longer than training a small run. So leaves that declare
`UniformByFanIn` share one draw and those that declare `JointNormal` another; `Normal` and
`Constant` are recognised too, and any other initialiser is called as Flax would.
"""

import abc
import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.config import NetworkConfig
from ahmsa_jax.inputs.frames import FRAMES
from ahmsa_jax.networks.network import Path
from ahmsa_jax.networks.registry import network_of

# While a network is traced for its rules: each placeholder made, and the rule it stands for.
_noted: list[tuple[jax.Array, "Rule"]] | None = None


class Rule(abc.ABC):
    """An initialiser that is recognised: in a trace for rules it leaves a placeholder."""

    def __call__(
        self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
    ) -> jax.Array:
        """The leaf, as Flax asks for it."""
        if _noted is None:
            return self.drawn(key, shape, dtype)
        placeholder = jnp.zeros(shape, dtype)
        _noted.append((placeholder, self))
        return placeholder

    @abc.abstractmethod
    def drawn(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        """The leaf, drawn for itself."""


@dataclasses.dataclass(frozen=True)
class UniformByFanIn(Rule):
    """Uniform in +-1/sqrt(fan_in): PyTorch's default for weights AND biases of Linear and Conv.

    At the paper's learning rate a weight moves by less than a hundredth in a whole training, so
    the initial range is part of the method.
    """

    fan_in: int

    @property
    def bound(self) -> float:
        """Largest value."""
        return float(self.fan_in) ** -0.5

    def drawn(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        """The leaf, drawn for itself."""
        return jax.random.uniform(key, shape, dtype, minval=-self.bound, maxval=self.bound)


@dataclasses.dataclass(frozen=True)
class Normal(Rule):
    """Normal around 0."""

    deviation: float

    def drawn(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        """The leaf, drawn for itself."""
        return self.deviation * jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class JointNormal(Normal):
    """Normal around 0, for networks with many such leaves: one draw for all of them.

    Vision transformers cut this distribution at +-2, which at their deviation of 0.02 never
    happens.
    """


@dataclasses.dataclass(frozen=True)
class Constant(Rule):
    """One value everywhere."""

    value: float

    def drawn(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        """The leaf."""
        return jnp.full(shape, self.value, dtype)


def blank_inputs(config: NetworkConfig) -> list[jax.ShapeDtypeStruct]:
    """Shapes of one clip's inputs, in the order in which the network takes them."""
    side = config.image_size
    blank_of = {
        "flow": jax.ShapeDtypeStruct((1, side, side, config.channels), jnp.float32),
        "flow_px": jax.ShapeDtypeStruct((1, side, side, 3), jnp.float16),
        "frames": jax.ShapeDtypeStruct((1, FRAMES, side, side, 3), jnp.uint8),
    }
    return [blank_of[name] for name in network_of(config).inputs_of(config)]


def parameter_shapes(model: nn.Module, config: NetworkConfig) -> dict[Path, tuple[int, ...]]:
    """Shape of every parameter of the network by path, without computing anything."""
    return {path: leaf.shape for path, leaf in _traced(model, config)[0].items()}


def statistic_shapes(model: nn.Module, config: NetworkConfig) -> dict[Path, tuple[int, ...]]:
    """Shape of every running statistic by path; empty for a network without."""
    return {path: leaf.shape for path, leaf in _traced(model, config)[1].items()}


# Tracing the network takes longer than a small run's epochs, and many ask.
@functools.cache
def _traced(
    model: nn.Module, config: NetworkConfig
) -> tuple[dict[Path, jax.ShapeDtypeStruct], dict[Path, jax.ShapeDtypeStruct], dict[Path, Rule]]:
    """Shapes of parameters and running statistics by path, sorted, and the rules recognised."""
    rules: dict[Path, Rule] = {}

    def init(*inputs: jax.Array) -> Any:
        # The key is made here, so that JAX starts no device for it.
        with _noting() as noted:
            variables = model.init(jax.random.key(0), *inputs)
        # A parameter that Flax stored as it came from its initialiser is the same object.
        rule_of = {id(placeholder): rule for placeholder, rule in noted}
        for path, leaf in _flat(variables, "params").items():
            if id(leaf) in rule_of:
                rules[path] = rule_of[id(leaf)]
        return variables

    shapes = jax.eval_shape(init, *blank_inputs(config))
    return _flat(shapes, "params"), _flat(shapes, "batch_stats"), rules


@contextlib.contextmanager
def _noting() -> Iterator[list[tuple[jax.Array, Rule]]]:
    global _noted
    before, _noted = _noted, []
    try:
        yield _noted
    finally:
        _noted = before


def _flat(variables: Mapping[str, Any], collection: str) -> dict[Path, Any]:
    flat = flax.traverse_util.flatten_dict(variables.get(collection, {}))
    return {path: flat[path] for path in sorted(flat)}


def initial_variables(
    key: jax.Array, model: nn.Module, config: NetworkConfig
) -> tuple[dict[Path, jax.Array], dict[Path, jax.Array]]:
    """A fold's parameters and running statistics, flattened by path, as the modules declare them.

    To be called inside jit: what is recognised takes one draw, and only the rest costs more.
    """
    shapes, statistics, rules = _traced(model, config)
    bounds = {path: rule.bound for path, rule in rules.items() if isinstance(rule, UniformByFanIn)}
    total = sum(math.prod(shapes[path].shape) for path in bounds)
    unit = jax.random.uniform(key, (total,), jnp.float32, minval=-1.0, maxval=1.0)
    joint = {path: rule for path, rule in rules.items() if isinstance(rule, JointNormal)}
    normal = _unit_normal(key, sum(shapes[path].size for path in joint))
    declared: Any = {}
    if statistics or len(rules) < len(shapes):
        with _noting():
            declared = model.init(jax.random.fold_in(key, 0), *map(_zeros, blank_inputs(config)))
    foreign = _flat(declared, "params")
    params: dict[Path, jax.Array] = {}
    start = normals = normals_start = 0
    for path, leaf in shapes.items():
        rule = rules.get(path)
        if isinstance(rule, UniformByFanIn):
            size = math.prod(leaf.shape)
            params[path] = bounds[path] * unit[start : start + size].reshape(leaf.shape)
            start += size
        elif path in joint:
            end = normals_start + leaf.size
            unit_leaf = normal[normals_start:end].reshape(leaf.shape)
            params[path] = joint[path].deviation * unit_leaf
            normals_start = end
        elif rule is not None:
            normals += isinstance(rule, Normal)
            params[path] = rule.drawn(jax.random.fold_in(key, normals), leaf.shape, leaf.dtype)
        else:
            params[path] = foreign[path]
    return params, _flat(declared, "batch_stats")


def _unit_normal(key: jax.Array, count: int) -> jax.Array:
    # Far from the small numbers that are folded into the key of the others.
    return jax.random.normal(jax.random.fold_in(key, 2**31), (count,)) if count else jnp.zeros(0)


def _zeros(shape: jax.ShapeDtypeStruct) -> jax.Array:
    return jnp.zeros(shape.shape, shape.dtype)

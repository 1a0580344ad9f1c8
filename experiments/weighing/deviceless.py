"""Compiles the engine's training program for a GPU that need not be here."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from ahmsa_jax.config import OWN_KERNELS, ConfigError, NetworkConfig, TrainConfig
from ahmsa_jax.training.chunk_state import needed_bytes
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.protocols import EpochShape
from ahmsa_jax.training.step import computing
from experiments.weighing.cards import Card


@dataclasses.dataclass(frozen=True)
class Program:
    """What an engine is compiled for."""

    model_config: NetworkConfig
    train_config: TrainConfig
    shape: EpochShape
    folds: int
    clips: int
    test_places: int
    eval_every: int


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled program: its text and what it takes."""

    text: str
    bytes_arguments: int
    bytes_temporaries: int
    bytes_needed: int
    cpu_seconds: float  # of tracing and compiling, over all threads


def device_of(card: Card) -> Any:
    """A device to compile for; raises ConfigError where JAX cannot do so here."""
    try:
        described = topologies.get_topology_desc(
            platform="cuda", topology_name="", topology="1x1x1", target_config=card.description
        )
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"JAX {jax.__version__} cannot compile for {card.name} here ({first}); compiling for a "
            "GPU needs JAX's CUDA plugin: python -m pip install -e '.[cuda12]' (tried with JAX "
            "0.12 on Python 3.12)."
        ) from error
    return described.devices[0]


def compile_for(card: Card, program: Program) -> Compiled:
    """Compile the training program of a chunk for the card; nothing is run."""
    began = _cpu_seconds()
    device = device_of(card)
    engine = Engine(
        program.model_config,
        program.train_config,
        program.shape,
        size=program.folds,
        test_places=program.test_places,
        eval_every=program.eval_every,
        devices=[device],
    )
    (chunk, data), number = engine.shapes(program.clips), jax.ShapeDtypeStruct((), jnp.int32)
    # The axis of the devices is left out: this is for one.
    state, inputs, data = jax.tree.map(
        lambda array: jax.ShapeDtypeStruct(array.shape[1:], array.dtype),
        (chunk.state, chunk.inputs, data),
    )
    place = SingleDeviceSharding(device)
    train = jax.jit(
        engine.train_folds, in_shardings=place, out_shardings=place, donate_argnums=(0,)
    )
    with computing(program.train_config), _kernels_for(card, program.train_config):
        compiled: Any = train.lower(state, inputs, data, number, number).compile()
    usage = compiled.memory_analysis()
    return Compiled(
        compiled.as_text(),
        usage.argument_size_in_bytes,
        usage.temp_size_in_bytes,
        needed_bytes(usage),
        _cpu_seconds() - began,
    )


@contextlib.contextmanager
def _kernels_for(card: Card, training: TrainConfig) -> Iterator[None]:
    """Tell kernels of our own which card they are for; they would ask the GPU that is here."""
    if not any(getattr(training, name) for name in OWN_KERNELS):
        yield
        return
    sharding: Any = jax.sharding
    described = sharding.AbstractDevice(card.name, num_cores=None, platform="cuda")
    auto = (sharding.AxisType.Auto,)
    with sharding.use_abstract_mesh(
        sharding.AbstractMesh((1,), ("x",), auto, abstract_device=described)
    ):
        yield


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

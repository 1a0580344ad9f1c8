"""What a module declares is what its parameters start with, and most of it takes one draw."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks import registry
from ahmsa_jax.networks.initial import (
    Constant,
    JointNormal,
    Normal,
    initial_variables,
    parameter_shapes,
)
from ahmsa_jax.networks.network import Network
from ahmsa_jax.networks.parts.layers import Linear
from ahmsa_jax.training.step import make_learner, make_model


@dataclasses.dataclass(frozen=True)
class ForeignConfig(NetworkConfig):
    pass


class Foreign(nn.Module):
    """Flax's own layers with initialisers of every sort, beside one of ours."""

    config: ForeignConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, flow, *, real_B=None, train=False):
        x = flow.reshape(len(flow), -1)[:, :64]
        x = nn.Dense(
            8,
            kernel_init=nn.initializers.zeros,
            bias_init=nn.initializers.constant(7.0),
            name="zero",
        )(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        x = nn.Dense(500, kernel_init=nn.initializers.he_normal(), name="he")(x)
        x = x * self.param("layer_scale", nn.initializers.constant(1e-6), (500,))
        x = x + self.param("table", nn.initializers.orthogonal(), (4, 500))[0]
        x = x + self.param("own", Constant(0.25), (500,)) + self.param("wide", Normal(3.0), (500,))
        return Linear(self.config.num_classes, name="ours")(x), {}


FOREIGN = Network("foreign", ForeignConfig, Foreign, layout="whole")


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.setitem(registry.NETWORKS, "foreign", FOREIGN)
    config = ForeignConfig()
    model = Foreign(config)
    draw = jax.jit(lambda key: initial_variables(key, model, config))
    return [jax.tree.map(np.asarray, draw(key)) for key in (jax.random.key(0), jax.random.key(1))]


def test_foreign_initialisers_are_honoured(drawn):
    (params, statistics), (other, _) = drawn
    assert (params["zero", "kernel"] == 0).all()
    assert (params["zero", "bias"] == 7).all()
    assert (params["layer_scale",] == np.float32(1e-6)).all()
    assert (params["own",] == 0.25).all()
    assert (params["norm", "scale"] == 1).all()
    table = params["table",]
    np.testing.assert_allclose(table @ table.T, np.eye(4), atol=1e-5)
    # He's deviation is sqrt(2 / 8); 4,000 draws tell it to 1.2 %, so 5 % are four of those.
    assert params["he", "kernel"].std() == pytest.approx(0.5, rel=0.05)
    assert params["wide",].std() == pytest.approx(3.0, rel=0.13)
    bound = 500**-0.5
    assert 0.95 * bound < np.abs(params["ours", "kernel"]).max() <= bound
    for name in (("he", "kernel"), ("table",), ("wide",), ("ours", "kernel")):
        assert (params[name] != other[name]).any(), name
    assert {path: (value == (path[-1] == "var")).all() for path, value in statistics.items()} == {
        ("norm", "mean"): True,
        ("norm", "var"): True,
    }


def count(program, primitive):
    """How often an operation stands in a program, in the functions that it calls too."""
    found = 0
    for equation in program.eqns:
        found += equation.primitive.name == primitive
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found += count(inner, primitive)
    return found


class ManyNormals(Foreign):
    """Three leaves of one draw, and two that are drawn as they were without them."""

    @nn.compact
    def __call__(self, flow, *, real_B=None, train=False):
        x = flow.reshape(len(flow), -1)[:, :64]
        for name, deviation in (("a", 0.02), ("b", 0.02), ("c", 1.0)):
            kernel_rule = JointNormal(deviation)
            x = Linear(64, kernel_rule=kernel_rule, name=name)(x)
        x = x + self.param("wide", Normal(3.0), (64,))
        return Linear(self.config.num_classes, name="ours")(x), {}


def test_joint_normals_share_one_draw_and_are_as_wide_as_declared(monkeypatch):
    monkeypatch.setitem(registry.NETWORKS, "foreign", FOREIGN)
    config = ForeignConfig()
    model = ManyNormals(config)
    draw = lambda key: initial_variables(key, model, config)  # noqa: E731
    program = jax.make_jaxpr(draw)(jax.random.key(0))
    # Of the uniform leaves, of the three kernels, and of the one on its own.
    assert count(program.jaxpr, "random_bits") == 3
    params, _ = jax.jit(draw)(jax.random.key(0))
    kernels = {name: np.asarray(params[name, "kernel"]) for name in "abc"}
    for name, deviation in (("a", 0.02), ("b", 0.02), ("c", 1.0)):
        # 4,096 draws tell a deviation to 1.1 %, so 5 % are four of those.
        assert kernels[name].std() == pytest.approx(deviation, rel=0.05)
        assert abs(kernels[name].mean()) < 5 * deviation / 64
        assert (params[name, "bias"] == 0).all()
    # No two leaves are the same numbers.
    assert abs(np.corrcoef(kernels["a"].ravel(), kernels["b"].ravel())[0, 1]) < 5 / 64


@pytest.mark.parametrize("name", ["ahmsa", "htnet", "ststnet"])
def test_the_networks_here_need_one_draw_of_all_weights(name):
    """What the compile time rests on: no leaf of theirs falls back to a draw of its own."""
    config = registry.NETWORKS[name].config()
    model = make_model(config, TrainConfig())
    program = jax.make_jaxpr(lambda key: initial_variables(key, model, config))(jax.random.key(0))
    draws = count(program.jaxpr, "random_bits")
    embeddings = sum(path[-1].endswith("pos_emb") for path in parameter_shapes(model, config))
    assert draws == 1 + embeddings


def test_a_network_without_own_counts_takes_the_compilers(monkeypatch):
    from ahmsa_jax.networks import arithmetic

    monkeypatch.setitem(registry.NETWORKS, "foreign", FOREIGN)
    (total,) = arithmetic.forward_products(ForeignConfig()).values()
    # Products: 64 x 8, 8 x 500, 500 x 3; the rest is element-wise, some operations for each of
    # 500 values.
    products = 64 * 8 + 8 * 500 + 500 * 3
    assert products <= total < products + 5000
    assert arithmetic.activations(ForeignConfig()) > 0
    assert make_learner(ForeignConfig(), TrainConfig()).inputs == ("flow",)

"""Networks with kernels of our own, run by Pallas's interpreter, against the same without."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from random_arrays import random
from small_problem import MODEL, TRAINING, inputs

from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.parts import attention_kernel, norm_kernel, own_kernels
from ahmsa_jax.networks.parts.patch_norm import PatchNorm
from ahmsa_jax.networks.parts.residual import Patches
from ahmsa_jax.training import step

HTNET = HTNetConfig(base_dim=12, blocks=(1, 1), patch_size=14)


def test_the_switch_goes_back_even_after_a_fault():
    assert not own_kernels.are_used()
    with own_kernels.used(True):
        with own_kernels.used(False):
            assert not own_kernels.are_used()
        assert own_kernels.are_used()
        with pytest.raises(KeyError), own_kernels.used(False):
            raise KeyError
        assert own_kernels.are_used()
    assert not own_kernels.are_used()


def test_a_setting_switches_it_for_what_is_traced():
    with step.computing(dataclasses.replace(TRAINING, fused_layers=True)):
        assert own_kernels.are_used()
        with step.computing(TRAINING):
            assert not own_kernels.are_used()


@pytest.fixture
def interpreted(monkeypatch):
    """Names of the kernels that were called, in place of what a CPU would compute."""
    called = []

    def of_platform(*arrays, default, **by_platform):
        kernel = by_platform.get("cuda")
        if kernel is None:
            return by_platform.get("cpu", default)(*arrays)
        called.append((kernel.func.__module__, kernel.func.__name__))
        return kernel(*arrays, interpret=True)

    monkeypatch.setattr(jax.lax, "platform_dependent", of_platform)
    # JAX keeps what it traced of functions that are jitted by themselves.
    jax.clear_caches()
    yield called
    jax.clear_caches()


def gradient_of(model, training):
    """Logits of two folds' networks, and the gradient of what is made of them."""
    flow = inputs()[0]["flow"]
    module = step.make_model(model, training)
    folds = jax.vmap(lambda key: module.init(key, flow)["params"])(
        jax.random.split(jax.random.key(0), 2)
    )

    def loss(params):
        logits, _ = module.apply({"params": params}, flow)
        return jnp.sum(jnp.sin(3 * logits)), logits

    with step.computing(training):
        return jax.jit(jax.vmap(jax.grad(loss, has_aux=True)))(folds)


# HTNet attends to one patch at a time, which needs no kernel.
@pytest.mark.parametrize(
    ("model", "kernels"),
    [(MODEL, (norm_kernel, attention_kernel)), (HTNET, (norm_kernel,))],
    ids=["ahmsa", "htnet"],
)
def test_the_gradient_is_the_same_but_for_rounding(interpreted, model, kernels):
    plain, logits = gradient_of(model, TRAINING)
    assert not interpreted
    own, own_logits = gradient_of(model, dataclasses.replace(TRAINING, fused_layers=True))
    ways = ("forward", "backward")
    assert set(interpreted) == {(kernel.__name__, way) for kernel in kernels for way in ways}
    np.testing.assert_allclose(own_logits, logits, atol=1e-5)
    mine, theirs = flatten_dict(own), flatten_dict(plain)
    largest = max(float(np.abs(expected).max()) for expected in theirs.values())
    for path, expected in theirs.items():
        # What HTNet adds to all channels its norms take away: a gradient of rounding alone.
        size = largest / 10 if path[-1].endswith("pos_emb") else float(np.abs(expected).max())
        atol = 1e-5 * max(1e-3, size)
        np.testing.assert_allclose(mine[path], expected, atol=atol, err_msg=path)


def test_patches_go_on_as_they_are():
    patches = Patches.of(random(3, 4, 8))
    norm = PatchNorm()
    params = norm.init(jax.random.key(0), patches)
    plain, same = norm.apply(params, patches)
    assert same is patches
    with own_kernels.used(True):
        mine, same = norm.apply(params, patches)
    np.testing.assert_array_equal(same.read(), patches.read())
    np.testing.assert_allclose(mine, plain, atol=1e-6)

"""The small network: its size, its padding, its noise, and the recipe that it is run with.

Modules tried here without being imported: ahmsa_jax.networks.modules.small,
ahmsa_jax.networks.parts.batch_norm.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_problem import TRAINING

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks import own_recipe
from ahmsa_jax.networks.initial import initial_variables
from ahmsa_jax.networks.parts.noise import dropped
from ahmsa_jax.networks.registry import NETWORKS
from ahmsa_jax.networks.small import SmallConfig, products
from ahmsa_jax.training import step

BATCH = 9


def flow(count=BATCH, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 28, 28, 3)).astype(np.float32)


def drawn(config):
    model = step.make_model(config, TRAINING)
    params, statistics = initial_variables(jax.random.key(1), model, config)
    return model, params, statistics


def test_it_has_the_declared_number_of_parameters():
    _, params, _ = drawn(SmallConfig())
    assert sum(leaf.size for leaf in params.values()) == 76_035
    assert products(SmallConfig()) == {"hidden": 588 * 128, "head": 128 * 3}


def test_padding_reaches_neither_statistics_nor_noise():
    """Rows that are no clips change nothing of the others, dropout included."""
    model, params, statistics = drawn(SmallConfig())
    variables = step.variables_of(params, {}, statistics)
    real = np.arange(BATCH) < 6

    def trained(rows, real_B):
        (logits, _), changed = model.apply(
            variables,
            rows,
            real_B=jnp.asarray(real_B),
            train=True,
            rngs={"dropout": jax.random.key(7)},
            mutable=["batch_stats"],
        )
        return logits[:6], step.statistics_of(changed)

    alone, mean_alone = trained(flow()[:6], real[:6])
    padded, mean_padded = trained(flow(), real)
    np.testing.assert_allclose(alone, padded, atol=1e-5)
    for path in mean_alone:
        np.testing.assert_allclose(mean_alone[path], mean_padded[path], atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 501), (40, 10, 10, 5)])
def test_dropout_keeps_the_mean_and_drops_the_share(shape):
    """Of 20,000 values: the share within five deviations; an odd number of values too."""
    values = jnp.ones(shape)
    found = np.asarray(dropped(jax.random.key(3), values, 0.25))
    share = (found == 0).mean()
    assert abs(share - 0.25) < 5 * np.sqrt(0.25 * 0.75 / found.size)
    np.testing.assert_allclose(found[found > 0], 1 / 0.75, rtol=1e-6)


def test_odd_maps_are_refused():
    with pytest.raises(ConfigError, match="27 pixels wide"):
        SmallConfig(image_size=27).validate()


def test_our_recipe_is_the_declared_one():
    """Against the declaration, setting by setting."""
    # Of the networks of maps: it says nothing of those of frames.
    recipes = {name: n.recipes["ours"] for name, n in NETWORKS.items() if n.inputs == ("flow",)}
    assert sorted(recipes) == ["ahmsa", "htnet", "small", "ststnet"]
    shared = {
        "layout": "whole",
        "input_norm": "robust",
        "augment": ("mirror", "affine", "mixup"),
        "test_mirror": True,
        "class_weights": True,
        "label_smoothing": 0.1,
        "optimizer": "adamw",
        "schedule": "onecycle",
    }
    assert shared == own_recipe.SHARED
    for recipe in recipes.values():
        assert shared.items() <= recipe.items()
    length = ("epochs", "batch_size", "learning_rate", "weight_decay")
    ours = NETWORKS["small"].training | recipes["small"]
    assert [ours[name] for name in length] == [40, 64, 2e-3, 0.01]
    assert ours["drop_last"]
    assert [recipes["ahmsa"][name] for name in length] == [20, 128, 1e-3, 0.1]
    more = {"base_dim": 24, "fold_std": True, "pretrain": "synthetic", "average_weights": 0.2}
    assert more.items() <= recipes["ahmsa"].items()
    # What the declaration leaves at the settings' defaults.
    training = TrainConfig()
    affine = (training.augment_shift, training.augment_turn, training.augment_zoom)
    assert (*affine, training.augment_gain, training.mixup) == (1.5, 5.0, 0.1, 0.2, 0.4)
    assert (training.pretrain_clips, training.pretrain_epochs) == (12_000, 6)

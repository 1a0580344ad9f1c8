"""What a setting allows, and what of it is stored."""

import dataclasses
import json

import pytest

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.registry import NETWORKS
from ahmsa_jax.settings import ConfigError, Settings, Span, from_plain, plain, setting


@dataclasses.dataclass(frozen=True)
class Words(Settings):
    """Settings of the kinds that there are."""

    words: tuple[str, ...] = setting((), "Words.", choices=("left", "right"), later=True)
    share: float = setting(0.5, "A share.", span=Span(0, 1, open_high=True))


def test_each_word_of_several_is_a_choice():
    Words(words=("right", "left")).validate()
    with pytest.raises(ConfigError, match="--words=up: allowed are left and right"):
        Words(words=("left", "up")).validate()
    with pytest.raises(ConfigError, match="--share=1 is out of range"):
        Words(share=1.0).validate()


def test_a_later_setting_is_stored_only_where_it_is_on():
    assert plain(Words()) == {"share": 0.5}
    both = Words(words=("left", "right"))
    assert plain(both) == {"words": ["left", "right"], "share": 0.5}
    # One word as versions that took one word stored it.
    assert plain(Words(words=("left",))) == {"words": "left", "share": 0.5}


def test_every_ingredient_is_off_by_default_and_leaves_no_trace_in_a_run():
    """What the first version stored of a training, and nothing else."""
    assert plain(TrainConfig()) == {
        "epochs": 800,
        "batch_size": 256,
        "learning_rate": 5e-6,
        "shuffle": True,
        "precision": "tf32",
    }


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"ema": 0.9, "average_weights": 0.2}, "exclude each other"),
        ({"warmup_epochs": 5, "epochs": 5}, "--warmup_epochs=5 leaves none of the 5"),
        ({"weight_decay": 0.1}, "--weight_decay=0.1 is for"),
        ({"fused_update": True, "schedule": "cosine"}, "--fused_update is for"),
        ({"order": "class", "shuffle": False, "sampling": "balanced"}, "--order=class is for"),
        ({"label_smoothing": 1.0}, "--label_smoothing=1 is out of range"),
        ({"augment": ("mirror", "upside_down")}, "--augment=upside_down"),
    ],
)
def test_ingredients_that_cannot_be_together(settings, says):
    with pytest.raises(ConfigError, match=says):
        TrainConfig(**settings).validate()


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_stored_becomes_the_same_settings_again(name):
    usual = NETWORKS[name].config()
    assert from_plain(type(usual), plain(usual)) == usual
    # As JSON gives it back.
    assert from_plain(type(usual), json.loads(json.dumps(plain(usual)))) == usual


def test_words_and_lists_become_tuples_again():
    for augment in ((), ("mirror",), ("mirror", "affine")):
        training = TrainConfig(augment=augment, epochs=3)
        assert from_plain(TrainConfig, plain(training)) == training
    config = ModelConfig(base_dim=24, blocks=(1, 1, 8))
    assert from_plain(ModelConfig, json.loads(json.dumps(plain(config)))) == config


def test_what_was_never_stored_is_refused():
    with pytest.raises(ConfigError, match="ModelConfig has no setting 'width'"):
        from_plain(ModelConfig, {"width": 3})
    with pytest.raises(ConfigError, match="--epochs=0 is out of range"):
        from_plain(TrainConfig, {"epochs": 0})

"""The settings of a run as a value: stored as before, hashed as before, read back whole."""

import dataclasses
import json

import pytest
from command_runner import ROOT

from experiments.run.spec import RunSpec, config_hash, differences

FIXTURE = ROOT / "tests" / "fixture"
SPEC = RunSpec(
    kind="jax",
    dataset="synthetic",
    layout="five",
    data_sha256="0" * 64,
    model="ahmsa",
    network={"base_dim": 6, "blocks": [1, 1, 1]},
    training={"epochs": 3},
    seeds=(0, 1),
    subjects=("a/b",),
)


@pytest.mark.parametrize("name", ["finished", "killed"])
def test_a_run_of_an_earlier_version_keeps_its_hash(name):
    stored = json.loads((FIXTURE / name / "config.json").read_text())
    spec = RunSpec.from_json(stored["config"])
    assert spec.to_json() == stored["config"]
    assert config_hash(spec.to_json()) == stored["config_hash"] == config_hash(stored["config"])
    assert spec.kind == "jax"


@pytest.mark.parametrize(
    ("changes", "own_keys"),
    [
        ({}, {"save_weights", "folds_at_once", "parallel"}),
        ({"kind": "pytorch"}, {"save_weights", "framework"}),
        ({"kind": "given", "training": {"epochs": 0}, "weights_sha256": "1"}, {"weights_sha256"}),
        ({"kind": "classical", "training": {"epochs": 0}}, {"framework"}),
    ],
)
def test_each_kind_of_run_is_read_back_as_it_was(changes, own_keys):
    spec = dataclasses.replace(SPEC, **changes)
    stored = json.loads(json.dumps(spec.to_json()))
    again = RunSpec.from_json(stored)
    assert (again.kind, again.to_json(), again.is_trained) == (
        spec.kind,
        stored,
        spec.kind in ("jax", "pytorch"),
    )
    common = {"dataset", "layout", "shuffled_labels", "data_sha256", "model", "model_config"}
    common |= {"train_config", "seeds", "eval_every", "subjects", "shard"}
    assert set(stored) == common | own_keys


def test_what_is_new_is_stored_only_where_it_is_used():
    other = dataclasses.replace(SPEC, split="kfold", task="5", select="inner")
    assert set(other.to_json()) - set(SPEC.to_json()) == {"split", "task", "select"}
    assert config_hash(other.to_json()) != config_hash(SPEC.to_json())
    assert RunSpec.from_json(other.to_json()) == other
    inner = {"select_by": "auc", "inner_folds": 5, "candidates": ("--epochs=1", "--epochs=2")}
    chosen = dataclasses.replace(other, **inner)
    assert set(chosen.to_json()) - set(other.to_json()) == set(inner)
    assert RunSpec.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen


def test_keys_of_another_version_are_kept():
    stored = SPEC.to_json() | {"colour": "red"}
    assert RunSpec.from_json(stored).to_json() == stored


def test_differences_name_nested_settings():
    other = SPEC.to_json() | {
        "model_config": {"base_dim": 8, "blocks": [1, 1, 1]},
        "layout": "quad",
    }
    assert differences(SPEC.to_json(), other) == [
        'layout: stored "five", now "quad"',
        "model_config.base_dim: stored 6, now 8",
    ]

"""The order of an epoch without shuffling: by hand, in a step's batches, in the settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.config import ConfigError, TrainConfig, plain
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.training import step
from ahmsa_jax.training.clip_order import rank_of_clips
from ahmsa_jax.training.engine import Engine, Job
from ahmsa_jax.training.protocols import epoch_shapes, loso_folds
from experiments.run.recipes import presets

# In the data set's order: by database, so that sub09 of casme2 stands before 006 of samm.
LABELS = np.array([2, 0, 1, 0, 2, 1])
SUBJECTS = np.array(["sub09", "sub09", "006", "006", "s03", "s03"])
CLIPS = np.array(["EP02", "EP01", "006_1_2", "006_1_10", "s03_sur_01", "s03_po_01"])


@pytest.mark.parametrize(
    ("order", "listed"),
    [
        # Negative: 006_1_10, EP01; positive: 006_1_2, s03_po_01; surprise: s03_sur_01, EP02.
        ("class", [3, 1, 2, 5, 4, 0]),
        ("class_021", [3, 1, 4, 0, 2, 5]),
        ("class_210", [4, 0, 2, 5, 3, 1]),
    ],
)
def test_clips_stand_by_class_then_subject_then_name(order, listed):
    rank_N = rank_of_clips(order, LABELS, SUBJECTS, CLIPS)
    assert np.argsort(rank_N).tolist() == listed


def test_the_data_sets_order_needs_no_ranks():
    assert rank_of_clips("data", LABELS, SUBJECTS, CLIPS) is None


def counts_per_batch(order: str, sizes: tuple[int, int, int]) -> list[list[int]]:
    """Clips of each class in the two batches of 256 of a fold that holds nobody out."""
    label_N = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], sizes))
    names = np.array([f"{number:04d}" for number in range(len(label_N))])
    rank_N = rank_of_clips(order, label_N, names, names)
    fold = step.FoldInput(
        {}, jnp.ones(len(label_N), bool), jnp.zeros(1, jnp.int32), jax.random.key(0)
    )
    shape = step.EpochShape(2, 256, 192)
    index, real = step.epoch_order(fold, jnp.int32(3), shape, shuffle=False, rank_N=rank_N)
    return [
        np.bincount(label_N[np.asarray(part)[np.asarray(kept)]], minlength=3).tolist()
        for part, kept in ((index[:256], real[:256]), (index[256:], real[256:]))
    ]


def test_the_composites_batches_hold_few_classes():
    composite = (250, 109, 83)
    assert counts_per_batch("class", composite) == [[250, 6, 0], [0, 103, 83]]
    assert counts_per_batch("class_021", composite) == [[250, 0, 6], [0, 109, 77]]
    assert counts_per_batch("class_210", composite) == [[64, 109, 83], [186, 0, 0]]
    mixed = counts_per_batch("data", composite)
    assert all(min(counts) > 0 for counts in mixed)


def test_further_classes_follow_by_number():
    label = np.array([4, 0, 3, 2, 1])
    same = np.array(["a"] * 5)
    assert rank_of_clips("class_210", label, same, same).tolist() == [4, 2, 3, 0, 1]
    assert rank_of_clips("class", label, same, same).tolist() == [4, 0, 3, 2, 1]


def test_an_order_trains_as_the_data_set_sorted_that_way():
    subjects = [f"lab/{name}" for name in "aabbccddaabb"]
    rng = np.random.default_rng(1)
    flow = rng.uniform(0, 255, (12, 28, 28, 3)).astype(np.float32)
    label = np.array([2, 0, 1, 0, 2, 1, 1, 0, 2, 2, 0, 1])
    names = np.array([f"{place:02d}" for place in range(12)])
    model = ModelConfig(base_dim=6, blocks=(0,))

    folds = loso_folds(subjects)
    shape = epoch_shapes(folds, 4)[folds[0].key]

    def engine(order):
        training = TrainConfig(
            batch_size=4, learning_rate=1e-3, shuffle=False, order=order, precision="float32"
        )
        return Engine(
            model, training, shape, size=1, test_places=4, devices=jax.local_devices()[:1]
        )

    def losses(program, flow, label, subjects, rank):
        chunk = program.start([Job(0, loso_folds(subjects)[0])])
        return program.run_epochs(chunk, program.place_data({"flow": flow}, label, rank), 0, 2)

    plain_order = engine("data")
    rank = rank_of_clips("class_021", label, np.array([""] * 12), names)
    listed = np.argsort(rank)
    ranked = losses(engine("class_021"), flow, label, subjects, rank)
    resorted = losses(plain_order, flow[listed], label[listed], [subjects[i] for i in listed], None)
    np.testing.assert_array_equal(ranked, resorted)
    assert not np.array_equal(ranked, losses(plain_order, flow, label, subjects, None))


def test_published_recipes_list_their_classes_and_shuffling_excludes_an_order():
    assert presets("ststnet", None)["order"] == "class_021"
    assert presets("htnet", "published")["order"] == "class_210"
    assert "order" not in presets("htnet", "described")
    with pytest.raises(ConfigError, match=r"--order=class is for epochs that are not shuffled"):
        TrainConfig(order="class").validate()
    with pytest.raises(ConfigError, match=r"--order=sorted: allowed are data, class"):
        TrainConfig(order="sorted", shuffle=False).validate()


def test_settings_of_later_versions_are_stored_only_where_they_differ():
    assert "order" not in plain(TrainConfig())
    assert plain(TrainConfig(order="class", shuffle=False))["order"] == "class"

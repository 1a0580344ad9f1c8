"""From a run's weights to files: who looks at what, tables by hand, pictures, the true motion."""

import csv
import dataclasses
import io

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text
from small_runs import KEYS, trained

from ahmsa_jax.config import ConfigError
from experiments.looking import looks, output, pictures, seen_maps, source, tables, truth
from experiments.looking.looks import Looks
from experiments.looking.seen_maps import SeenMaps
from experiments.run.spec import RunSpec
from experiments.run.workdir import read_config
from experiments.scores import drawing
from input_pipeline.core.clips import shuffle_labels
from input_pipeline.core.errors import InputError
from input_pipeline.maps import synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looked") / "run"
    assert trained(folder, "--save_weights").status == 0
    return folder


@pytest.fixture(scope="module")
def found(workdir, tmp_path_factory):
    return source.of_run(workdir, None, tmp_path_factory.mktemp("none"))


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures take their time where nobody looks at them."""
    monkeypatch.setattr(drawing, "write", lambda figure, folder, name: None)


def made_up(moving=True, clips=None) -> Looks:
    """Four clips: the first looks at its true motion alone, the last one sees nothing."""
    clips = clips or synthetic.make("whole", "small").rows(np.array([0, 1, 2, 159]))
    count = len(clips)
    moving_NxSxS = np.zeros((count, 28, 28), bool)
    moving_NxSxS[:, 4:8, 6:13] = True
    occlusion = np.zeros((count, 28, 28), np.float32)
    occlusion[0][moving_NxSxS[0]] = 2
    occlusion[0, 20, 20] = -50
    occlusion[1:-1] = 1
    grid = np.zeros((count, 1, 2, 4, 4))
    grid[..., 0, 0] = 1
    probability = np.tile([0.2, 0.5, 0.3], (count, 1))
    seen = SeenMaps(
        {"occlusion": occlusion, "gradient": np.ones((count, 28, 28), np.float32)},
        probability,
        np.ones(count, np.int32),
        {"level_0/block_0": grid, "level_0/block_1": np.full_like(grid, 1 / 16)},
        {"level_0/block_0": np.full((count, 1, 6), 0.25)},
    )
    return Looks(clips, seen, moving_NxSxS if moving else None, seen if moving else None)


def test_each_fold_looks_at_its_own_held_out_clips(found):
    assert {part.key for part in found.parts} == set(KEYS)
    keys = np.array(found.clips.subject_key_N)
    for part in found.parts:
        np.testing.assert_array_equal(part.index_Q, np.flatnonzero(keys == part.key))
        assert list(part.read()) == [0]
    assert found.size == "small"


def test_its_predictions_are_those_of_the_run(workdir, found):
    seen = looks.look(found)
    with (workdir / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [f"{row['database']}/{row['subject']}/{row['clip']}" for row in rows]
    assert seen.clips.clip_key_N == keys
    names = seen.clips.class_names
    stored = [[float(row[f"prob_{name}"]) for name in names] for row in rows]
    np.testing.assert_allclose(seen.seen.probability_NxK, stored, rtol=2e-3, atol=1e-5)
    assert seen.moving_NxSxS is seen.untrained is None
    # One map for all clips of a class and all folds, but for where each face has its windows.
    assert seen.seen.kinds == ("occlusion", "gradient", "class_gradient")
    shown = [np.unique(m[np.isfinite(m)]) for m in seen.seen.map_of["class_gradient"]]
    one_class = [shown[n] for n in np.flatnonzero(seen.seen.class_N == seen.seen.class_N[0])]
    assert len(one_class) > 1
    assert all(np.isin(values, one_class[0]).mean() > 0.5 for values in one_class[1:])


def test_only_the_clips_asked_for(found):
    keys = [found.clips.clip_key_N[found.parts[n].index_Q[0]] for n in (3, 1)]
    chosen = found.only(keys)
    assert looks.look(chosen).clips.clip_key_N == sorted(keys)
    assert chosen.facts["clips"] == sorted(keys)
    assert found.only(None) is found
    with pytest.raises(ConfigError, match="--clips names 'a/b/c'"):
        found.only(["a/b/c"])
    with pytest.raises(ConfigError, match="--clips names ''"):
        found.only([])


def test_a_shuffled_run_has_its_true_classes(workdir, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "SIZES", ("small",))
    spec = RunSpec.from_json(read_config(workdir)["config"])
    clips = synthetic.make("five", "small")
    hashed = shuffle_labels(clips, 5).content_hash()
    shuffled = dataclasses.replace(spec, shuffled_labels=True, seeds=(5, 6), data_sha256=hashed)
    found, size = source.clips_of_run(shuffled, None, tmp_path)
    np.testing.assert_array_equal(found.label_N, clips.label_N)
    assert size == "small"
    with pytest.raises(ConfigError, match="holds other clips"):
        source.clips_of_run(dataclasses.replace(shuffled, seeds=(6,)), None, tmp_path)


def test_the_true_motion_of_synthetic_clips():
    clips = synthetic.make("five", "small")
    moving_NxSxS = truth.of_synthetic(clips, "small")
    motion_of = synthetic.true_motion("small")
    assert list(motion_of) == clips.clip_key_N
    for moving_SxS, key in zip(moving_NxSxS, clips.clip_key_N, strict=True):
        motion_SxS = motion_of[key]
        np.testing.assert_array_equal(moving_SxS, motion_SxS >= motion_SxS.max() / 2)
    # Faces smile below their eyes and startle at and above them.
    row_NxS = moving_NxSxS.sum(axis=2)
    middle_N = (row_NxS @ np.arange(28)) / row_NxS.sum(axis=1)
    emotion_N = clips.extras["emotion"]
    eyes_N = clips.extras["landmarks"][:, :2, 1].mean(axis=1)
    assert (middle_N > eyes_N + 3)[np.isin(emotion_N, ["happiness", "suppressed smile"])].all()
    assert (middle_N < eyes_N + 1)[emotion_N == "startle"].all()


def test_a_still_face_moves_nowhere():
    assert not truth.moving(np.zeros((28, 28))).any()


def test_tables_by_hand():
    found = made_up()
    rows = list(csv.DictReader(io.StringIO(tables.of_clips(found).csv())))
    assert [row["predicted"] for row in rows] == ["positive"] * 4
    assert rows[0]["probability"] == "0.5"
    assert rows[0]["data"] == "PRETEND"
    area = 4 * 7 / 28**2
    assert float(rows[0]["moving_area"]) == pytest.approx(area, rel=1e-4)
    assert float(rows[0]["occlusion_trained_inside"]) == 1
    assert float(rows[0]["occlusion_trained_ratio"]) == pytest.approx(1 / area, rel=1e-4)
    assert [row["occlusion_trained_denser"] for row in rows] == ["yes", "no", "no", "no"]
    # Without any energy nothing can be said.
    assert rows[3]["occlusion_trained_ratio"] == rows[3]["occlusion_nose"] == ""
    assert float(rows[1]["gradient_untrained_ratio"]) == pytest.approx(1, rel=1e-4)
    regions = [name for name in rows[1] if name.startswith("gradient_") and "trained" not in name]
    assert len(regions) == 6
    assert sum(float(rows[1][name]) for name in regions) == pytest.approx(1, abs=1e-5)
    summary = {row[:2]: row[2:] for row in tables.of_truth(found).rows}
    mean = (1 / area + 1 + 1 + 0) / 4
    assert summary["occlusion", "trained"] == (
        f"{100 * (1 + 2 * area) / 4:.1f}",
        f"{100 * area:.1f}",
        f"{mean:.2f}",
        "25",
    )
    assert [row[:3] for row in tables.of_regions(found).rows] == [
        ("positive", "occlusion", "3"),
        ("positive", "gradient", "4"),
    ]
    assert tables.of_truth(made_up(moving=False)).rows == []


def test_the_mean_map_is_over_clips_that_see_a_pixel():
    maps = np.array([[[1.0, 2, np.nan]], [[3, np.nan, np.nan]], [[5, np.nan, 9]]])
    np.testing.assert_array_equal(pictures.mean_map(maps), [[3, np.nan, np.nan]])
    np.testing.assert_array_equal(pictures.mean_map(maps[:2]), [[2, 2, np.nan]])


def test_attention_on_the_face_is_in_even_shares():
    found = made_up()
    attended = pictures.attended(found, found.clips)
    # The mean of all on one of 16 patches, and of an even share.
    assert attended[0, 3, 3] == pytest.approx((16 + 1) / 2)
    assert attended[0, 20, 20] == pytest.approx(1 / 2)
    bare = dataclasses.replace(found.seen, attention_of={}, channels_of={})
    assert pictures.attended(dataclasses.replace(found, seen=bare), found.clips) is None


def test_pictures_say_what_they_show(tmp_path):
    found = made_up()
    figure = pictures.by_database(found)
    assert "PRETEND" in figure.get_suptitle()
    texts = [text.get_text() for text in figure.findobj(Text)]
    for word in ("occlusion", "gradient", "fall of log odds", "synthetic-a (n = 3)"):
        assert any(word in text for text in texts), word
    one = pictures.of_clip(found, 0)
    assert found.clips.clip_key_N[0] in one.get_suptitle()
    texts = [text.get_text() for text in one.findobj(Text)]
    for word in ("level 1, head 1", "level 1, head 2", "channel attention"):
        assert word in texts, word
    output.write(tmp_path / "out", {}, found, [found.clips.clip_key_N[2]])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"looking.json", "looking.npz", "looking.csv", "looking_classes.pdf"} <= names
    (own,) = (name for name in names if name.startswith("clip_001_") and name.endswith("png"))
    assert imread(tmp_path / "out" / own).std() > 0.05


def test_arrays_hold_everything_by_clip(tmp_path, undrawn):
    found = made_up()
    output.write(tmp_path, {"model": "ahmsa"}, found, [])
    with np.load(tmp_path / "looking.npz", allow_pickle=False) as arrays:
        assert arrays["clip"].tolist() == found.clips.clip_key_N
        np.testing.assert_array_equal(arrays["occlusion"], found.seen.occlusion_NxSxS)
        assert arrays["attention.level_0.block_1"].shape == (4, 1, 2, 4, 4)
        assert arrays["channels.level_0.block_0"].shape == (4, 1, 6)
        assert arrays["moving"].dtype == bool
        assert "untrained_gradient" in arrays
        np.testing.assert_array_equal(arrays["landmarks"], seen_maps.landmarks_of(found.clips))


def test_a_folder_is_bound_to_what_was_looked_at(tmp_path, undrawn):
    folder = tmp_path / "out"
    output.check(folder, {"model": "ahmsa"})
    output.write(folder, {"model": "ahmsa", "clips": None}, made_up(), [])
    output.check(folder, {"model": "ahmsa", "clips": None})
    with pytest.raises(ConfigError, match="model: stored"):
        output.check(folder, {"model": "htnet", "clips": None})
    (folder / "looking.json").write_text("[", encoding="utf-8")
    with pytest.raises(ConfigError, match="damaged"):
        output.check(folder, {})
    (folder / "looking.json").unlink()
    with pytest.raises(ConfigError, match="not empty"):
        output.check(folder, {})
    with pytest.raises(ConfigError, match="no folder"):
        output.check(folder / "looking.csv", {})


def test_a_motion_table_of_other_clips_is_refused(tmp_path):
    (tmp_path / "pretend_motions.csv").write_text(
        "database,subject,clip,identity,motion,pixels\ncasme2,sub01,EP1,7,jaw_drop,2\n",
        encoding="utf-8",
    )
    clips = synthetic.make("five", "small").rows(np.arange(2))
    with pytest.raises(InputError, match="does not say how synthetic-a/a01"):
        truth.of_pretend(clips, tmp_path)

"""Keeping runs: the three files, merged seeds, what is refused, and damage.

Modules tried here without being imported:
experiments.recording.rows.
"""

import dataclasses
import json

import pytest
import written_runs

from ahmsa_jax.config import ConfigError
from experiments.recording import kept, rows
from experiments.recording.rows import ROWS, Row
from experiments.run.spec import RunSpec, config_hash
from experiments.scores import reporting
from experiments.scores.summary import read_records

CHANGES = {"base_dim": 6, "epochs": 2, "learning_rate": 1e-3}
ROW = Row("mine", "mine", "width 6", "nothing", "command", "ahmsa", changes=CHANGES)
FIRST = {"casme2/a": ((0, 1, 2), (0, 1, 1)), "samm/b": ((1, 2), (1, 2)), "smic/c": ((0,), (0,))}
SECOND = {"casme2/a": ((0, 1, 2), (0, 0, 2)), "samm/b": ((1, 2), (0, 2)), "smic/c": ((0,), (0,))}


@pytest.fixture(autouse=True)
def _small_composite(monkeypatch):
    monkeypatch.setattr(kept, "clip_count", lambda: 6)
    monkeypatch.setattr(kept, "SUBJECTS", 3)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "kept"


def written(path, by_seed, **facts):
    return written_runs.write(path, by_seed, **{"dataset": "megc2019", **facts})


def test_the_files_of_a_run_are_kept_as_they_are(tmp_path, root):
    workdir = written(tmp_path / "run", [FIRST, SECOND])
    folder = kept.keep([workdir], ROW, root)
    assert {path.name for path in folder.iterdir()} == set(kept.FILES)
    for name in ("predictions.csv", "config.json"):
        assert (folder / name).read_bytes() == (workdir / name).read_bytes()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == reporting.summary_of(read_records([workdir]))
    before = {name: (folder / name).read_bytes() for name in kept.FILES}
    kept.keep([workdir], ROW, root)
    assert {name: (folder / name).read_bytes() for name in kept.FILES} == before
    run = kept.read_all({"mine": ROW}, root)["mine"]
    assert (run.seeds, len(run.predictions), run.spec.model) == (2, 12, "ahmsa")


def test_seeds_of_two_folders_are_kept_as_one_run(tmp_path):
    whole = written(tmp_path / "whole", [FIRST, SECOND])
    parts = [
        written(tmp_path / "first", [FIRST]),
        written(tmp_path / "second", [SECOND], first_seed=1),
    ]
    one, two = kept.keep([whole], ROW, tmp_path / "a"), kept.keep(parts, ROW, tmp_path / "b")
    assert (one / "predictions.csv").read_bytes() == (two / "predictions.csv").read_bytes()
    summaries = [json.loads((path / "summary.json").read_text()) for path in (one, two)]
    hashes = [summary.pop("config_hash") for summary in summaries]
    assert summaries[0] == summaries[1]
    merged = json.loads((two / "config.json").read_text())
    assert merged["config"]["seeds"] == [0, 1]
    assert merged["config_hash"] == hashes[1] == config_hash(merged["config"])
    parted = [json.loads((part / "config.json").read_text())["config_hash"] for part in parts]
    assert [part["config_hash"] for part in merged["parts"]] == parted
    assert kept.read_all({"mine": ROW}, tmp_path / "b")["mine"].seeds == 2


def test_seeds_of_shuffled_labels_are_kept_together(tmp_path, root):
    row = dataclasses.replace(ROW, shuffled_labels=True)
    other = {key: (tuple(reversed(truth)), said) for key, (truth, said) in FIRST.items()}
    parts = [
        written(tmp_path / "first", [FIRST], shuffled_labels=True),
        written(tmp_path / "second", [other], first_seed=1, shuffled_labels=True),
    ]
    # Shuffled data have a hash of their own under each seed.
    config = json.loads((parts[1] / "config.json").read_text())
    config["config"]["data_sha256"] = "1" * 64
    config["config_hash"] = config_hash(config["config"])
    (parts[1] / "config.json").write_text(json.dumps(config))
    assert kept.keep(parts, row, root).name == "mine"
    # With true labels such parts are no experiment.
    for part, seed in zip(("third", "fourth"), (0, 1), strict=True):
        written(tmp_path / part, [FIRST if seed == 0 else other], first_seed=seed)
    with pytest.raises(ConfigError, match="with one label under one of the seeds"):
        kept.keep([tmp_path / "third", tmp_path / "fourth"], ROW, root)


@pytest.mark.parametrize(
    ("facts", "part"),
    [
        ({"pretend": True}, "its clips are made up"),
        ({"dataset": "casme2"}, "dataset is casme2, not megc2019"),
        ({"model": "htnet"}, "model is htnet, not ahmsa"),
        ({"shuffled_labels": True}, "shuffled_labels is True, not False"),
    ],
)
def test_other_runs_are_refused(tmp_path, facts, part, root):
    workdir = written(tmp_path / "run", [FIRST], **facts)
    with pytest.raises(ConfigError, match=part):
        kept.keep([workdir], ROW, root)
    assert not (root / "mine").exists()


def test_settings_are_those_of_the_row(tmp_path, root):
    workdir = written(tmp_path / "run", [FIRST])
    changes = {**CHANGES, "base_dim": 7, "input_norm": "robust"}
    wider = dataclasses.replace(ROW, changes=changes)
    with pytest.raises(ConfigError) as error:
        kept.keep([workdir], wider, root)
    # A setting that the run left out stands at its default.
    assert "base_dim is 6, not 7; input_norm is none, not robust. Keep" in str(error.value)


def test_parts_of_the_clips_are_refused(tmp_path, monkeypatch, root):
    workdir = written(tmp_path / "run", [FIRST])
    monkeypatch.setattr(kept, "SUBJECTS", 4)
    with pytest.raises(ConfigError, match="its clips are of 3 subjects"):
        kept.keep([workdir], ROW, root)
    monkeypatch.setattr(kept, "clip_count", lambda: 442)
    with pytest.raises(ConfigError, match="it predicts 6 clips"):
        kept.keep([workdir], ROW, root)
    text = (workdir / "config.json").read_text()
    (workdir / "config.json").write_text(text.replace('"subjects_in_data_set": 3', "9"))
    stored = json.loads(text)
    stored["folds"].append("smic/d")
    (workdir / "config.json").write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match="1 folds are missing"):
        kept.keep([workdir], ROW, root)


def test_another_run_is_replaced_only_when_asked(tmp_path, root):
    first = written(tmp_path / "first", [FIRST])
    second = written(tmp_path / "second", [SECOND])
    folder = kept.keep([first], ROW, root)
    with pytest.raises(ConfigError, match=r"keeps another run .* give --replace"):
        kept.keep([second], ROW, root)
    assert (folder / "predictions.csv").read_bytes() == (first / "predictions.csv").read_bytes()
    kept.keep([second], ROW, root, replace=True)
    assert (folder / "predictions.csv").read_bytes() == (second / "predictions.csv").read_bytes()


def test_further_seeds_are_added(tmp_path, root):
    first = written(tmp_path / "first", [FIRST])
    both = written(tmp_path / "both", [FIRST, SECOND])
    kept.keep([first], ROW, root)
    kept.keep([both], ROW, root)
    assert kept.read_all({"mine": ROW}, root)["mine"].seeds == 2
    # The way back would lose one.
    with pytest.raises(ConfigError, match=r"seeds 0, 1; this one: .* seeds 0"):
        kept.keep([first], ROW, root)


def test_damage_is_seen(tmp_path, root):
    folder = kept.keep([written(tmp_path / "run", [FIRST])], ROW, root)
    path = folder / "predictions.csv"
    text = path.read_text()
    path.write_text(text.replace("clip2,surprise,positive", "clip2,surprise,surprise"))
    with pytest.raises(ConfigError, match="the predictions beside it give"):
        kept.read_all({"mine": ROW}, root)
    path.write_text(text)
    (folder / "summary.json").write_text("{}")
    with pytest.raises(ConfigError, match="damaged"):
        kept.read_all({"mine": ROW}, root)
    with pytest.raises(ConfigError, match="is of no row"):
        kept.read_all({}, root)


def test_every_row_says_what_it_was_developed_on():
    assert set(rows.HARD) <= set(ROWS)
    for name, row in ROWS.items():
        assert row.name == name
        assert row.developed
        # What this project tuned on these clips is named so wherever its figure stands.
        own = row.model in ("svm_maps", "kernel_flow") or "ours" in row.method
        if not row.shuffled_labels:
            assert (rows.DEVELOPED_HERE in row.title) == own, name
            assert row.developed.startswith(rows.DEVELOPED_HERE) == own, name
    with pytest.raises(ConfigError, match="--name=nothing is no row"):
        rows.named("nothing")
    assert rows.clip_count() == 442


def test_a_method_has_all_settings_of_its_row_unless_they_are_chosen():
    spec = RunSpec(
        kind="classical",
        dataset="megc2019",
        layout="whole",
        data_sha256="",
        model="kernel_flow",
        network={"kernel_ridge": 0.3},
        training={"epochs": 0},
        seeds=(0,),
    )
    rows.refuse_other(ROWS["kernel_flow"], spec)
    other = dataclasses.replace(spec, network={"kernel_ridge": 0.3, "kernel_scale": 2.0})
    with pytest.raises(ConfigError, match=r"kernel_scale is 2\.0, not 1\.0\. Keep"):
        rows.refuse_other(ROWS["kernel_flow"], other)
    chosen = dataclasses.replace(other, select="inner")
    rows.refuse_other(ROWS["kernel_flow-nested"], chosen)
    with pytest.raises(ConfigError, match="select is inner, not last"):
        rows.refuse_other(ROWS["kernel_flow"], chosen)


def test_a_rows_settings_are_those_of_its_command():
    settings = ROWS["ahmsa-ours"].settings
    assert settings["augment"] == ("mirror", "affine", "mixup")
    assert (settings["base_dim"], settings["epochs"], settings["layout"]) == (24, 20, "whole")
    # Shuffled, whatever order the network's publication had.
    assert ROWS["htnet-ours"].settings["order"] == "data"
    assert ROWS["htnet-24"].settings["order"] == "class_210"
    assert ROWS["ststnet"].settings["order"] == "class_021"
    assert ROWS["ststnet"].settings["epochs"] == ROWS["ahmsa-256"].settings["epochs"] == 800

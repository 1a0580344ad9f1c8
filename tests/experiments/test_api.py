"""The Python front: docs/python.md and docs/examples as written, and the command's own bytes.

Modules tried here: experiments.api, experiments.run.arguments, experiments.run.given,
experiments.run.seed_flags.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import fitted_models
import numpy as np
import own_videos
import pytest
from absl import flags
from command_runner import ROOT, run_command
from small_runs import SMALL, rows, trained

from ahmsa_jax import choices
from ahmsa_jax.config import ConfigError
from ahmsa_jax.networks.registry import NETWORKS
from experiments import api
from experiments.run import arguments, inner_selection, train_share
from experiments.run import flags as run_flags
from input_pipeline.own_clips.windows import Asked

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- (\w+) -->\n```python\n(.*?)```", PAGE, flags=re.DOTALL))
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))


def run_python(folder: pathlib.Path, *words: str) -> str:
    """What a script prints, run in `folder` as its user does."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_notebook_of_the_page(tmp_path):
    own_videos.write_video(tmp_path / "clip.avi", own_videos.frames())
    out = run_python(tmp_path, "-c", BLOCKS["notebook"])
    assert "clip.avi, onset 0, apex 5 (spotted)" in out
    summary = json.loads((tmp_path / "runs" / "notebook" / "summary.json").read_text())
    assert f"UF1 {summary['pooled']['uf1']}" in out
    assert (tmp_path / "confusion_matrix.png").stat().st_size > 1000
    model = json.loads((tmp_path / "models" / "notebook" / "model.json").read_text())
    assert model["estimate"]["config_hash"] == summary["config_hash"]


def test_an_own_network_and_own_arrays(tmp_path):
    out = run_python(tmp_path, "-c", BLOCKS["own"])
    assert "'uf1'" in out
    config = json.loads((tmp_path / "runs" / "own" / "config.json").read_text())["config"]
    assert config["model_config"] == {"filters": 4, "image_size": 28, "num_classes": 2}


def test_every_example_is_tried():
    assert {path.stem for path in EXAMPLES} == {"own_data_set", "own_network", "own_video"}


def test_the_example_of_an_own_network(tmp_path):
    out = run_python(tmp_path, str(ROOT / "docs" / "examples" / "own_network.py"))
    assert "perceptron" in out
    assert (tmp_path / "runs" / "comparison" / "paired.csv").exists()


def test_the_example_of_an_own_video(tmp_path):
    own_videos.write_video(tmp_path / "a.avi", own_videos.frames())
    (tmp_path / "b.mp4").write_text("no video")
    script = str(ROOT / "docs" / "examples" / "own_video.py")
    model = str(fitted_models.folder() / "model")
    out = run_python(tmp_path, script, model, "out", "a.avi", "b.mp4")
    assert "video_unreadable" in out
    assert len(list((tmp_path / "out").glob("*.png"))) == 1
    # The command says the same of the same clip.
    clip, output = f"--clip={tmp_path / 'a.avi'}", f"--output={tmp_path / 'command'}"
    done = run_command("experiments.predict", f"--model_dir={model}", clip, output)
    assert done.status == 0, done.err
    (ours, _), (theirs,) = (
        rows(tmp_path / folder / "predictions.csv") for folder in ("out", "command")
    )
    assert ours | {"file": ""} == theirs | {"file": ""}


def test_the_example_of_an_own_data_set(tmp_path):
    from PIL import Image

    rng, lines = np.random.default_rng(0), ["database,subject,sample,label,map"]
    (tmp_path / "maps").mkdir()
    for place in range(9):
        name = f"{place}.png"
        picture_HxWx3 = rng.integers(0, 255, (28, 28, 3), np.uint8)
        Image.fromarray(picture_HxWx3).save(tmp_path / "maps" / name)
        lines.append(f"lab,s{place // 3},c{place},{('calm', 'moved', 'upset')[place % 3]},{name}")
    (tmp_path / "maps" / "samples.csv").write_text("\n".join(lines) + "\n")
    script = str(ROOT / "docs" / "examples" / "own_data_set.py")
    out = run_python(tmp_path, script, "maps")
    assert "9 clips of the classes calm, moved, upset" in out
    assert "UF1 " in out


def test_a_call_and_the_command_give_the_same_files(tmp_path):
    """The same hash, and the same bytes of every file that training decides."""
    trained(tmp_path / "command")
    settings = dict(word.removeprefix("--").split("=") for word in SMALL)
    settings.pop("dataset")
    call = (
        "import experiments.api as ahmsa\n"
        f"ahmsa.loso(ahmsa.load('synthetic'), 'call', base_dim={settings['base_dim']}, "
        f"blocks=({settings['blocks']},), epochs=2.0, folds_at_once=3, "
        f"subjects={settings['subjects'].split(',')})\n"
    )
    run_python(tmp_path, "-c", call)
    for name in ("predictions.csv", "metrics.jsonl"):
        ours, theirs = ((tmp_path / run / name).read_bytes() for run in ("call", "command"))
        assert ours == theirs, name
    for name in ("config.json", "summary.json"):
        ours, theirs = (
            json.loads((tmp_path / run / name).read_text())["config_hash"]
            for run in ("call", "command")
        )
        assert ours == theirs


def test_the_usual_arguments_are_the_flags_defaults():
    theirs = flags.FlagValues()
    with pytest.MonkeyPatch.context() as patched:
        # The functions that define flags take absl's own holder.
        for name in ("DEFINE", "DEFINE_string", "DEFINE_enum", "DEFINE_integer", "DEFINE_bool"):
            patched.setattr(flags, name, into(getattr(flags, name), theirs))
        for name in ("DEFINE_float", "DEFINE_list"):
            patched.setattr(flags, name, into(getattr(flags, name), theirs))
        patched.setattr(flags, "register_validator", lambda *_: None)
        patched.setattr(flags, "FLAGS", theirs)
        run_flags.define_run_flags()
        inner_selection.define_flags("logloss")
        train_share.define_flag()
        run_flags.define_compile_cache_flag()
        run_flags.define_autotune_flag()
    given = arguments.of_call({})
    assert set(theirs) == set(given._of_name)
    for name in theirs:
        assert given[name].value == theirs[name].default, name


def into(define, holder):
    return lambda *words, **named: define(*words, **named, flag_values=holder)


def test_what_is_no_argument():
    with pytest.raises(ConfigError, match=r"epoch=3 is no argument.*such as epochs"):
        arguments.of_call({"epoch": 3})
    with pytest.raises(ConfigError, match="epochs='3' is str; needed is int"):
        arguments.of_call({"epochs": "3"})
    with pytest.raises(ConfigError, match="shuffle=1 is int; needed is bool"):
        arguments.of_call({"shuffle": 1})
    with pytest.raises(ConfigError, match="blocks='0' is str; needed is int"):
        arguments.of_call({"blocks": "0"})
    with pytest.raises(ConfigError, match="folds='3' is str; needed is int"):
        arguments.of_call({"folds": "3"})
    with pytest.raises(ConfigError, match="split='foo' is not known; allowed are loso, "):
        arguments.of_call({"split": "foo"})
    assert arguments.of_call({"folds": 3}).folds == 3
    assert arguments.of_call({"learning_rate": 1}).learning_rate == 1.0
    assert arguments.of_call({"augment": "mirror"}).augment == ("mirror",)
    assert arguments.of_call({"blocks": [1, 1, 8]}).blocks == (1, 1, 8)


def test_own_parts_are_registered_once():
    tables = (choices.LOSSES, choices.AUGMENTATIONS, NETWORKS)
    try:

        @api.loss("mine")
        def loss(logits_BxK, label_B):
            return logits_BxK[:, 0]

        @api.augmentation("mine")
        def augmentation(key, inputs):
            return inputs

        assert choices.LOSSES["mine"] is loss
        assert choices.AUGMENTATIONS["mine"] is augmentation
        with pytest.raises(ConfigError, match="the name mine is taken"):
            api.loss("mine")(loss)
        with pytest.raises(ConfigError, match="the name ahmsa is taken"):
            api.network("ahmsa", api.NetworkConfig)(object)
    finally:
        for table in tables:
            table.pop("mine", None)


def test_clips_of_arrays_are_checked():
    flow_NxHxWxC = np.random.default_rng(0).uniform(0, 255, (4, 28, 28, 3))
    names = ["calm", "moved"]
    clips = api.clips_of(flow_NxHxWxC, [1, 0, 1, 0], ["b", "a", "b", "a"], names)
    assert clips.clip_key_N == [
        *("own/a/clip00001", "own/a/clip00003", "own/b/clip00000", "own/b/clip00002")
    ]
    np.testing.assert_allclose(clips.flow_NxHxWxC[0], flow_NxHxWxC[1], rtol=1e-6)
    assert clips.label_N.tolist() == [0, 0, 1, 1]
    with pytest.raises(api.InputError, match=r"every value must lie in 0\.\.255"):
        api.clips_of(flow_NxHxWxC * 2, [1, 0, 1, 0], ["b", "a", "b", "a"], names)
    with pytest.raises(api.InputError, match="holds the label 2"):
        api.clips_of(flow_NxHxWxC, [1, 0, 1, 2], ["b", "a", "b", "a"], names)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: api.compare([], "out"), "takes a list of results"),
        (lambda: api.compare("run", "out"), "takes a list of results"),
        (lambda: api.predict("model", None, "out"), "model"),
        (lambda: api.load_model(None), "None is no path"),
        (lambda: api.load_model("a\0b"), "is no path"),
        (lambda: api.result("nowhere"), "no run's workdir"),
        (lambda: api.loso("synthetic", "out"), "'synthetic' are no clips"),
        (lambda: api.loso(api.load(), None), "None is no path"),
        (lambda: api.fit(np.zeros((2, 28, 28, 3)), "out"), "are no clips"),
        (lambda: arguments.of_call({"subjects": "sub01"}), "needed is a list"),
        (lambda: api.clips_of(np.zeros((2, 28, 28, 3)), [0.5, 1], ["a", "b"], "xy"), "fractions"),
        (lambda: api.clips_of(np.zeros((2, 28, 28, 3)), [0], ["a", "b"], "xy"), "1 labels"),
        (lambda: Asked(onset=True).check(), "onset is True; needed is a frame number"),
        (lambda: Asked(onset="3").check(), "onset is '3'"),
        (lambda: Asked(seconds="2").check(), "seconds is '2'; needed is a number"),
    ],
)
def test_wrong_types_are_mistakes_like_any_other(call, words):
    with pytest.raises((ConfigError, api.InputError), match=words):
        call()


@pytest.mark.parametrize("clip", [None, 3, [], b"clip.avi", [3]])
def test_what_is_no_clip_is_refused(clip):
    with pytest.raises((ConfigError, api.InputError), match="needed is a path, or several"):
        api.predict(str(fitted_models.folder() / "model"), clip, "never-made")
    assert not pathlib.Path("never-made").exists()

"""The methods that read more than maps, on a pretend SMIC as its build leaves it."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from command_runner import assert_mistake, run_command
from native_builds import built_smic, clips

from ahmsa_jax.metrics import confusion_matrix, pooled_scores
from ahmsa_jax.training.protocols import loso_folds
from experiments.classical_methods.folds import predict_all
from experiments.classical_methods.lbp_top import CACHE_FOLDER
from experiments.classical_methods.method import Places
from experiments.classical_methods.registry import METHODS
from input_pipeline.core.clips import shuffle_labels
from input_pipeline.core.errors import InputError

NAME = "experiments.classical"
METHODS_HERE = ("bi_woof", "mdmo", "lbp_top")


@pytest.fixture(scope="module")
def places(tmp_path_factory, pretend_smic):
    """A data folder of our own, with the build's cache, and the pretend frames."""
    folder = tmp_path_factory.mktemp("data") / "built"
    shutil.copytree(built_smic(), folder)
    return Places(folder, pretend_smic)


def uf1(method, described, of):
    method = dataclasses.replace(method, describe=lambda *_: described)
    finished = predict_all(
        method, method.config(), of, loso_folds(of.subject_key_N), places=Places()
    )
    prediction = np.zeros(len(of), int)
    for chunk, result in finished:
        prediction[chunk.jobs[0].fold.test_index] = result.probability[0].argmax(axis=1)
    return pooled_scores(confusion_matrix(of.label_N, prediction, 3)).uf1


@pytest.mark.parametrize("name", METHODS_HERE)
def test_true_labels_do_better_than_the_best_of_five_permutations(places, name):
    method, of = METHODS[name], clips(places.data_dir)
    described = method.described(of, method.config(), places)
    assert described.shape[0] == len(of) == 10
    shuffled = [uf1(method, described, shuffle_labels(of, seed)) for seed in range(5)]
    assert uf1(method, described, of) > max(shuffled) + 0.2


def test_lbp_top_keeps_its_histograms(places, monkeypatch):
    method, of = METHODS["lbp_top"], clips(places.data_dir)
    first = method.described(of, method.config(), places)
    kept = sorted((places.data_dir / CACHE_FOLDER).iterdir())
    assert len(kept) == 10

    def read_again(record):
        raise AssertionError(record.key)

    monkeypatch.setattr("experiments.classical_methods.lbp_top.aligned_film", read_again)
    np.testing.assert_array_equal(method.described(of, method.config(), places), first)
    # A damaged one is computed again.
    content = json.loads(kept[0].read_text())
    kept[0].write_text(json.dumps(content | {"marks": "another clip"}))
    with pytest.raises(AssertionError, match="smic/"):
        method.described(of, method.config(), places)
    monkeypatch.undo()
    np.testing.assert_array_equal(method.described(of, method.config(), places), first)


@pytest.mark.parametrize("name", METHODS_HERE)
def test_the_command(places, tmp_path, name):
    flags = ["--dataset=smic", f"--data_dir={places.data_dir}", "--layout=five"]
    flags += [f"--method={name}", f"--workdir={tmp_path / 'run'}"]
    flags += [f"--raw_dir={places.raw_dir}"] if name == "lbp_top" else []
    finished = run_command(NAME, *flags)
    assert finished.status == 0, finished.err
    text = (tmp_path / "run" / "summary.md").read_text()
    assert "PRETEND" in text
    assert ("the mean over all frames, as the paper takes it, is left out" in text) == (
        name == "mdmo"
    )


@pytest.mark.parametrize("name", METHODS_HERE)
def test_data_without_flow_or_frames_are_refused_in_one_line(tmp_path, name):
    raw = ["--raw_dir=x"] if name == "lbp_top" else []
    finished = run_command(NAME, f"--method={name}", f"--workdir={tmp_path / 'run'}", *raw)
    assert_mistake(finished, f"--method={name} reads", "python -m input_pipeline.build")
    assert not (tmp_path / "run").exists()


def test_lbp_top_needs_the_frames_themselves(places, tmp_path):
    flags = ["--dataset=smic", f"--data_dir={places.data_dir}", "--layout=five"]
    flags += ["--method=lbp_top"]
    assert_mistake(
        run_command(NAME, *flags), "give --raw_dir=DIR", "python -m input_pipeline.build"
    )
    method, of = METHODS["lbp_top"], clips(places.data_dir)
    renamed = dataclasses.replace(of, clip_N=np.char.add(of.clip_N, "x"))
    with pytest.raises(InputError, match="lacks the frames of 10 of 10 clips"):
        method.described(renamed, method.config(), places)

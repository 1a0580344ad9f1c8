"""Evaluates weights that were trained elsewhere, each fold on its own held-out clips.

python -m experiments.evaluate --model=ststnet --weights_dir=DIR --dataset=megc2019
"""

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from ahmsa_jax.config import ConfigError, plain
from ahmsa_jax.training.protocols import Fold, loso_folds
from experiments.run import compile_cache, jax_settings
from experiments.run import flags as run_flags
from experiments.run.request import from_data, read_clips, requested_folds
from experiments.run.spec import RunSpec
from experiments.run.workdir import canonical_json, claimed
from input_pipeline.core import command
from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole

if TYPE_CHECKING:
    from experiments.files.given_weights import GivenWeights

# JAX, PyTorch and TFDS are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Read weights and clips, predict, and report."""
    given = command.values()
    if not given.weights_dir:
        raise ConfigError("--weights_dir is missing; name the folder of the weights.")
    clips = read_clips(given)
    network_config, _, _ = run_flags.settings(given, clips.dataset, from_data(clips))
    jax_settings.local_devices(given.compile_cache)
    from experiments.files import given_weights

    folds = loso_folds(clips.subject_key_N)
    requested = requested_folds(given, folds)
    folder = pathlib.Path(given.weights_dir).expanduser()
    known = [fold.key for fold in folds]
    weights = given_weights.find(folder, given.model, network_config, requested, known)
    spec = RunSpec(
        kind="given",
        dataset=clips.dataset,
        layout=clips.layout,
        data_sha256=clips.content_hash(),
        model=given.model,
        network=plain(network_config),
        training={"epochs": 0},
        seeds=tuple(weights.seeds),
        subjects=None if given.subjects is None else tuple(requested),
        weights_sha256=weights.sha256(),
        task=None if given.classes == "3" else given.classes,
    )
    # All files are read and predicted with before anything is written.
    folds_here = [fold for fold in folds if fold.key in set(requested)]
    finished = _predicted(clips, folds_here, weights)
    workdir = run_flags.workdir(given, spec)
    facts = {
        "folds": requested,
        "subjects_in_data_set": len(folds),
        "notes": _notes(weights, clips),
        "pretend": clips.pretend,
    }
    with claimed(workdir, spec.to_json(), facts):
        return _report(workdir, clips, finished)


def _notes(weights: "GivenWeights", clips: Clips) -> list[str]:
    if not (count := weights.of_other_data(clips.content_hash())):
        return []
    return [
        f"{count} of {len(weights.path_of)} weights were trained on another data set or layout "
        "than these clips; whether they have seen a held-out subject there cannot be told."
    ]


def _predicted(clips: Clips, folds: list[Fold], weights: "GivenWeights") -> list[Any]:
    """One chunk a fold and seed, with its probabilities; raises InputError naming all faults."""
    from ahmsa_jax.metrics import confusion_matrix
    from ahmsa_jax.training.protocols import Job
    from experiments.files import given_weights
    from experiments.run.chunk import NOT_TRAINED, Chunk, ChunkResult, empty_history

    predict = _predictor(weights.config, max(len(fold.test_index) for fold in folds))
    classes = weights.config.num_classes
    finished: list[Any] = []
    faults: list[str] = []
    for seed in weights.seeds:
        for fold in folds:
            try:
                params = weights.read(seed, fold.key)
            except InputError as error:
                faults.append(str(error))
                continue
            flow = clips.flow_NxHxWxC[fold.test_index]
            probability_TxK = predict(params, flow)
            history = empty_history(1, classes)
            prediction_T = probability_TxK.argmax(axis=-1)
            counts = confusion_matrix(clips.label_N[fold.test_index], prediction_T, classes)
            history.add_counts(0, counts[None])
            result = ChunkResult(**vars(history), probability=[probability_TxK])
            chunk = Chunk(len(finished), NOT_TRAINED, 1, (Job(seed, fold),))
            finished.append((chunk, result))
    given_weights.raise_all(faults)
    return finished


def _predictor(config: Any, places: int) -> Callable[[dict[str, np.ndarray], np.ndarray], Any]:
    """A function from parameters and maps (T, H, W, C) to probabilities (T, K); T up to places."""
    import jax

    from ahmsa_jax.config import TrainConfig
    from ahmsa_jax.training import step

    model = step.make_model(config, TrainConfig())

    @jax.jit
    def apply(variables: Any, flow: jax.Array) -> jax.Array:
        return jax.nn.softmax(model.apply(variables, flow)[0])

    def predict(params: dict[str, np.ndarray], flow: np.ndarray) -> np.ndarray:
        paths: dict[Any, Any] = {tuple(name.split("/")): leaf for name, leaf in params.items()}
        statistics = {path[1:]: leaf for path, leaf in paths.items() if path[0] == "batch_stats"}
        live = {path: leaf for path, leaf in paths.items() if path[0] != "batch_stats"}
        # All folds share one program.
        padded = np.zeros((places, *flow.shape[1:]), np.float32)
        padded[: len(flow)] = flow
        with jax.default_matmul_precision("highest"):
            probability = apply(step.variables_of(live, {}, statistics), padded)
        return np.asarray(probability)[: len(flow)]

    return predict


def _report(workdir: pathlib.Path, clips: Clips, finished: list[Any]) -> int:
    import jax

    from experiments.files import run_files
    from experiments.run import environment
    from experiments.scores import reporting

    surroundings = environment.describe(jax.local_devices()) | {
        "data_sha256": clips.content_hash(),
        "data_provenance": clips.provenance,
    }
    write_whole(workdir / "environment.json", canonical_json(surroundings))
    run_files.write_run_files(workdir, clips, finished)
    return reporting.report(workdir)


def start() -> None:
    """Define the flags and run the command; own extensions call this after registering theirs."""
    run_flags.define_data_flags()
    run_flags.define_model_flags()
    run_flags.define_workdir_flags()
    compile_cache.define_flag()
    flags.DEFINE_string(
        "weights_dir",
        None,
        "Folder with one file per held-out subject: PyTorch state dicts named as published "
        "(006.pth), or what --save_weights and experiments.convert_weights write.",
    )
    command.run(
        main,
        name="experiments.evaluate",
        purpose="Evaluate given weights, one file per held-out subject, each on that subject's "
        "clips.",
        mistakes=(InputError, ConfigError),
    )


if __name__ == "__main__":
    start()

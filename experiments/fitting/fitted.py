"""Fits a model: chooses its settings where asked, trains on all clips, writes its folder."""

import dataclasses
import pathlib
from collections import Counter
from typing import Any

import numpy as np

from ahmsa_jax.config import ConfigError
from experiments.files import run_files
from experiments.fitting import choice, model_card, model_folder, reliability
from experiments.fitting.estimate import Estimate
from experiments.run import environment, inner_selection, output_folder
from experiments.run.request import Run
from experiments.run.spec import Execution
from experiments.run.workdir import canonical_json, claimed
from experiments.schedule import nested, part_runs
from experiments.schedule.interruption import Interruption
from experiments.scores import drawing
from input_pipeline.core.files import write_whole


def fit(
    run: Run, execution: Execution, estimate: Estimate | None, interruption: Interruption
) -> model_folder.Model:
    """The model of a run on all clips, in the execution's workdir; a finished one is read.

    A killed fit goes on. Raises ConfigError where the folder is another's or a seed diverged, and
    StoppedError where a signal asked for it.
    """
    folder = execution.workdir
    if (folder / run_files.PREDICTIONS_FILE).exists():
        raise ConfigError(
            f"--output='{folder}' holds a run with predictions of held-out clips, no model; choose "
            "another --output."
        )
    asked = run.spec.to_json() | {"estimate": estimate and estimate.config_hash}
    with output_folder.called_output(), claimed(folder, asked, run.facts()):
        if model_folder.is_written(folder):
            return model_folder.load(folder)
        network, training, chosen = run.network_config, run.train_config, None
        if run.spec.select == inner_selection.INNER:
            print(nested.cost_in_words(run), flush=True)
            found = choice.choose(run, execution, interruption)
            print(f"chosen: {found.line or 'the settings given'}, {found.epochs} epochs")
            network, training = found.network, found.training
            chosen = {
                "candidate": found.line,
                "epochs": found.epochs,
                "score": found.score,
                "select_by": run.spec.select_by,
                "inner_folds": run.spec.inner_folds,
            }
        final = run.with_settings(network, training, save_weights=True)
        training_dir = folder / model_folder.TRAINING
        finished = part_runs.trained(final, execution, training_dir, interruption, folder)
        _write(folder, final, finished, estimate, chosen)
        return model_folder.load(folder)


def _write(
    folder: pathlib.Path,
    run: Run,
    finished: part_runs.Finished,
    estimate: Estimate | None,
    chosen: dict[str, Any] | None,
) -> None:
    clips, probabilities = run.clips, []
    for chunk, result in finished:
        for row, job in enumerate(chunk.jobs):
            if not result.finished(row):
                raise ConfigError(
                    f"the training of seed {job.seed} ended with a loss that is no finite number; "
                    "fit with a smaller --learning_rate into another --output."
                )
            probabilities.append(result.probability[row])
    right = int((np.mean(probabilities, axis=0).argmax(axis=-1) == clips.label_N).sum())
    surroundings = environment.describe([])
    facts = _facts(run, estimate, chosen) | {"versions": surroundings["packages"]}
    tally = Counter(clips.label_N.tolist())
    counts = {name: tally[label] for label, name in enumerate(clips.class_names)}
    if estimate is not None:
        drawing.write(reliability.draw(estimate), folder, model_folder.RELIABILITY)
    card = model_card.text(facts, estimate, counts, right, run.notes())
    write_whole(folder / model_folder.CARD_FILE, card)
    write_whole(folder / environment.FILE, canonical_json(surroundings))
    names = [clips.class_of(index) for index in range(len(clips))]
    model_folder.write(folder, facts, list(zip(clips.clip_key_N, names, strict=True)))


def _facts(run: Run, estimate: Estimate | None, chosen: dict[str, Any] | None) -> dict[str, Any]:
    clips, spec = run.clips, run.spec
    return {
        "model": spec.model,
        "network": dict(spec.network),
        "training": dict(spec.training),
        "seeds": list(spec.seeds),
        "dataset": spec.dataset,
        "layout": spec.layout,
        "classes": spec.task,
        "class_names": list(clips.class_names),
        "data_sha256": spec.data_sha256,
        "clips": len(clips),
        "subjects": len(set(clips.subject_key_N)),
        "pretend": clips.pretend,
        "shuffled_labels": spec.shuffled_labels,
        "maps": clips.provenance,
        "temperature": estimate.temperature if estimate else 1.0,
        "choice": chosen,
        "estimate": estimate and _told(estimate),
    }


def _told(estimate: Estimate) -> dict[str, Any]:
    """What model.json says of the estimate."""
    told = {
        name: value
        for name, value in dataclasses.asdict(estimate).items()
        if name not in ("before", "cross_fitted", "temperature")
    }
    return told | {
        "calibration_error": estimate.before.error,
        "calibration_error_cross_fitted": estimate.cross_fitted.error,
    }

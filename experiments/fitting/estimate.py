"""What a finished leave-one-subject-out run of the same settings says of a model to be fitted."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import log_loss, pooled_scores
from experiments.fitting import calibration, model_folder
from experiments.run.spec import RunSpec, differences
from experiments.scores import spread
from experiments.scores.summary import Records, read_records

if TYPE_CHECKING:
    from experiments.run.request import Run

# Settings that decide nothing of a fold's result, or that a fitted model has in its own way.
_FREE = (
    *("split", "seeds", "subjects", "shard", "save_weights", "eval_every", "average_seeds"),
    *("folds_at_once", "parallel", "framework"),
)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Scores of averaged seeds on held-out subjects, and the calibration found on them.

    `scores` has uf1, uar, accuracy, n, auc, log_loss and both intervals, as in summary.json.
    """

    config_hash: str
    seeds: int
    subjects: int
    scores: dict[str, Any]
    temperature: float
    before: calibration.Bins
    cross_fitted: calibration.Bins
    log_loss_cross_fitted: float


def read(workdir: pathlib.Path, run: "Run") -> Estimate:
    """The estimate of a run's settings; raises ConfigError where the workdir's are others.

    Averaged over as many of its seeds as the run has.
    """
    if model_folder.is_written(workdir):
        raise ConfigError(
            f"--estimate='{workdir}' is the folder of a model; name that of the "
            "leave-one-subject-out run of the same settings."
        )
    records = read_records([workdir])
    _refuse_other(workdir, records, run.spec)
    count = len(run.spec.seeds)
    if len(records.seeds) < count:
        raise ConfigError(
            f"--estimate='{workdir}' has {len(records.seeds)} seed(s), the model averages {count}; "
            f"give --num_seeds={len(records.seeds)}, or an estimate of {count} seeds."
        )
    taken = set(records.seeds[:count])
    rows = spread.averaged([row for row in records.predictions if row.seed in taken])
    classes = len(records.class_names)
    probability_NxK = np.array([row.probability_K for row in rows])
    label_N = np.array([row.label for row in rows])
    subject_N = np.array([row.subject_key for row in rows])
    fitted_NxK = calibration.cross_fitted(probability_NxK, label_N, subject_N)
    scores = dataclasses.asdict(pooled_scores(records.confusion(rows)))
    return Estimate(
        config_hash=records.config_hash,
        seeds=count,
        subjects=len(set(subject_N)),
        scores=scores | spread.scores([rows], classes),
        temperature=calibration.temperature(probability_NxK, label_N),
        before=calibration.bins(probability_NxK, label_N),
        cross_fitted=calibration.bins(fitted_NxK, label_N),
        log_loss_cross_fitted=log_loss(fitted_NxK, label_N),
    )


def _refuse_other(workdir: pathlib.Path, records: Records, wanted: RunSpec) -> None:
    """Raise ConfigError unless it is a whole leave-one-subject-out run of these settings."""
    spec = records.spec
    if spec.kind != "jax" or spec.split != "loso":
        raise ConfigError(
            f"--estimate='{workdir}' is {_what(spec)}; the estimate of a model is a "
            "leave-one-subject-out run of experiments.loso with the same settings."
        )
    theirs, ours = (
        {name: value for name, value in one.to_json().items() if name not in _FREE}
        for one in (spec, wanted)
    )
    if differing := differences(theirs, ours, ("estimate", "model")):
        raise ConfigError(
            f"--estimate='{workdir}' is of other settings or clips: {'; '.join(differing[:8])}. "
            "Run experiments.loso with the model's flags, or leave --estimate out."
        )
    if not records.is_whole or records.failed:
        raise ConfigError(
            f"--estimate='{workdir}' is not whole: {len(records.missing)} folds are not finished, "
            f"{len(records.failed)} failed, {len({k for _, k in records.expected})} of "
            f"{records.subjects_in_data_set} subjects were asked for; finish the run over all "
            "subjects, or leave --estimate out."
        )


def _what(spec: RunSpec) -> str:
    if spec.kind != "jax":
        return {"pytorch": "a run in PyTorch", "given": "of given weights"}.get(
            spec.kind, "of a method without a network"
        )
    return f"a run with --split={spec.split}"

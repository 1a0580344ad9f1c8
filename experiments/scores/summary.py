"""Scores of one run, or of several merged ones, computed from their files alone."""

import dataclasses
import functools
import pathlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import Scores, pooled_scores, subject_scores
from experiments.files import candidate_files, consistency, run_files
from experiments.files.candidate_files import Tallies
from experiments.files.run_files import FoldKey, FoldRow, LogEntry, Prediction
from experiments.run import environment
from experiments.run.spec import RunSpec, differences
from experiments.run.workdir import read_config
from experiments.scores import spread
from input_pipeline.core import tasks
from input_pipeline.maps.synthetic import DATASET

# Settings in which the parts of one experiment may differ: shards, seeds, and who ran what.
_PER_PART = ("seeds", "shard", "subjects", "folds_at_once")


@dataclasses.dataclass(frozen=True)
class Records:
    """Everything that the files of one or several workdirs say."""

    spec: RunSpec
    class_names: tuple[str, ...]  # in the order of the labels
    config_hash: str
    predictions: list[Prediction]
    folds: list[FoldRow]
    log: list[LogEntry]
    expected: list[FoldKey]  # folds that were asked for
    notes: list[str]
    subjects_in_data_set: int
    pretend: bool
    surroundings: list[dict[str, Any]]  # environment.json of each workdir, empty where unreadable
    # What each candidate of inner selection predicts, trained on all folds; see candidate_files.
    candidates: Tallies = dataclasses.field(default_factory=dict)

    def confusion(self, rows: Iterable[Prediction]) -> np.ndarray:
        """Pooled confusion matrix of some of the rows, rows the truth."""
        return consistency.confusion_of(rows, len(self.class_names))

    @property
    def class_set(self) -> str:
        """Name of the class set; of classes that a data set brings itself their number."""
        usual = tasks.default(self.spec.dataset)
        own = usual.name if usual.classes == self.class_names else str(len(self.class_names))
        return self.spec.task or own

    @property
    def fold_words(self) -> str:
        """What each fold holds out, in the plural: subjects, or else folds."""
        return "subjects" if self.spec.split == "loso" else "folds"

    @property
    def is_whole(self) -> bool:
        """Whether every fold of the data set was asked for and has ended."""
        asked = len({key for _, key in self.expected})
        return asked == self.subjects_in_data_set and not self.missing

    @property
    def seeds(self) -> list[int]:
        """Seeds that were asked for."""
        return sorted({seed for seed, _ in self.expected})

    @property
    def missing(self) -> list[FoldKey]:
        """Folds asked for of which no file says anything."""
        known = {(fold.seed, fold.fold_key) for fold in self.folds}
        return [key for key in self.expected if key not in known]

    @property
    def failed(self) -> list[FoldKey]:
        """Folds that ended with a NaN or infinite loss."""
        return [(f.seed, f.fold_key) for f in self.folds if f.status == "failed"]


def read_records(workdirs: Sequence[pathlib.Path]) -> Records:
    """Read and merge workdirs; raises ConfigError where they are no parts of one experiment."""
    stored = [read_config(workdir) for workdir in workdirs]
    for workdir, one in zip(workdirs, stored, strict=True):
        if "study" in one["config"]:
            raise ConfigError(
                f"'{workdir}' holds the study {one['config']['study']} (experiments.ablation), no "
                "run; name the folder of one of its settings."
            )
    spec = RunSpec.from_json(stored[0]["config"])
    first = _shared(stored[0]["config"])
    for workdir, other in zip(workdirs[1:], stored[1:], strict=True):
        if differing := differences(first, _shared(other["config"])):
            raise ConfigError(
                f"'{workdir}' and '{workdirs[0]}' are not parts of one experiment: "
                f"{'; '.join(differing[:8])}. Report them one by one."
            )
    parts = [run_files.read_predictions(workdir) for workdir in workdirs]
    class_names = parts[0][0]
    if any(names != class_names for names, _ in parts):
        raise ConfigError("the workdirs hold runs of other classes; report them one by one.")
    predictions = [row for _, rows in parts for row in rows]
    folds = [row for workdir in workdirs for row in run_files.read_folds(workdir)]
    consistency.refuse_repeats(predictions, folds)
    log = [entry for workdir in workdirs for entry in run_files.read_metrics(workdir)]
    consistency.refuse_gaps(predictions, folds, log, spec, len(class_names))
    expected = {
        (seed, key) for part in stored for seed in part["config"]["seeds"] for key in part["folds"]
    }
    return Records(
        spec=spec,
        class_names=class_names,
        config_hash="+".join(part["config_hash"] for part in stored),
        predictions=sorted(predictions, key=lambda row: (row.seed, row.subject_key, row.clip)),
        folds=sorted(folds, key=lambda row: (row.seed, row.fold_key)),
        log=log,
        expected=sorted(expected),
        notes=sorted({note for part in stored for note in part["notes"]}),
        subjects_in_data_set=stored[0]["subjects_in_data_set"],
        pretend=any(map(is_pretend, stored)),
        surroundings=[environment.stored(workdir) for workdir in workdirs],
        candidates=candidate_files.read(workdirs, class_names),
    )


def is_pretend(stored: dict[str, Any]) -> bool:
    """Whether a run's data were made up; runs of earlier versions tell by the data set's name."""
    return stored.get("pretend", False) is not False or stored["config"]["dataset"] == DATASET


def _shared(config: dict[str, Any]) -> dict[str, Any]:
    # Labels shuffled by another seed are other data.
    own = (*_PER_PART, "data_sha256") if config["shuffled_labels"] else _PER_PART
    return {name: value for name, value in config.items() if name not in own}


def mean_scores(scores: Sequence[Scores]) -> dict[str, Any]:
    """Mean over seeds (or subjects), as stored in summary.json."""
    return _over(scores, np.mean) | {"n": round(float(np.mean([score.n for score in scores])))}


def _over(scores: Sequence[Scores], statistic: Callable[..., Any]) -> dict[str, Any]:
    """A statistic of each score, over seeds or subjects."""
    names = ("uf1", "uar", "accuracy")
    return {name: float(statistic([getattr(score, name) for score in scores])) for name in names}


def summarise(records: Records) -> dict[str, Any]:
    """The content of summary.json (docs/running.md).

    Headline: last epoch, counts pooled over folds, mean over seeds. The optimistic figure takes,
    per fold, the latest epoch with the highest accuracy on the held-out clips (HTNet's published
    rule); it is None unless held-out clips were predicted during training.
    """
    if not records.folds:
        raise ConfigError("no fold has ended yet, so there is nothing to report.")
    pooled = scores_by_seed(records)
    databases = sorted({row.database for row in records.predictions})
    classes = len(records.class_names)
    deviation = _over(pooled, functools.partial(np.std, ddof=1)) if len(pooled) > 1 else None
    return {
        "pooled": mean_scores(pooled) | spread.scores(_by_seed(records), classes),
        "pooled_std": deviation and {**deviation, "n": 0},
        "by_seed": [dataclasses.asdict(score) for score in pooled],
        "by_database": {
            name: mean_scores(scores_by_seed(records, database=name)) for name in databases
        },
        "confusion": records.confusion(records.predictions).tolist(),
        "per_subject_mean": _per_subject_mean(records),
        "optimistic_best_epoch_on_test": optimistic(records),
        "average_seeds": _averaged(records) if records.spec.average_seeds else None,
        "failed_folds": sorted({key for _, key in records.failed}),
        "missing_folds": sorted({key for _, key in records.missing}),
        "config_hash": records.config_hash,
        "seconds": round(sum(fold.seconds for fold in records.folds), 3),
    }


def scores_of(rows: Sequence[Prediction], num_classes: int) -> dict[str, Any]:
    """Pooled scores of predictions alone, means over their seeds."""
    by_seed: dict[int, list[Prediction]] = defaultdict(list)
    for row in rows:
        by_seed[row.seed].append(row)
    confusions = [consistency.confusion_of(own, num_classes) for _, own in sorted(by_seed.items())]
    return mean_scores([pooled_scores(one) for one in confusions])


def _averaged(records: Records) -> dict[str, Any] | None:
    """Scores of the clips' probabilities averaged over the seeds; None of a single seed."""
    if len(records.seeds) < 2 or not records.predictions:
        return None
    rows = spread.averaged(records.predictions)
    scores = dataclasses.asdict(pooled_scores(records.confusion(rows)))
    return scores | spread.scores([rows], len(records.class_names))


def _by_seed(records: Records, database: str | None = None) -> list[list[Prediction]]:
    """Predictions of each seed that has a fold, of one database where named."""
    by_seed: dict[int, list[Prediction]] = {fold.seed: [] for fold in records.folds}
    for row in records.predictions:
        if database in (None, row.database):
            by_seed[row.seed].append(row)
    return [rows for _, rows in sorted(by_seed.items())]


def scores_by_seed(records: Records, database: str | None = None) -> list[Scores]:
    """Each seed's pooled scores, of one database where named.

    A seed whose folds all failed counts as 0 rather than not at all.
    """
    return [pooled_scores(records.confusion(rows)) for rows in _by_seed(records, database)]


def _per_subject_mean(records: Records) -> dict[str, float]:
    by_subject: dict[tuple[int, str], list[Prediction]] = defaultdict(list)
    for row in records.predictions:
        by_subject[row.seed, row.subject_key].append(row)
    scores = [subject_scores(records.confusion(rows)) for rows in by_subject.values()]
    return _over(scores or [Scores(0.0, 0.0, 0.0, 0)], np.mean)


def optimistic(records: Records) -> dict[str, Any] | None:
    """Scores with each fold's best epoch picked on its own held-out clips, or None."""
    # Of each fold: clips right, epoch and counts.
    evaluated: dict[FoldKey, list[tuple[int, int, np.ndarray]]] = defaultdict(list)
    finished = {(f.seed, f.fold_key) for f in records.folds if f.status == "finished"}
    for entry in records.log:
        key, counts_KxK = (entry.seed, entry.fold_key), entry.confusion_KxK
        if counts_KxK is not None and key in finished:
            evaluated[key].append((int(np.trace(counts_KxK)), entry.epoch, counts_KxK))
    if not any(len(entries) > 1 for entries in evaluated.values()):
        return None
    best: dict[int, np.ndarray] = {}
    for (seed, _), entries in evaluated.items():
        *_, counts_KxK = max(entries, key=lambda entry: entry[:2])
        best[seed] = best.get(seed, 0) + counts_KxK
    return mean_scores([pooled_scores(matrix) for _, matrix in sorted(best.items())])

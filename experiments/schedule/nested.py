"""Inner selection: each fold's settings and epochs chosen by its own training subjects.

Every candidate is trained on inner folds of each fold's training subjects, and on the fold itself;
each is a run of its own below the workdir, which goes on from where it stopped. No held-out clip
has a part in a choice. Letters in array names: V evaluated epochs, T held-out clips, K classes.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.training import averaging
from ahmsa_jax.training.protocols import Fold, Job
from ahmsa_jax.training.selection import SELECT_BY, best, inner_folds
from experiments.files import candidate_files, run_files
from experiments.run import inner_selection
from experiments.run.chunk import Choice, Chunk, ChunkResult, History
from experiments.run.request import Run
from experiments.run.spec import Execution
from experiments.schedule import planning
from experiments.schedule.interruption import Interruption
from experiments.schedule.part_runs import Finished, trained
from input_pipeline.core.clips import Clips

INNER, OUTER = "inner", "outer"
# Where the number of epochs is chosen, about so many are looked at.
EPOCHS_SEEN = 20

JobKey = tuple[int, str]  # seed and fold


class Candidate(NamedTuple):
    """One line of --candidates, and the run that it makes of the whole."""

    number: int
    line: str
    run: Run

    @property
    def chooses_epochs(self) -> bool:
        """Whether any number of epochs could have been asked for: nothing else depends on it."""
        return chooses_epochs(self.run.train_config)


class Curve(NamedTuple):
    """What a training predicts of a fold's held-out clips at the epochs that can be chosen."""

    epochs_V: np.ndarray
    probability_VxTxK: np.ndarray
    is_finite: bool
    seconds: float  # its share of what its chunk took


def chooses_epochs(training: TrainConfig) -> bool:
    """Whether a shorter training is the beginning of a longer one."""
    return training.schedule == "constant" and not averaging.is_on(training)


def candidates_of(run: Run) -> list[Candidate]:
    """The candidates of a run with inner selection; raises ConfigError on a bad line."""
    found = []
    for number, line in enumerate(run.spec.candidates or ()):
        network, training = inner_selection.of_network_and_training(
            line, run.network_config, run.train_config
        )
        every = run.spec.eval_every
        if chooses_epochs(training):
            every = every or max(1, training.epochs // EPOCHS_SEEN)
        own = run.with_settings(network, training, eval_every=every)
        own = dataclasses.replace(own, keeps_curve=chooses_epochs(training))
        found.append(Candidate(number, line, own))
    return found


def inner_run(candidate: Candidate, parts: int) -> Run:
    """The run over the inner folds of every fold; shapes follow from those of all folds."""
    run = candidate.run
    inner = {fold.key: inner_folds(fold, run.clips, parts) for fold in run.folds}
    here = [one.key for key in run.here for one in inner[key]]
    spec = dataclasses.replace(
        run.spec,
        split=f"{run.spec.split}, {parts} {INNER} folds",
        eval_every=run.spec.eval_every if candidate.chooses_epochs else 0,
    )
    folds = [one for fold in run.folds for one in inner[fold.key]]
    return dataclasses.replace(run, spec=spec, folds=folds, requested=here, here=here)


def cost_in_words(run: Run) -> str:
    """What inner selection costs, for the first lines of a run."""
    candidates, parts = len(run.spec.candidates or ()), run.spec.inner_folds or 0
    folds = len(run.here) * len(run.spec.seeds)
    return (
        f"inner selection by {run.spec.select_by}: {candidates} candidate(s) x {parts} inner folds "
        f"x {folds} folds = {candidates * parts * folds:,} trainings on "
        f"{100 * (parts - 1) // parts} % of the clips, and {candidates * folds:,} of the folds "
        f"themselves: about {candidates * parts} times a run without"
    )


def train(run: Run, execution: Execution, interruption: Interruption) -> Finished:
    """Train every candidate inside and outside, choose, and give each fold's chosen result."""
    parts = run.spec.inner_folds
    assert parts is not None, "a run with inner selection has inner folds"
    candidates = candidates_of(run)
    inner_of = {fold.key: inner_folds(fold, run.clips, parts) for fold in run.folds_here}
    scores: dict[JobKey, list[Choice]] = {}
    # Of all trainings that serve a fold, not of the chosen one alone.
    seconds: defaultdict[JobKey, float] = defaultdict(float)
    for candidate in candidates:
        tell(candidate, len(candidates), INNER)
        curves = inner_curves(candidate, parts, execution, interruption)
        for job in planning.jobs_of(run):
            own = [(fold, curves[job.seed, fold.key]) for fold in inner_of[job.fold.key]]
            seconds[job.seed, job.fold.key] += sum(curve.seconds for _, curve in own)
            scored = _best_of_candidate(candidate, own, run.clips, run.spec.select_by or "")
            scores.setdefault((job.seed, job.fold.key), []).append(scored)
    chosen = {key: best([choice.score for choice in choices]) for key, choices in scores.items()}
    outer: list[Finished] = []
    for candidate in candidates:
        tell(candidate, len(candidates), "all folds")
        workdir = execution.workdir / OUTER / str(candidate.number)
        finished = trained(candidate.run, execution, workdir, interruption, execution.workdir)
        run_files.write_run_files(workdir, run.clips, finished)
        outer.append(finished)
        for job, curve, _ in _curves(finished):
            seconds[job.seed, job.fold.key] += curve.seconds
    candidate_files.write(execution.workdir, run.clips, outer)
    return _chosen_results(outer, chosen, scores, seconds, run.clips)


def inner_curves(
    candidate: Candidate, parts: int, execution: Execution, interruption: Interruption
) -> dict[JobKey, Curve]:
    """Train a candidate on the inner folds of every fold; the curve of each under each seed."""
    workdir = execution.workdir / INNER / str(candidate.number)
    inner = inner_run(candidate, parts)
    finished = trained(inner, execution, workdir, interruption, execution.workdir)
    return {(job.seed, job.fold.key): curve for job, curve, _ in _curves(finished)}


def tell(candidate: Candidate, count: int, what: str) -> None:
    """Say which candidate is trained, on what."""
    line = candidate.line or "the settings given"
    print(f"candidate {candidate.number + 1} of {count}, {what}: {line}", flush=True)


def _curves(finished: Finished) -> Iterator[tuple[Job, Curve, tuple[Chunk, ChunkResult, int]]]:
    """Each job with its curve, and the chunk, its results and the job's row in them."""
    for chunk, result in finished:
        counts = [len(job.fold.test_index) for job in chunk.jobs]
        ends = np.cumsum(counts)
        for row, job in enumerate(chunk.jobs):
            epochs_V = np.array([result.epoch])
            probability_VxTxK = result.probability[row][None]
            if result.curve_VxTxK is not None:
                epochs_V = result.evaluated_V
                probability_VxTxK = result.curve_VxTxK[:, ends[row] - counts[row] : ends[row]]
            share = result.seconds / len(chunk.jobs)
            curve = Curve(epochs_V, probability_VxTxK, result.finished(row), share)
            yield job, curve, (chunk, result, row)


def _best_of_candidate(
    candidate: Candidate, inner: Sequence[tuple[Fold, Curve]], clips: Clips, select_by: str
) -> Choice:
    """The candidate's best epoch by the inner folds pooled; one that diverged is never chosen."""
    scores_V = scores_of(inner, clips, select_by)
    place = best(scores_V) if np.isfinite(scores_V).all() else -1
    return Choice(int(inner[0][1].epochs_V[place]), candidate.line, float(scores_V[place]))


def scores_of(inner: Sequence[tuple[Fold, Curve]], clips: Clips, select_by: str) -> list[float]:
    """The score of each epoch that can be chosen, of the inner folds pooled.

    Minus infinity throughout where one of them diverged.
    """
    if not all(curve.is_finite for _, curve in inner):
        return [float("-inf")] * len(inner[0][1].epochs_V)
    label_T = clips.label_N[np.concatenate([fold.test_index for fold, _ in inner])]
    pooled_VxTxK = np.concatenate([curve.probability_VxTxK for _, curve in inner], axis=1)
    return [float(SELECT_BY[select_by](pooled_TxK, label_T)) for pooled_TxK in pooled_VxTxK]


def _chosen_results(
    outer: Sequence[Finished],
    chosen: dict[JobKey, int],
    scores: dict[JobKey, list[Choice]],
    seconds: Mapping[JobKey, float],
    clips: Clips,
) -> Finished:
    """A chunk of its own for each job, with what the chosen candidate gives at its epoch."""
    found: Finished = []
    for number, finished in enumerate(outer):
        for job, curve, (chunk, result, row) in _curves(finished):
            key = (job.seed, job.fold.key)
            if chosen[key] != number:
                continue
            choice = scores[key][number]
            place = int(np.flatnonzero(curve.epochs_V == choice.epochs)[0])
            history = _until(result, row, int(curve.epochs_V[place]), seconds[key])
            probability_TxK = curve.probability_VxTxK[place]
            counts_KxK = run_files.counts_of(job, clips, probability_TxK)
            history.add_counts(history.epoch, counts_KxK[None])
            one = ChunkResult(**vars(history), probability=[probability_TxK], choices=(choice,))
            found.append((Chunk(len(found), chunk.shape, 1, (job,)), one))
    return found


def _until(result: History, row: int, epochs: int, seconds: float) -> History:
    classes = result.confusion_SxVxKxK.shape[-1]
    return History(
        loss_SxE=result.loss_SxE[row : row + 1, :epochs],
        evaluated_V=np.zeros(0, np.int64),
        confusion_SxVxKxK=np.zeros((1, 0, classes, classes), np.int64),
        seconds=seconds,
    )

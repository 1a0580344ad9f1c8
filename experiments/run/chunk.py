"""Folds trained together, the plan of a run, and what training gives.

Letters in array names: S jobs, E epochs, V evaluated epochs, T held-out clips of all jobs,
K classes.
"""

import dataclasses
import math

import numpy as np

from ahmsa_jax.training.protocols import EpochShape, Job

# Of folds whose weights were given, or that know no epochs: no epoch, no step.
NOT_TRAINED = EpochShape(0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Jobs trained together; `size` is the number of places, shared by chunks of a shape."""

    number: int
    shape: EpochShape
    size: int
    jobs: tuple[Job, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The chunks of a run, and how they came to be smaller than first planned."""

    chunks: tuple[Chunk, ...]
    halvings: tuple[str, ...] = ()


@dataclasses.dataclass
class History:
    """Losses and counts of a chunk so far."""

    loss_SxE: np.ndarray  # mean training loss of each epoch, nats
    evaluated_V: np.ndarray  # epochs, counted from 1, at which held-out clips were predicted
    confusion_SxVxKxK: np.ndarray  # of the held-out clips, rows the truth
    seconds: float  # wall time, compiling included
    # Probabilities of all jobs' held-out clips, job after job, at each evaluated epoch, for runs
    # that choose among these.
    curve_VxTxK: np.ndarray | None = None

    @property
    def epoch(self) -> int:
        """Epochs trained."""
        return int(self.loss_SxE.shape[1])

    def latest_counts(self) -> np.ndarray | None:
        """Counts (K, K) of all held-out clips when last predicted; None before."""
        return self.confusion_SxVxKxK[:, -1].sum(axis=0) if len(self.evaluated_V) else None

    def add_losses(self, loss_SxE: np.ndarray) -> None:
        """Append the losses of further epochs."""
        self.loss_SxE = np.concatenate([self.loss_SxE, loss_SxE], axis=1)

    def add_counts(self, epoch: int, confusion_SxKxK: np.ndarray) -> None:
        """Append the counts of the held-out clips as predicted after an epoch."""
        self.evaluated_V = np.append(self.evaluated_V, epoch)
        self.confusion_SxVxKxK = np.concatenate(
            [self.confusion_SxVxKxK, confusion_SxKxK[:, None]], axis=1
        )

    def since(self, epoch: int) -> "History":
        """What came after an epoch, without the curve."""
        later_V = self.evaluated_V > epoch
        return History(
            loss_SxE=self.loss_SxE[:, epoch:],
            evaluated_V=self.evaluated_V[later_V],
            confusion_SxVxKxK=self.confusion_SxVxKxK[:, later_V],
            seconds=self.seconds,
        )

    def extend(self, later: "History") -> None:
        """Append what `since` gave of a longer history of the same jobs."""
        self.add_losses(later.loss_SxE)
        for place, epoch in enumerate(later.evaluated_V):
            self.add_counts(int(epoch), later.confusion_SxVxKxK[:, place])
        self.seconds = later.seconds

    def add_probability(self, probability_TxK: np.ndarray) -> None:
        """Append the probabilities of all jobs' held-out clips as predicted after an epoch."""
        newest = probability_TxK[None].astype(np.float32)
        kept = [] if self.curve_VxTxK is None else [self.curve_VxTxK]
        self.curve_VxTxK = np.concatenate([*kept, newest])


def mean_loss(loss_S: np.ndarray) -> float:
    """Mean over the finite losses, nats; NaN where there is none."""
    finite_S = loss_S[np.isfinite(loss_S)]
    return float(finite_S.mean(dtype=np.float64)) if len(finite_S) else math.nan


def empty_history(jobs: int, num_classes: int) -> History:
    """The history of a chunk before its first epoch."""
    return History(
        loss_SxE=np.zeros((jobs, 0), np.float32),
        evaluated_V=np.zeros(0, np.int64),
        confusion_SxVxKxK=np.zeros((jobs, 0, num_classes, num_classes), np.int64),
        seconds=0.0,
    )


@dataclasses.dataclass(frozen=True)
class Choice:
    """What inner selection chose for a fold, by its training subjects alone."""

    epochs: int | None  # None: the method knows no epochs
    candidate: str  # the flags, as a line of --candidates; empty where there were none
    score: float  # of the inner folds together, larger is better


@dataclasses.dataclass
class ChunkResult(History):
    """The whole history of a chunk, and the probabilities after the last epoch."""

    probability: list[np.ndarray] = dataclasses.field(default_factory=list)  # (T of the job, K)
    choices: tuple[Choice, ...] = ()  # per job, of runs with inner selection

    def finished(self, row: int) -> bool:
        """Whether the job ended with finite losses and probabilities."""
        return bool(
            np.isfinite(self.loss_SxE[row]).all() and np.isfinite(self.probability[row]).all()
        )


@dataclasses.dataclass(frozen=True)
class OutOfMemory:
    """Why a chunk does not fit the memory."""

    reason: str

"""What the program knows of a classical method: the value to write for a new one.

Letters in array names: N clips of the data set, T training or held-out clips of a fold, K classes.
"""

import dataclasses
import pathlib
from typing import Any, NamedTuple

import numpy as np

from ahmsa_jax import choices
from ahmsa_jax.choices import Entry
from ahmsa_jax.config import Settings
from input_pipeline.core.clips import Clips


class Places(NamedTuple):
    """Where a method that reads more than the stored maps finds it."""

    data_dir: pathlib.Path | None = None
    raw_dir: pathlib.Path | None = None


class FoldTask(NamedTuple):
    """What one fold learns from and predicts: no label of a held-out clip is among it."""

    train_index: np.ndarray
    label_T: np.ndarray  # of the training clips, in the order of train_index
    test_index: np.ndarray
    num_classes: int


@dataclasses.dataclass(frozen=True)
class Method:
    """A method: settings, what it reads of the clips, and how a fold is learnt and predicted.

    `describe` takes (Clips, settings, Places) and gives what folds are made of: numbers of each
    clip by itself, or of each pair of clips. `predict` takes (that, FoldTask, settings) and gives
    probabilities (held-out clips, K), whose largest is the prediction. A fold whose training
    clips are all of one class predicts it and is not given to `predict`. Entries are functions,
    or "module:function" where loading can wait.
    """

    name: str
    config: type[Settings]
    describe: Entry
    predict: Entry
    # Names of the settings that `describe` reads.
    describes_by: tuple[str, ...] = ()
    # Sentences that every report of a run must show.
    remarks: tuple[str, ...] = ()
    # Whether it mirrors the maps: layouts that do not allow it are refused.
    mirrors: bool = False
    # Whether it reads the frames below --raw_dir.
    reads_frames: bool = False

    def described(self, clips: Clips, settings: Settings, places: Places) -> Any:
        """What folds are made of; raises InputError where the data set lacks what it reads."""
        return choices.loaded(self.describe)(clips, settings, places)

    def predicted(self, described: Any, task: FoldTask, settings: Settings) -> np.ndarray:
        """Probabilities of a fold's held-out clips, float32 (T, K)."""
        present = np.unique(task.label_T)
        if len(present) == 1:
            alone_K = np.eye(task.num_classes, dtype=np.float32)[present[0]]
            return np.repeat(alone_K[None], len(task.test_index), axis=0)
        return np.asarray(choices.loaded(self.predict)(described, task, settings), np.float32)

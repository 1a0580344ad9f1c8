"""Trains chunks of one fold each in PyTorch; needs the baselines extra."""

import pathlib

import numpy as np

from ahmsa_jax.training.clip_order import rank_of_clips
from experiments.baselines import state_files, torch_extra
from experiments.baselines.torch_folds import FoldTrainer
from experiments.files import fold_weights
from experiments.run.chunk import Chunk, ChunkResult
from experiments.run.request import Run
from experiments.schedule.progress import Report


class TorchTrainer:
    """Trains the PyTorch twin of a run's network, one fold a chunk."""

    def __init__(self, run: Run, workdir: pathlib.Path) -> None:
        """Put the data set on the device; with --save_weights files go below `workdir`."""
        clips, self._config = run.clips, run.network_config
        self._trainer = FoldTrainer(
            run.network_config,
            run.train_config,
            clips.flow_NxHxWxC,
            clips.label_N,
            rank_N=rank_of_clips(
                run.train_config.order, clips.label_N, clips.subject_N, clips.clip_N
            ),
            eval_every=run.spec.eval_every,
        )
        self.device = self._trainer.device
        self._weights = workdir / fold_weights.FOLDER if run.spec.save_weights else None

    def train(self, chunk: Chunk, report: Report) -> ChunkResult:
        """The results of the chunk's fold."""
        (job,) = chunk.jobs
        report.restart_clock()
        report.begin(chunk.number, 1)

        def tell(epoch: int, loss: float) -> None:
            report.advance(chunk.number, epoch, np.array([loss]))

        result, params = self._trainer.train(job, tell)
        if self._weights:
            name = f"{job.fold.key.replace('/', '_')}{torch_extra.SUFFIXES[0]}"
            path = self._weights / f"seed-{job.seed}" / name
            state_files.write(path, self._config, params)
        return result

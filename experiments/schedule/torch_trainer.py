"""Trains chunks of one fold each in plain PyTorch, one step after another.

Needs the baselines extra. Initial parameters, batch orders and dropout come from PyTorch's own
random numbers, seeded by the seed and the held-out subject. Letters in array names: N clips of
the data set, M training clips, B clips of a step, T held-out clips, K classes.
"""

import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)

from ahmsa_jax.metrics import confusion_matrix
from ahmsa_jax.training.clip_order import rank_of_clips
from ahmsa_jax.training.protocols import Fold
from experiments.baselines import state_files, torch_extra, twins
from experiments.baselines.torch_step import descend, pick_device, set_tf32
from experiments.files import fold_weights
from experiments.run.chunk import Chunk, ChunkResult, empty_history
from experiments.run.request import Run
from experiments.schedule.progress import Report


class TorchTrainer:
    """Trains the PyTorch twin of a run's network, one fold a chunk; holds the data set."""

    def __init__(self, run: Run, workdir: pathlib.Path) -> None:
        """Put the data set on the device; with --save_weights files go below `workdir`."""
        clips, self._config, self._training = run.clips, run.network_config, run.train_config
        self._eval_every = run.spec.eval_every
        self._weights = workdir / fold_weights.FOLDER if run.spec.save_weights else None
        self._label_N = clips.label_N
        order = self._training.order
        rank_N = rank_of_clips(order, clips.label_N, clips.subject_N, clips.clip_N)
        self._rank_N = np.arange(len(clips)) if rank_N is None else rank_N
        self.device = pick_device()
        self._flow_NxHxWxC = torch.as_tensor(clips.flow_NxHxWxC, device=self.device)
        self._truth_N = torch.as_tensor(clips.label_N, dtype=torch.int64, device=self.device)
        set_tf32(self._training.precision == "tf32")

    def train(self, chunk: Chunk, report: Report) -> ChunkResult:
        """The results of the chunk's fold, trained from scratch."""
        (job,) = chunk.jobs
        report.restart_clock()
        report.begin(chunk.number, 1)
        began = time.monotonic()
        torch.manual_seed((job.seed << 32) + job.fold.stable_id)
        network = twins.build(self._config).to(self.device)
        optimizer = torch.optim.Adam(network.parameters(), lr=self._training.learning_rate)
        classes, every, epochs = self._config.num_classes, self._eval_every, self._training.epochs
        history = empty_history(1, classes)
        probability = np.zeros((0, classes), np.float32)
        for epoch in range(1, epochs + 1):
            loss = self._epoch(network, optimizer, job.fold)
            history.add_losses(np.array([[loss]], np.float32))
            if epoch == epochs or (every and epoch % every == 0):
                probability = self._predict(network, job.fold)
                truth = self._label_N[job.fold.test_index]
                counts = confusion_matrix(truth, probability.argmax(axis=-1), classes)
                history.add_counts(epoch, counts[None])
            report.advance(chunk.number, epoch, np.array([loss]))
        history.seconds = time.monotonic() - began
        if self._weights:
            name = f"{job.fold.key.replace('/', '_')}{torch_extra.SUFFIXES[0]}"
            params = twins.from_torch(self._config, network.state_dict())
            state_files.write(self._weights / f"seed-{job.seed}" / name, self._config, params)
        return ChunkResult(**vars(history), probability=[probability])

    def _epoch(
        self, network: torch.nn.Module, optimizer: torch.optim.Optimizer, fold: Fold
    ) -> float:
        """One pass over the training clips; returns the mean loss over them, nats."""
        network.train()
        index_M = np.flatnonzero(fold.train_N)
        index = torch.from_numpy(index_M[np.argsort(self._rank_N[index_M])]).to(self.device)
        if self._training.shuffle:
            index = index[torch.randperm(len(index)).to(self.device)]
        total = torch.zeros((), device=self.device)
        for index_B in index.split(self._training.batch_size):
            logits_BxK = network(self._flow_NxHxWxC[index_B])
            loss = descend(F.cross_entropy(logits_BxK, self._truth_N[index_B]), optimizer)
            total += loss * len(index_B)
        return float(total) / len(index)

    def _predict(self, network: torch.nn.Module, fold: Fold) -> np.ndarray:
        """Class probabilities (T, K) of the held-out clips."""
        network.eval()
        with torch.no_grad():
            logits_TxK = network(self._flow_NxHxWxC[fold.test_index])
            return torch.softmax(logits_TxK, dim=-1).cpu().numpy()

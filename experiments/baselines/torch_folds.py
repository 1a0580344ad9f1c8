"""Leave-one-subject-out training in plain PyTorch: one fold after another, one step after another.

Needs the baselines extra. Initial parameters, batch orders and dropout come from PyTorch's own
random numbers, seeded by the seed and the held-out subject. Letters in array names: N clips of
the data set, M training clips, E epochs, V evaluated epochs, K classes.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.metrics import confusion_matrix
from ahmsa_jax.training.protocols import Job
from experiments.baselines import twins
from experiments.baselines.torch_step import descend, pick_device, set_tf32
from experiments.run.chunk import ChunkResult, empty_history

# Told after each epoch: the epoch and its mean loss.
AfterEpoch = Callable[[int, float], None]


class FoldTrainer:
    """Trains the twin of a network on one fold after another; holds the data set."""

    def __init__(
        self,
        model_config: NetworkConfig,
        train_config: TrainConfig,
        flow_NxHxWxC: np.ndarray,
        label_N: np.ndarray,
        *,
        rank_N: np.ndarray | None = None,
        eval_every: int = 0,
    ) -> None:
        """Put the data set on the device; with `eval_every`, held-out clips are predicted too.

        `rank_N` as from clip_order.rank_of_clips.
        """
        self._rank_N = np.arange(len(label_N)) if rank_N is None else rank_N
        self.device = pick_device()
        self._model_config = model_config
        self._train_config = train_config
        self._eval_every = eval_every
        self._flow_NxHxWxC = torch.as_tensor(flow_NxHxWxC, device=self.device)
        self._label_N = torch.as_tensor(label_N, dtype=torch.int64, device=self.device)
        set_tf32(train_config.precision == "tf32")

    def train(self, job: Job, report: AfterEpoch) -> tuple[ChunkResult, dict[str, np.ndarray]]:
        """Train one fold from scratch; returns its results and its Flax parameters by path."""
        began = time.monotonic()
        config = self._train_config
        torch.manual_seed((job.seed << 32) + job.fold.stable_id)
        network = twins.build(self._model_config).to(self.device)
        optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        classes, every = self._model_config.num_classes, self._eval_every
        history = empty_history(1, classes)
        probability = np.zeros((0, classes), np.float32)
        for epoch in range(1, config.epochs + 1):
            loss = self._epoch(network, optimizer, job)
            history.add_losses(np.array([[loss]], np.float32))
            if epoch == config.epochs or (every and epoch % every == 0):
                probability = self._predict(network, job)
                truth = self._label_N[job.fold.test_index].cpu().numpy()
                counts = confusion_matrix(truth, probability.argmax(axis=-1), classes)
                history.add_counts(epoch, counts[None])
            report(epoch, loss)
        history.seconds = time.monotonic() - began
        result = ChunkResult(**vars(history), probability=[probability])
        return result, twins.from_torch(self._model_config, network.state_dict())

    def _epoch(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer, job: Job) -> float:
        """One pass over the training clips; returns the mean loss over them, nats."""
        network.train()
        index_M = np.flatnonzero(job.fold.train_N)
        index = torch.from_numpy(index_M[np.argsort(self._rank_N[index_M])]).to(self.device)
        if self._train_config.shuffle:
            index = index[torch.randperm(len(index)).to(self.device)]
        total = torch.zeros((), device=self.device)
        for index_B in index.split(self._train_config.batch_size):
            logits_BxK = network(self._flow_NxHxWxC[index_B])
            loss = descend(F.cross_entropy(logits_BxK, self._label_N[index_B]), optimizer)
            total += loss * len(index_B)
        return float(total) / len(index)

    def _predict(self, network: torch.nn.Module, job: Job) -> np.ndarray:
        """Class probabilities of the held-out clips."""
        network.eval()
        with torch.no_grad():
            logits_TxK = network(self._flow_NxHxWxC[job.fold.test_index])
            return torch.softmax(logits_TxK, dim=-1).cpu().numpy()

"""Trains chunks of one fold each in plain PyTorch, one step after another.

Needs the baselines extra. Initial parameters, batch orders and dropout come from PyTorch's own
random numbers, seeded by the seed and the held-out subject. Letters in array names: N clips of
the data set, M training clips, B clips of a step, T held-out clips, K classes.
"""

import pathlib
import time

import numpy as np
import torch

from ahmsa_jax.inputs.mirror import mirrored
from ahmsa_jax.metrics import confusion_matrix
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training.clip_order import rank_of_clips
from ahmsa_jax.training.protocols import Fold
from ahmsa_jax.training.step import PREDICTED_AT_ONCE
from experiments.baselines import state_files, torch_extra, twins
from experiments.baselines.torch_losses import LOSSES, smoothed
from experiments.baselines.torch_optimizers import (
    Optimizer,
    Schedule,
    make_optimizer,
    make_schedule,
)
from experiments.baselines.torch_step import descend, pick_device, set_tf32
from experiments.files import fold_weights
from experiments.run import prepared
from experiments.run.chunk import Chunk, ChunkResult, empty_history
from experiments.run.request import Run
from experiments.schedule.progress import Report

# The network's inputs by name.
Inputs = dict[str, torch.Tensor]


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
        names = network_of(self._config).inputs_of(self._config)
        of_clips = prepared.inputs(clips, self._training)
        # As stored, pictures as uint8: the network casts those of a step. Where --test_mirror asks
        # for it, the mirror images are a second view.
        seen = [{name: of_clips[name] for name in names}]
        if self._training.test_mirror:
            centred = self._training.input_norm != "none"
            seen.append(seen[0] | {"flow": mirrored(of_clips["flow"], centred=centred)})
        self._views: list[Inputs] = [
            {name: torch.as_tensor(np.array(one), device=self.device) for name, one in view.items()}
            for view in seen
        ]
        self._classes = len(clips.class_names)
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
        optimizer = make_optimizer(network, self._config, self._training)
        batches = len(self._batches(torch.zeros(job.fold.n_train)))
        schedule = make_schedule(optimizer, self._training, self._training.epochs * batches)
        classes, every, epochs = self._config.num_classes, self._eval_every, self._training.epochs
        history = empty_history(1, classes)
        probability = np.zeros((0, classes), np.float32)
        for epoch in range(1, epochs + 1):
            loss = self._epoch(network, optimizer, schedule, job.fold)
            history.add_losses(np.array([[loss]], np.float32))
            if epoch == epochs or (every and epoch % every == 0):
                probability = self._predict(network, job.fold)
                truth = self._label_N[job.fold.test_index]
                counts = confusion_matrix(truth, probability.argmax(axis=-1), classes)
                history.add_counts(epoch, counts[None])
            report.advance(chunk.number, history)
        history.seconds = time.monotonic() - began
        if self._weights:
            name = f"{job.fold.key.replace('/', '_')}{torch_extra.SUFFIXES[0]}"
            params = twins.from_torch(self._config, network.state_dict())
            state_files.write(self._weights / f"seed-{job.seed}" / name, self._config, params)
        return ChunkResult(**vars(history), probability=[probability])

    def _epoch(
        self,
        network: torch.nn.Module,
        optimizer: Optimizer,
        schedule: Schedule | None,
        fold: Fold,
    ) -> float:
        """One pass over the training clips; returns the mean loss over them, nats."""
        network.train()
        index_M = np.flatnonzero(fold.train_N)
        index = torch.from_numpy(index_M[np.argsort(self._rank_N[index_M])]).to(self.device)
        if self._training.shuffle:
            index = index[torch.randperm(len(index)).to(self.device)]
        std_C, weight_K = self._std(fold), self._class_weights(fold)
        loss_of_clips, smoothing = LOSSES[self._training.loss], self._training.label_smoothing
        total, count = torch.zeros((), device=self.device), 0
        for index_B in self._batches(index):
            logits_BxK = network(*_shown(self._views[0], index_B, std_C))
            label_B = self._truth_N[index_B]
            each_B = smoothed(loss_of_clips, logits_BxK, label_B, smoothing)
            loss = descend((each_B * weight_K[label_B]).mean(), optimizer)
            if schedule is not None:
                schedule.step()
            total, count = total + loss * len(index_B), count + len(index_B)
        return float(total) / count

    def _batches(self, index: torch.Tensor) -> list[torch.Tensor]:
        batches = list(index.split(self._training.batch_size))
        drops = self._training.drop_last and len(batches) > 1
        return batches[:-1] if drops and len(batches[-1]) < len(batches[0]) else batches

    def _std(self, fold: Fold) -> torch.Tensor | None:
        """Deviation of each channel over the training clips with --fold_std, else None."""
        if not self._training.fold_std:
            return None
        std_C = self._views[0]["flow"][fold.train_N].std(dim=(0, 1, 2), unbiased=False)
        return torch.where(std_C > 0, std_C, 1.0)

    def _class_weights(self, fold: Fold) -> torch.Tensor:
        """n / (K n_c) of the training clips where --class_weights asks for it, else 1."""
        count_K = np.bincount(self._label_N[fold.train_N], minlength=self._classes)
        weight_K = np.ones(self._classes)
        if self._training.class_weights:
            weight_K = count_K.sum() / (np.sum(count_K > 0) * np.maximum(count_K, 1))
        return torch.as_tensor(weight_K, dtype=torch.float32, device=self.device)

    def _predict(self, network: torch.nn.Module, fold: Fold) -> np.ndarray:
        """Class probabilities (T, K) of the held-out clips."""
        network.eval()
        std_C, index_T = self._std(fold), torch.as_tensor(fold.test_index, device=self.device)
        # The pictures of all held-out clips at once would outgrow those of a step.
        at_once = PREDICTED_AT_ONCE if "frames" in self._views[0] else len(index_T)
        with torch.no_grad():
            seen = [
                torch.cat(
                    [
                        torch.softmax(network(*_shown(view, index_P, std_C)), dim=-1)
                        for index_P in index_T.split(at_once)
                    ]
                )
                for view in self._views
            ]
            return torch.stack(seen).mean(dim=0).cpu().numpy()


def _shown(view: Inputs, index_B: torch.Tensor, std_C: torch.Tensor | None) -> list[torch.Tensor]:
    """These clips' inputs in the network's order, the flow divided by its deviations."""
    return [
        array[index_B] if std_C is None or name != "flow" else array[index_B] / std_C
        for name, array in view.items()
    ]

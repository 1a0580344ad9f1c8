"""One fold's training in PyTorch, step by step: as the field's scripts do it, and at its fastest.

Needs the baselines extra. Letters in array names: N clips of the data set, B clips of a step.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.registry import network_of
from experiments.baselines import twins
from experiments.baselines.torch_ahmsa import Form


def pick_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def set_tf32(allowed: bool) -> None:
    """Let products and convolutions use tf32 on a GPU, or not; nothing changes on a CPU."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high" if allowed else "highest")
        torch.backends.cudnn.allow_tf32 = allowed


def descend(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """One optimizer step; returns the loss before it, still on the device."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


class TorchFold:
    """A network, its optimizer and the data set on one device, used for one fold after another.

    `eager` steps as the field's public scripts do. `expert` compiles loss and gradient, updates
    with fused Adam, and on a GPU replays the whole step as one CUDA graph.
    """

    def __init__(
        self,
        form: Form,
        model_config: NetworkConfig,
        train_config: TrainConfig,
        inputs: Mapping[str, np.ndarray],
        label_N: np.ndarray,
        *,
        compiled: bool | None = None,
    ) -> None:
        """Build network and optimizer; `compiled` is on for `expert` unless told otherwise.

        `inputs` are (N, ...) each by name: those of the network are put on the device as they are.
        """
        self.device = pick_device()
        self.form = form
        names = network_of(model_config).inputs_of(model_config)
        self._inputs = [torch.as_tensor(inputs[name], device=self.device) for name in names]
        self._label_N = torch.as_tensor(label_N, dtype=torch.int64, device=self.device)
        self._config = model_config
        self.network = twins.build(model_config, form).to(self.device)
        expert = form == "expert"
        self._wants_graph = expert and self.device.type == "cuda"
        live = [value for value in self.network.parameters() if value.requires_grad]
        self._optimizer = torch.optim.Adam(
            live,
            lr=train_config.learning_rate,
            fused=True if expert else None,
            capturable=self._wants_graph,
        )
        compiled = expert if compiled is None else compiled
        self._loss = torch.compile(self._mean_loss) if compiled else self._mean_loss
        self._graph: torch.cuda.CUDAGraph | None = None
        self._index_B = torch.zeros(0, dtype=torch.int64, device=self.device)
        self._graph_loss = torch.zeros(())

    def start(self, params: Mapping[str, np.ndarray]) -> None:
        """Begin a fold: Flax parameters by path, and Adam from zero; memory stays in place."""
        self.network.load_state_dict(twins.to_torch(self._config, params, self.form))
        for moments in self._optimizer.state.values():
            for value in moments.values():
                if isinstance(value, torch.Tensor):
                    value.zero_()

    def step(self, index_B: torch.Tensor) -> torch.Tensor:
        """One optimizer step on these clips; returns the loss before it, still on the device."""
        if not self._wants_graph:
            return self._plain_step(index_B)
        if self._graph is None or len(self._index_B) != len(index_B):
            self._capture(index_B)
        assert self._graph is not None
        self._index_B.copy_(index_B)
        self._graph.replay()
        return self._graph_loss.clone()

    def run(self, batches: Sequence[torch.Tensor]) -> list[float]:
        """Steps on these batches; returns their losses after waiting for the device."""
        losses = [self.step(index_B) for index_B in batches]
        return [float(value) for value in torch.stack(losses).cpu()]

    def as_index(self, index: np.ndarray) -> torch.Tensor:
        """Clip numbers as a tensor on the device."""
        # A copy: arrays that JAX hands out are read-only, which PyTorch does not know.
        return torch.as_tensor(np.array(index), dtype=torch.int64, device=self.device)

    def _mean_loss(self, label_B: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.network(*inputs), label_B)

    def _plain_step(self, index_B: torch.Tensor) -> torch.Tensor:
        loss = self._loss(self._label_N[index_B], *(array[index_B] for array in self._inputs))
        return descend(loss, self._optimizer)

    def _capture(self, index_B: torch.Tensor) -> None:
        """Record one step; the steps that warm it up must leave no trace in the fold."""
        kept = {name: value.clone() for name, value in self.network.state_dict().items()}
        moments = [
            {name: value.clone() for name, value in self._optimizer.state[p].items()}
            for p in self._optimizer.param_groups[0]["params"]
        ]
        self._index_B = index_B.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._plain_step(self._index_B)
        torch.cuda.current_stream().wait_stream(side)
        self._optimizer.zero_grad(set_to_none=True)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._graph_loss = self._plain_step(self._index_B)
        self.network.load_state_dict(kept)
        for p, before in zip(self._optimizer.param_groups[0]["params"], moments, strict=True):
            for name, value in self._optimizer.state[p].items():
                value.copy_(before[name]) if name in before else value.zero_()

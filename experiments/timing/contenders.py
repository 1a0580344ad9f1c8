"""What the benchmark times: the same folds, weights and batches in PyTorch and in this engine.

A round of a contender is `steps` optimizer steps of each of `folds` folds, or of as many whole
chunks as they fill. Letters in array names:
N clips of the data set, B clips of a step, S side of the pictures, C channels.
"""

import dataclasses
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.config import NetworkConfig, Precision, TrainConfig
from ahmsa_jax.networks.initial import blank_inputs
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training import step
from ahmsa_jax.training.engine import Engine
from ahmsa_jax.training.protocols import EpochShape, Fold, Job
from experiments.baselines.torch_ahmsa import Form
from experiments.baselines.torch_step import TorchFold, set_tf32
from experiments.run import cores

STEPS_PER_EPOCH = 2
HELD_OUT = 8
# The composite's largest subject has 39 clips, and every fold's evaluation is as wide.
TEST_PLACES = 40
EVALUATING = "c: evaluating each epoch"


@dataclasses.dataclass(frozen=True)
class TimedProblem:
    """A made-up LOSO problem whose every step is a whole batch; the paper's setting has two."""

    model_config: NetworkConfig
    train_config: TrainConfig
    folds: int
    steps: int  # of a round and fold, a multiple of STEPS_PER_EPOCH

    @property
    def shape(self) -> EpochShape:
        """Two whole batches per epoch."""
        size = self.train_config.batch_size
        return EpochShape(STEPS_PER_EPOCH, size, size)

    @functools.cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """Made-up arrays (N, ...) of what the network sees, by name."""
        return self._made_up[0]

    @functools.cached_property
    def label_N(self) -> np.ndarray:
        """Random labels (N,)."""
        return self._made_up[1]

    @functools.cached_property
    def _made_up(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        count, config = self.shape.places + HELD_OUT, self.model_config
        rng = np.random.default_rng(0)
        names = network_of(config).inputs_of(config)
        inputs = {
            name: made_up(name, (count, *blank.shape[1:]), rng)
            for name, blank in zip(names, blank_inputs(config), strict=True)
        }
        return inputs, rng.integers(0, config.num_classes, count)

    def job(self, number: int) -> Job:
        """The fold of that number: it holds out clips of its own and trains on all others."""
        count = len(self.label_N)
        own = (np.arange(HELD_OUT) + number * HELD_OUT) % count
        train_N = np.ones(count, bool)
        train_N[own] = False
        return Job(0, Fold(f"benchmark/{number:04d}", train_N, np.sort(own)))

    def batches(self, job: Job, steps: int) -> list[np.ndarray]:
        """Clips of the fold's first steps, as the engine draws them."""
        key = step.fold_key(job.seed, jnp.uint32(job.fold.stable_id))
        fold = step.FoldInput(
            {}, jnp.asarray(job.fold.train_N), jnp.asarray(job.fold.test_index), key
        )
        found: list[np.ndarray] = []
        for epoch in range(-(-steps // STEPS_PER_EPOCH)):
            index, _ = step.epoch_order(
                fold, jnp.int32(epoch), self.shape, shuffle=self.train_config.shuffle
            )
            found += np.split(np.asarray(index), STEPS_PER_EPOCH)
        return found[:steps]


def made_up(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """An input of that name and shape (N, ...), as it is stored: maps in 0..255, pictures, flow.

    The flow is smooth and below a pixel: where it is rough, undoing it has no solution to agree on.
    """
    if name == "flow":
        return rng.uniform(0, 255, shape).astype(np.float32)
    if name == "frames":
        return rng.integers(0, 256, shape, np.uint8)
    clips, side, _, channels = shape
    wave_S = np.sin(2 * np.pi * np.arange(side) / side)
    height_NxC = rng.uniform(-1, 1, (clips, channels))
    flow_NxSxSxC = np.einsum("y,x,nc->nyxc", wave_S, wave_S, height_NxC)
    return flow_NxSxSxC.astype(np.float16)


class EngineContender:
    """(c): this engine, `folds_at_once` folds together."""

    kind = "c"

    def __init__(
        self,
        problem: TimedProblem,
        folds_at_once: int,
        precision: Precision,
        *,
        eval_every: int = 0,
    ) -> None:
        """Compile for one device, or for as many as a run divides a CPU into.

        Raises JAX's error where memory does not hold the chunk.
        """
        self.name = EVALUATING if eval_every else "c: this engine"
        self.precision = precision
        self._problem = problem
        here = jax.local_devices()
        is_cpu = here[0].platform == "cpu"
        devices = cores.devices(folds_at_once, len(here), {folds_at_once}) if is_cpu else 1
        self._engine = Engine(
            problem.model_config,
            dataclasses.replace(problem.train_config, precision=precision),
            problem.shape,
            size=folds_at_once,
            test_places=TEST_PLACES,
            eval_every=eval_every,
            devices=here[:devices],
        )
        self.folds_at_once, self.devices = self._engine.size, devices
        self._data = self._engine.place_data(problem.inputs, problem.label_N)
        self._jobs = [problem.job(number) for number in range(folds_at_once)]
        began = time.perf_counter()
        self.bytes_needed = self._engine.compile(self._engine.start(self._jobs), self._data)
        self.compile_seconds = time.perf_counter() - began

    @property
    def text(self) -> str:
        """The compiled training program's text."""
        return self._engine.compiled_text

    def initial(self) -> dict[str, np.ndarray]:
        """Fold 0's initial parameters by path."""
        return self._engine.parameters(self._engine.start(self._jobs), self._jobs)[0]

    def first_losses(self, epochs: int) -> np.ndarray:
        """Mean losses of fold 0 in its first epochs."""
        return self._engine.run_epochs(self._engine.start(self._jobs), self._data, 0, epochs)[0]

    def round(self) -> float:
        """Seconds per fold-step of one round; the folds' start is not counted."""
        # Started anew, so that no two contenders' folds fill the memory together.
        chunk = self._engine.start(self._jobs)
        jax.block_until_ready(chunk.state)
        epochs = self._problem.steps // STEPS_PER_EPOCH
        chunks = max(1, self._problem.folds // self.folds_at_once)
        began = time.perf_counter()
        for number in range(chunks):
            self._engine.run_epochs(chunk, self._data, number * epochs, epochs)
        seconds = time.perf_counter() - began
        return seconds / (chunks * self.folds_at_once * self._problem.steps)


class TorchContender:
    """(a) or (b): PyTorch, one fold after another."""

    folds_at_once = devices = 1

    def __init__(
        self,
        problem: TimedProblem,
        form: Form,
        precision: Precision,
        initial: dict[str, np.ndarray],
    ) -> None:
        """Build and, for `expert`, compile; `initial` is fold 0's parameters by path."""
        self.kind = "a" if form == "eager" else "b"
        self.name = f"{self.kind}: PyTorch {form}"
        self.precision = precision
        self._problem = problem
        self._initial = initial
        self._fold = TorchFold(
            form, problem.model_config, problem.train_config, problem.inputs, problem.label_N
        )
        self._batches = [
            [self._fold.as_index(index) for index in problem.batches(problem.job(n), problem.steps)]
            for n in range(problem.folds)
        ]
        began = time.perf_counter()
        self.round(folds=1)
        self.compile_seconds = time.perf_counter() - began if form == "expert" else 0.0

    def first_losses(self, epochs: int) -> np.ndarray:
        """Mean losses of fold 0 in its first epochs, without tf32."""
        set_tf32(False)
        job, steps = self._problem.job(0), epochs * STEPS_PER_EPOCH
        self._fold.start(self._initial)
        batches = [self._fold.as_index(index) for index in self._problem.batches(job, steps)]
        return np.array(self._fold.run(batches)).reshape(epochs, STEPS_PER_EPOCH).mean(axis=1)

    def round(self, folds: int | None = None) -> float:
        """Seconds per fold-step of one round; putting a fold's weights in place is not counted."""
        set_tf32(self.precision == "tf32")
        seconds = []
        for batches in self._batches[:folds]:
            self._fold.start(self._initial)
            began = time.perf_counter()
            self._fold.run(batches)
            seconds.append(time.perf_counter() - began)
        return sum(seconds) / (len(seconds) * self._problem.steps)


Contender = EngineContender | TorchContender

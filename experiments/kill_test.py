"""Kills a small run at random moments, flips bits of its checkpoints, and counts what survives.

python -m experiments.kill_test [--kills=50] [--flips=200]
"""

import multiprocessing
import os
import pathlib
import random
import runpy
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.context import ForkServerProcess

import numpy as np
from absl import flags
from tqdm import tqdm

from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.training.protocols import Job, epoch_shapes, loso_folds
from experiments.run.chunk import History
from input_pipeline.core import command

# Twelve subjects of three pretend databases in three chunks of four folds.
SUBJECTS = tuple(f"synthetic-{name}/{name}0{place}" for name in "abc" for place in (1, 2, 3, 4))
FOLDS_AT_ONCE = 4
# Its files are what is tried; a deeper network would only take longer to compile.
MODEL = ModelConfig(base_dim=6, blocks=(0,))
SETTING = (
    *("--dataset=synthetic", f"--base_dim={MODEL.base_dim}", "--blocks=0"),
    *(f"--folds_at_once={FOLDS_AT_ONCE}", f"--subjects={','.join(SUBJECTS)}"),
    # Every dispatch, here of one epoch, is followed by a checkpoint: most time goes into saving.
    *("--eval_every=5", "--checkpoint_minutes=0.0001"),
)
_START_TIMEOUT = 300.0
# What a checkpoint holds: history and state.
Found = tuple[History, dict[str, np.ndarray]]
# Loads the slow libraries once and forks; the runs are processes of their own all the same.
_SERVER = multiprocessing.get_context("forkserver")
_LIBRARIES = [
    "jax",
    "flax",
    "optax",
    "orbax.checkpoint",
    "matplotlib.figure",
    "tensorflow_datasets",
    "experiments.schedule.trainer",
    "experiments.scores.reporting",
]


def main() -> int:
    """Run the faults asked for; 1 where one of them changed a result silently, else 0."""
    kills, flips = command.values().kills, command.values().flips
    chance = random.Random(command.values().seed)
    with tempfile.TemporaryDirectory(prefix="kill-test-") as name:
        folder = pathlib.Path(name)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "programs"))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        _SERVER.set_forkserver_preload(_LIBRARIES)
        # The first one compiles, the second one tells how long a run takes.
        _finish(folder / "first")
        began = time.monotonic()
        wanted = _finish(folder / "undisturbed")
        seconds = time.monotonic() - began
        print(
            f"undisturbed run: {len(SUBJECTS)} folds, {command.values().epochs} epochs, "
            f"{seconds:.1f} s",
            flush=True,
        )
        equal = sum(_survives_kill(folder, wanted, seconds, chance) for _ in range(kills))
        print(f"{kills} SIGKILLs: {equal} of {kills} runs ended byte-equal", flush=True)
        silent = _flip_all(folder, flips, chance) if flips else 0
    return 1 if equal < kills or silent else 0


def _start(workdir: pathlib.Path) -> ForkServerProcess:
    words = [*SETTING, f"--epochs={command.values().epochs}", f"--workdir={workdir}"]
    process = _SERVER.Process(target=_run_as_main, args=(words, f"{workdir}.log"))
    process.start()
    return process


def _run_as_main(words: list[str], log_file: str) -> None:
    # The session of a process that is killed must not be the one of this script.
    os.setsid()
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    # The bar's own lock between processes would outlive a killed one, and be reported.
    tqdm.set_lock(threading.RLock())
    from experiments.schedule import trainer

    trainer.DISPATCH_SECONDS = 0.0
    sys.argv = ["experiments.loso", *words]
    runpy.run_module("experiments.loso", run_name="__main__", alter_sys=True)


def _finish(workdir: pathlib.Path) -> bytes:
    """Run to the end; the bytes of predictions.csv."""
    process = _start(workdir)
    process.join()
    if process.exitcode != 0:
        log = workdir.parent / f"{workdir.name}.log"
        raise ConfigError(f"the run left with {process.exitcode}: {log.read_text()[-500:]}")
    return (workdir / "predictions.csv").read_bytes()


def _survives_kill(
    folder: pathlib.Path, wanted: bytes, seconds: float, chance: random.Random
) -> bool:
    workdir = folder / "killed"
    shutil.rmtree(workdir, ignore_errors=True)
    process = _start(workdir)
    process.join(chance.uniform(0, seconds))
    process.kill()
    process.join()
    return _finish(workdir) == wanted


def _flip_all(folder: pathlib.Path, flips: int, chance: random.Random) -> int:
    """Flip bits, cut and remove files of a stopped run's checkpoints; how many went unseen."""
    workdir = folder / "stopped"
    clean, expected, jobs = _stopped_run(workdir)
    outcomes: Counter[str] = Counter()
    healthy: dict[pathlib.Path, Found] = {}
    for how, path, left in _faults(clean, flips, chance):
        outcome = _outcome(folder, clean, expected, jobs, path, left, healthy)
        outcomes[outcome] += 1
        if outcome == "silent":
            print(f"SILENT: {path}: {how}", flush=True)
    print(
        f"{flips} bit flips and {outcomes.total() - flips} halved, emptied or missing files: "
        f"{outcomes['refused']} refused, {outcomes['harmless']} harmless, {outcomes['silent']} "
        "silently wrong",
        flush=True,
    )
    return outcomes["silent"]


def _stopped_run(
    workdir: pathlib.Path,
) -> tuple[pathlib.Path, dict[str, np.ndarray], Sequence[Job]]:
    """A run stopped by SIGTERM with two checkpoints of its first chunk; what they should hold."""
    from experiments.files import checkpoints, sealed
    from experiments.schedule import plan
    from experiments.schedule.programs import Problem, Programs
    from input_pipeline.maps import synthetic

    chunk_folder = workdir / checkpoints.FOLDER / "chunk-0000"
    process = _start(workdir)
    deadline = time.monotonic() + _START_TIMEOUT
    while len(list(chunk_folder.glob(f"*/{sealed.SUMS}"))) < checkpoints.KEPT:
        if not process.is_alive() or time.monotonic() > deadline:
            raise ConfigError("the run ended before it had two checkpoints.")
        time.sleep(0.005)
    process.terminate()
    process.join()
    if process.exitcode != 143:
        raise ConfigError(f"the run left with {process.exitcode} on SIGTERM, not with 143.")
    clips = synthetic.make("five", "small")
    folds = loso_folds(clips.subject_key_N)
    shapes = epoch_shapes(folds, TrainConfig().batch_size)
    jobs = [Job(0, fold) for fold in folds if fold.key in SUBJECTS]
    stored = plan.stored_plan(workdir, folds, shapes, jobs)
    assert stored is not None
    chunk = stored.chunks[0]
    most = max(len(fold.test_index) for fold in folds)
    programs = Programs(Problem(clips, MODEL, TrainConfig(), most))
    engine = programs.engine(chunk.shape, chunk.size)
    state, _ = engine.shapes(len(clips))
    return chunk_folder, engine.host_shapes(state), chunk.jobs


def _faults(
    clean: pathlib.Path, flips: int, chance: random.Random
) -> Iterator[tuple[str, pathlib.Path, bytes | None]]:
    """What befalls a file of a checkpoint: in words, and its bytes then, None where it is gone."""
    data_of = {path: path.read_bytes() for path in sorted(clean.rglob("*")) if path.is_file()}
    for path in chance.choices(list(data_of), [len(data) for data in data_of.values()], k=flips):
        data = bytearray(data_of[path])
        place, bit = chance.randrange(len(data)), chance.randrange(8)
        data[place] ^= 1 << bit
        yield f"bit {bit} of byte {place} flipped", path, bytes(data)
    for path, whole in data_of.items():
        yield "missing", path, None
        yield "emptied", path, b""
        yield "halved", path, whole[: len(whole) // 2]


def _outcome(
    folder: pathlib.Path,
    clean: pathlib.Path,
    expected: dict[str, np.ndarray],
    jobs: Sequence[Job],
    path: pathlib.Path,
    left: bytes | None,
    healthy: dict[pathlib.Path, Found],
) -> str:
    """What a run does that finds this left of a file: refused, harmless or silent.

    `healthy` keeps what whole checkpoints hold, each read once.
    """
    from experiments.files import checkpoints

    epoch_folder = clean / path.relative_to(clean).parts[0]
    trial = folder / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    # Alone, so that a fault of the older checkpoint meets a reader too.
    copied = trial / checkpoints.FOLDER / clean.name / epoch_folder.name
    shutil.copytree(epoch_folder, copied)
    if epoch_folder not in healthy:
        whole = checkpoints.load_newest(trial, 0, jobs, expected, print)
        assert whole is not None, "the clean checkpoint was refused"
        healthy[epoch_folder] = whole
    victim = copied / path.relative_to(epoch_folder)
    if left is None:
        victim.unlink()
    else:
        victim.write_bytes(left)
    notes: list[str] = []
    found = checkpoints.load_newest(trial, 0, jobs, expected, notes.append)
    if found is None:
        return "refused" if len(notes) == 1 else "silent"
    history, arrays = healthy[epoch_folder]
    same = all(np.array_equal(found[1][name], arrays[name]) for name in arrays)
    same = same and np.array_equal(found[0].loss_SxE, history.loss_SxE)
    return "harmless" if same else "silent"


if __name__ == "__main__":
    for name, default, purpose in (
        ("kills", 50, "Runs to kill at a random moment and start again."),
        ("flips", 200, "Bits of checkpoint files to flip, one at a time."),
    ):
        flags.DEFINE_integer(name, default, purpose, lower_bound=0, upper_bound=100_000)
    flags.DEFINE_integer("epochs", 12, "Epochs of each run.", lower_bound=4, upper_bound=1000)
    flags.DEFINE_integer("seed", 0, "Of the random moments and places.")
    command.run(
        main,
        name="experiments.kill_test",
        purpose="Kill a small run at random moments, flip bits of its checkpoints, and count what "
        "survives.",
        mistakes=(ConfigError,),
    )

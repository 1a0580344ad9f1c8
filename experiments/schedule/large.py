"""Networks too large to try on a CPU: what a dry run says of them without compiling anything."""

from typing import TYPE_CHECKING

from ahmsa_jax.networks.arithmetic import forward_products
from experiments.schedule import plan
from experiments.schedule.memory import Device

if TYPE_CHECKING:
    from experiments.run.request import Run

# Operations of a training step, multiplications and additions counted apart.
MOST_FLOP = 1e12
# Forward and both products of the backward pass, each a multiplication and an addition.
_FLOP_PER_PRODUCT = 6


def step_flop(run: "Run") -> float:
    """Operations of one fold's training step."""
    rows = run.train_config.batch_size
    products = sum(forward_products(run.network_config).values())
    return float(_FLOP_PER_PRODUCT * products * rows)


def is_too_large(run: "Run", device: Device) -> bool:
    """Whether a dry run here neither allocates nor runs the network."""
    return device.platform == "cpu" and step_flop(run) > MOST_FLOP


def guessed_bytes(run: "Run") -> tuple[int, int]:
    """Memory of one fold in training, and of all clips, from the settings alone."""
    largest = max(int(fold.train_N.sum()) for fold in run.folds_here)
    fold_bytes = plan.guess_fold_bytes(run.network_config, run.train_config, largest)
    arrays = run.clips.faces or {"flow": run.clips.flow_NxHxWxC}
    return fold_bytes, sum(array.nbytes for array in arrays.values())


def describe(run: "Run", available: int) -> list[str]:
    """Lines on memory and arithmetic, from the settings alone; `available` in bytes."""
    training = run.train_config
    fold_bytes, data_bytes = guessed_bytes(run)
    one = step_flop(run)
    shapes = run.epoch_shapes()
    steps = sum(shapes[fold.key].steps for fold in run.folds_here) * len(run.spec.seeds)
    total = one * steps * training.epochs
    return [
        f"a training step of {one / 1e12:.2f} TFLOP is more than {MOST_FLOP / 1e12:g} TFLOP: "
        "nothing is compiled or run for this on a CPU",
        f"memory: about {fold_bytes / 2**30:.1f} GiB a fold in training and "
        f"{data_bytes / 2**30:.2f} GiB of data; {available / 2**30:.1f} GiB can be used here",
        f"arithmetic: {total / 1e15:.2f} PFLOP for {len(run.folds_here)} folds, "
        f"{len(run.spec.seeds)} seed(s) and {training.epochs} epochs, evaluation apart",
    ]

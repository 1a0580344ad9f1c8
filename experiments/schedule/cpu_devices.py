"""As how many devices a CPU trains a run: with folds of its own, a core waits for no other.

The products of one program are too small for several cores: at width 24 two devices of a core each
took 0.7 of the time for a fold's step that one device of two cores took.
"""

from typing import TYPE_CHECKING

from experiments.run import cores
from experiments.run.spec import Execution
from experiments.schedule import large, memory, plan

if TYPE_CHECKING:
    from experiments.run.request import Run

# A step needs more than the guess of its memory; see plan.fitted_size, which compiles.
_ROOM = 2


def of_run(run: "Run", execution: Execution) -> int:
    """Devices to train a run on, where that is on a CPU. Asks JAX for none."""
    most, folds = cores.usable(), len(run.spec.seeds) * len(run.folds_here)
    if most == 1 or execution.parallel == "batch" or not folds:
        return 1
    sizes = plan.stored_sizes(execution.workdir)
    if not sizes and execution.folds_at_once:
        sizes = {plan.even_size(folds, execution.folds_at_once, 1)}
    fold_bytes, clip_bytes = large.guessed_bytes(run)
    available = int(memory.machine_bytes() * memory.MEMORY_SHARE)
    held = available // (_ROOM * fold_bytes + clip_bytes)
    return cores.devices(folds, min(most, held), sizes)

"""Plans a run for a GPU that is not here: folds at once, memory, and the least time it can take."""

from collections.abc import Mapping
from typing import Any

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.protocols import EpochShape
from experiments.run.chunk import Plan
from experiments.run.request import Run
from experiments.run.spec import Execution
from experiments.schedule.forecast import in_words
from experiments.schedule.planning import Place, problem_of
from experiments.schedule.programs import Need, Needs
from experiments.weighing import deviceless, weigh
from experiments.weighing.cards import Card


class AbsentDevice:
    """A card as the memory plan sees a device."""

    platform = "gpu"

    def __init__(self, card: Card) -> None:
        """Describe the card."""
        self.device_kind = f"{card.name}, not here"
        self._limit = int(weigh.ALLOCATOR_SHARE * card.memory)

    def memory_stats(self) -> Mapping[str, Any]:
        """What JAX's allocator would take of the card, all of it free."""
        return {"bytes_limit": self._limit}


class Weighing(Needs):
    """What chunks need of an absent card; each program is compiled for it and weighed."""

    def __init__(self, run: Run, execution: Execution, card: Card) -> None:
        """Prepare; raises ConfigError where JAX cannot compile for the card, or not so."""
        self._card = card
        self._weighed: dict[tuple[EpochShape, int], weigh.Weighed] = {}
        if run.train_config.precision not in card.product_rate:
            raise ConfigError(
                f"--precision={run.train_config.precision} is not weighed for {card.name}; "
                f"allowed with --target are {' and '.join(card.product_rate)}."
            )
        # Before anything is said to be compiling: a missing plugin is a user error.
        deviceless.device_of(card)
        super().__init__(problem_of(run, execution), [AbsentDevice(card)], self._weigh)

    def _weigh(self, shape: EpochShape, size: int) -> Need:
        program = deviceless.Program(
            self.model_config,
            self.train_config,
            shape,
            folds=size,
            clips=len(self.clips),
            test_places=self.problem.test_places,
            eval_every=self.eval_every,
        )
        what = f"{size} folds of {shape.steps} step(s) per epoch"
        with self.report.waiting(f"compiling for {what}"):
            weighed = self._weighed[shape, size] = weigh.weigh(self._card, program)
        return Need(weighed.compiled.bytes_needed)

    def print_time(self, plan: Plan) -> None:
        """Print the time of all chunks at the card's roof: no run can be faster."""
        milliseconds = 0.0
        for chunk in plan.chunks:
            self.need(chunk.shape, chunk.size)
            account = self._weighed[chunk.shape, chunk.size].account
            per_fold_step = account.training.ms
            if self.eval_every:
                per_fold_step += account.evaluation.ms / self.eval_every
            milliseconds += (
                chunk.size * chunk.shape.steps * self.train_config.epochs * per_fold_step
            )
        print(
            f"training time on {self._card.name}: at least {in_words(milliseconds / 1000)}, by the "
            "work of its kernels at the card's rates; compiling comes on top",
            flush=True,
        )


def card_place(run: Run, execution: Execution, card: Card) -> Place:
    """A place to plan for, where nothing can be trained."""
    needs = Weighing(run, execution, card)
    return Place(needs=needs, devices=needs.devices, print_time=needs.print_time)

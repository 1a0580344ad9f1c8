"""Rows of the benchmark: who is timed, in which order, and what is computed from the seconds."""

import os
import pathlib
import platform
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ahmsa_jax.config import Precision
from experiments.schedule.plan import count_parameters
from experiments.timing import contenders
from experiments.timing.contenders import Contender, EngineContender, TimedProblem, TorchContender
from experiments.timing.floors import Ceilings, floor_seconds, step_bytes, step_operations
from input_pipeline.core.tables import Table

# Largest difference of the first steps' losses, in nats, between programs of true float32.
LOSS_TOLERANCE = 1e-4
CHECKED_EPOCHS = 3


class DisagreementError(Exception):
    """The programs to be timed do not compute the same: one full sentence."""


class Timing:
    """All contenders of a problem, built, compiled and checked one after another.

    `loss_gap` is the largest difference of the first steps' losses from (a)'s, in nats, among the
    programs of true float32, from the same weights and batches.
    """

    def __init__(
        self,
        problem: TimedProblem,
        platform_name: str,
        precisions: Sequence[Precision],
        say: Callable[[str], None],
    ) -> None:
        """Compile everything; raises DisagreementError as soon as two programs disagree.

        A chunk that memory does not hold ends the rows of its precision. The first of `precisions`
        is float32.
        """
        self._problem = problem
        self._say = say
        self.loss_gap = 0.0
        # PyTorch's convolutions use tf32 on a GPU unless told otherwise.
        usual: Precision = "float32" if platform_name == "cpu" else "tf32"
        first = self._engine(precisions[0], 1)
        say("building (a) PyTorch eager")
        eager = TorchContender(problem, "eager", usual, first.initial())
        self._expected = eager.first_losses(CHECKED_EPOCHS)
        self._check(first)
        say("compiling (b) PyTorch expert")
        expert = TorchContender(problem, "expert", usual, first.initial())
        self._check(expert)
        engines = [first]
        for precision in precisions:
            engines += self._engines(precision, platform_name, after=engines[0])
        # Timed right after the plain one of its size: what evaluating costs is their ratio.
        evaluating = self._engine(engines[-1].precision, engines[-1].folds_at_once, eval_every=1)
        self.contenders: list[Contender] = [eager, expert, *engines, evaluating]

    def _check(self, contender: Contender) -> None:
        if contender.precision != "float32":
            return
        losses = contender.first_losses(CHECKED_EPOCHS)
        gap = float(np.abs(losses - self._expected).max())
        if not gap <= LOSS_TOLERANCE:
            steps = contenders.STEPS_PER_EPOCH * CHECKED_EPOCHS
            raise DisagreementError(
                f"the losses of '{contender.name}' and of PyTorch eager differ by {gap:.2g} nats "
                f"in the first {steps} steps from the same weights and batches; "
                f"{LOSS_TOLERANCE:g} is allowed, so their times are not comparable and are not "
                "printed."
            )
        self.loss_gap = max(self.loss_gap, gap)

    def rows(self, rounds: int, ceilings: Ceilings) -> list[dict[str, Any]]:
        """One row per contender; ratios are medians over rounds, each of neighbours in time."""
        for contender in self.contenders:
            contender.round()  # warm
        seconds = []
        for number in range(rounds):
            self._say(f"round {number + 1} of {rounds}")
            seconds.append([contender.round() for contender in self.contenders])
        seconds_RxC = np.array(seconds)
        config, training = self._problem.model_config, self._problem.train_config
        live, _ = count_parameters(config, training)
        operations = step_operations(config, training.batch_size)
        rows = []
        for contender, own_R in zip(self.contenders, seconds_RxC.T, strict=True):
            moved = step_bytes(live, contender.precision)
            floor = floor_seconds(operations, moved, ceilings, contender.precision)
            rows.append(
                {
                    "kind": contender.kind,
                    "name": contender.name,
                    "precision": contender.precision,
                    "folds_at_once": contender.folds_at_once,
                    "devices": contender.devices,
                    "seconds_per_fold_step": float(np.median(own_R)),
                    "seconds_by_round": own_R.tolist(),
                    "times_faster_than_a": float(np.median(seconds_RxC[:, 0] / own_R)),
                    "times_faster_than_b": float(np.median(seconds_RxC[:, 1] / own_R)),
                    "floor_seconds": floor,
                    "share_of_floor": float(np.median(floor / own_R)),
                    "operations": operations,
                    "bytes": moved,
                    "compile_seconds": contender.compile_seconds,
                }
            )
        return rows

    def _engines(
        self, precision: Precision, platform_name: str, after: EngineContender
    ) -> list[EngineContender]:
        """Chunks of 1, 2, 4, ... folds, as far as memory or the problem goes; not `after` again."""
        found: list[EngineContender] = []
        size = 2 if precision == after.precision else 1
        while platform_name != "cpu" or size <= self._problem.folds:
            try:
                contender = self._engine(precision, size)
                contender.round()
            except Exception as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                self._say(f"{size} folds at once do not fit the memory")
                break
            self._check(contender)
            found.append(contender)
            size *= 2
        return found

    def _engine(self, precision: Precision, size: int, *, eval_every: int = 0) -> EngineContender:
        evaluating = ", evaluating after each epoch" if eval_every else ""
        self._say(f"compiling (c) with {size} folds at once, {precision}{evaluating}")
        return EngineContender(self._problem, size, precision, eval_every=eval_every)


def evaluation_cost(rows: Sequence[dict[str, Any]]) -> float:
    """Time that predicting all held-out clips after each epoch adds, as a share."""
    evaluating = next(row for row in rows if row["name"] == contenders.EVALUATING)
    setting = ("kind", "precision", "folds_at_once")
    plain = next(row for row in rows if all(row[name] == evaluating[name] for name in setting))
    seconds_R, plain_R = (np.array(row["seconds_by_round"]) for row in (evaluating, plain))
    return float(np.median(seconds_R / plain_R)) - 1


# The columns of the tables, each with the text of its cells.
TIMES = {
    "program": "{name}",
    "precision": "{precision}",
    "folds at once": "{folds_at_once}",
    "s per fold-step": "{seconds_per_fold_step:.3g}",
    "times as fast as (a)": "{times_faster_than_a:.2f}",
    "as (b)": "{times_faster_than_b:.2f}",
    "share of floor": "{floor_percent:.0f} %",
    "compile, s": "{compile}",
}
PARITY = {
    "precision": "{precision}",
    "UF1": "{uf1:.4f}",
    "UAR": "{uar:.4f}",
    "largest probability gap": "{probability_gap_largest:.2g}",
    "mean gap": "{probability_gap_mean:.2g}",
    "changed": "{predictions_changed} of {clips}",
}


def times_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The contenders' rows as a table for the terminal and the README."""
    shown = [
        row
        | {"floor_percent": 100 * row["share_of_floor"]}
        | {"compile": f"{row['compile_seconds']:.0f}" if row["compile_seconds"] else "-"}
        for row in rows
    ]
    return _markdown("Seconds per fold-step", TIMES, shown)


def parity_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The precisions' rows as a table."""
    return _markdown("Precisions against float32, small synthetic LOSO", PARITY, rows)


def _markdown(title: str, text_of: dict[str, str], rows: Sequence[dict[str, Any]]) -> str:
    cells = [[text.format(**row) for text in text_of.values()] for row in rows]
    return Table(title, list(text_of), cells).markdown()


def processor_name() -> str:
    """The processor as the operating system names it, and how many of it."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {names[0] if names else platform.processor() or 'unknown'}"

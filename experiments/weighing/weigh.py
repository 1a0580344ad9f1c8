"""Weighs training programs: compiles each for a card that need not be here, and accounts for it."""

import dataclasses
import gzip
import importlib.metadata
import io
from collections.abc import Iterator
from typing import Any

from ahmsa_jax.config import Precision
from experiments.run.jax_settings import ELSEWHERE_FLAGS
from experiments.weighing.account import COLUMNS, Account, account_of, rows
from experiments.weighing.cards import Card
from experiments.weighing.deviceless import Compiled, Program, compile_for
from input_pipeline.core.tables import Table

# JAX's allocator takes this share of a card's memory unless told otherwise.
ALLOCATOR_SHARE = 0.75
PRECISIONS: tuple[Precision, ...] = ("tf32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Weighed:
    """A program, compiled for a card, and its account."""

    card: Card
    program: Program
    compiled: Compiled
    account: Account

    @property
    def folds_that_fit(self) -> int:
        """Folds at once in what JAX's allocator takes of the card, by this program's need."""
        per_fold = self.compiled.bytes_needed / self.program.folds
        return int(ALLOCATOR_SHARE * self.card.memory / per_fold)

    def facts(self) -> dict[str, Any]:
        """The numbers of the JSON file."""
        return {
            "folds": self.program.folds,
            **self.account.facts(),
            "compile_cpu_seconds": self.compiled.cpu_seconds,
            "gib_arguments": self.compiled.bytes_arguments / 2**30,
            "gib_temporaries": self.compiled.bytes_temporaries / 2**30,
            "folds_that_fit": self.folds_that_fit,
        }

    def zipped_text(self) -> bytes:
        """The compiled text, gzipped: the same bytes for the same text."""
        zipped = io.BytesIO()
        with gzip.GzipFile(fileobj=zipped, mode="wb", mtime=0) as file:
            file.write(self.compiled.text.encode())
        return zipped.getvalue()


def weigh(card: Card, program: Program) -> Weighed:
    """Compile the program for the card and account for its kernels."""
    compiled = compile_for(card, program)
    precision: Precision = program.train_config.precision
    account = account_of(
        compiled.text, card, precision, folds=program.folds, steps=program.shape.steps
    )
    return Weighed(card, program, compiled, account)


def each_precision(card: Card, program: Program) -> Iterator[tuple[Precision, Weighed]]:
    """The program weighed once for tf32 and once for bfloat16."""
    for precision in PRECISIONS:
        training = dataclasses.replace(program.train_config, precision=precision)
        yield precision, weigh(card, dataclasses.replace(program, train_config=training))


def table(weighed: Weighed) -> str:
    """The account for the terminal, with memory and the time of compiling below."""
    compiled, folds = weighed.compiled, weighed.program.folds
    precision = weighed.program.train_config.precision
    title = f"{weighed.card.name}, {precision}, {folds} folds at once, per fold and step"
    memory = (
        f"memory: {compiled.bytes_arguments / 2**30:.1f} GiB of arguments, "
        f"{compiled.bytes_temporaries / 2**30:.1f} GiB of temporaries; by that "
        f"{weighed.folds_that_fit} folds fit the {ALLOCATOR_SHARE:.0%} of the card that JAX takes"
    )
    return (
        f"{Table(title, list(COLUMNS), rows(weighed.account)).markdown()}\n{memory}\n"
        f"compiling: {compiled.cpu_seconds:.0f} CPU-seconds, tracing included\n"
    )


def surroundings(card: Card) -> dict[str, Any]:
    """What the counts depend on beside the program: versions, flags, the card's rates."""
    return {
        "card": card.name,
        "memory_rate": card.memory_rate,
        "product_rate": card.product_rate,
        "jax": importlib.metadata.version("jax"),
        "jaxlib": importlib.metadata.version("jaxlib"),
        "flags": ELSEWHERE_FLAGS,
    }

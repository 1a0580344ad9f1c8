"""What a compiled training program costs at a card's roof, in sum and by room of the network."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from ahmsa_jax.config import Precision
from ahmsa_jax.training.step import EVALUATION, OPTIMIZER
from experiments.weighing.cards import Card
from experiments.weighing.kernels import Kernel, kernels_of_loop
from experiments.weighing.program_text import Program
from experiments.weighing.rooms import room_of


@dataclasses.dataclass
class Work:
    """Kernels of one room: their number in an epoch, their work per fold and optimizer step."""

    kernels: int = 0
    products: int = 0
    unaligned_products: int = 0
    gflop: float = 0.0
    product_gb: float = 0.0
    elementwise_gb: float = 0.0
    ms: float = 0.0  # at the roof

    def add(self, other: "Work") -> None:
        """Count the other's work too."""
        for field in dataclasses.fields(self):
            both = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, both)


@dataclasses.dataclass(frozen=True)
class Account:
    """Work by room, as the program does it; evaluation is a room of its own."""

    rooms: dict[str, Work]

    @property
    def training(self) -> Work:
        """All rooms but evaluation."""
        total = Work()
        for name, work in self.rooms.items():
            if name != EVALUATION:
                total.add(work)
        return total

    @property
    def evaluation(self) -> Work:
        """Predicting the held-out clips after an epoch, spread over its steps."""
        return self.rooms.get(EVALUATION, Work())

    def facts(self) -> dict[str, Any]:
        """The numbers of the JSON file."""
        training, evaluation = self.training, self.evaluation
        return {
            "roof_ms_per_fold_step": training.ms,
            "evaluation_ms_per_fold_step": evaluation.ms,
            "products": training.products + evaluation.products,
            "unaligned_products": training.unaligned_products + evaluation.unaligned_products,
            "kernels": training.kernels + evaluation.kernels,
            "elementwise_gb_per_fold_step": training.elementwise_gb,
            "optimizer_gb_per_fold_step": self.rooms.get(OPTIMIZER, Work()).elementwise_gb,
            "product_gb_per_fold_step": training.product_gb,
            "product_gflop_per_fold_step": training.gflop,
            "rooms": {name: dataclasses.asdict(work) for name, work in self.rooms.items()},
        }


def account_of(text: str, card: Card, precision: Precision, *, folds: int, steps: int) -> Account:
    """Weigh a compiled training program for `folds` folds and `steps` optimizer steps an epoch.

    A kernel takes, at the roof, the longer of its operations at the card's rate for products and
    its bytes at the card's memory rate; kernels follow one another.
    """
    rooms: dict[str, Work] = {}
    for kernel in kernels_of_loop(Program(text)):
        work = _work(kernel, card, precision, folds * steps)
        rooms.setdefault(room_of(kernel.op_name), Work()).add(work)
    return Account({name: rooms[name] for name in sorted(rooms)})


def _work(kernel: Kernel, card: Card, precision: Precision, fold_steps: int) -> Work:
    gb = kernel.times * kernel.bytes / fold_steps / 1e9
    seconds = max(kernel.flop / card.product_rate[precision], kernel.bytes / card.memory_rate)
    return Work(
        kernels=kernel.times,
        products=kernel.times * kernel.is_product,
        unaligned_products=kernel.times * (kernel.is_product and not kernel.aligned),
        gflop=kernel.times * kernel.flop / fold_steps / 1e9,
        product_gb=gb if kernel.is_product else 0.0,
        elementwise_gb=0.0 if kernel.is_product else gb,
        ms=1e3 * kernel.times * seconds / fold_steps,
    )


# Columns of the table, each with the text of its cells.
COLUMNS = {
    "room": "{room}",
    "kernels an epoch": "{kernels}",
    "GFLOP": "{gflop:.3f}",
    "GB of products": "{product_gb:.4f}",
    "other GB": "{elementwise_gb:.4f}",
    "ms at the roof": "{ms:.4f}",
    "unaligned products": "{unaligned_products}",
}


def rows(account: Account) -> Sequence[Sequence[str]]:
    """Text cells of the table: the rooms, heaviest first, then training and evaluation in sum."""
    heaviest = sorted(account.rooms, key=lambda name: -account.rooms[name].ms)
    named = [(name, account.rooms[name]) for name in heaviest if name != EVALUATION]
    named += [("training", account.training), (EVALUATION, account.evaluation)]
    return [
        [text.format(room=name, **dataclasses.asdict(work)) for text in COLUMNS.values()]
        for name, work in named
    ]

"""Stands in for JAX's compiler for a GPU, whose plugin the tests' environment lacks."""

import gzip

from command_runner import ROOT

PROGRAM = ROOT / "tests" / "experiments" / "weighing" / "programs" / "two_folds.hlo.gz"
TEXT = gzip.decompress(PROGRAM.read_bytes()).decode()
FOLD_BYTES = 3 * 2**30


def compiles_to_the_stored_program():
    """Whatever is compiled for a card becomes the stored program, with 3 GiB a fold."""
    from experiments.weighing import deviceless, weigh

    def compile_for(card, program):
        return deviceless.Compiled(TEXT, 0, 0, program.folds * FOLD_BYTES, cpu_seconds=1.0)

    weigh.compile_for = compile_for
    deviceless.device_of = lambda card: None

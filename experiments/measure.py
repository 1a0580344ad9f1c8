"""Measures everything that waits for a GPU, in calls of some minutes that go on from each other.

python -m experiments.measure --output=DIR [--arrays=FILE.npz,...] [--minutes=9] [--rehearse]
"""

import importlib.util
import os
import pathlib
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from absl import flags

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.protocols import loso_folds
from experiments.run import jax_settings
from input_pipeline.core import command
from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole
from input_pipeline.maps import synthetic
from input_pipeline.storage import arrays_file, loader

if TYPE_CHECKING:
    from experiments.measuring import sizes

# Layouts that the entries read, AHMSA-Net's, HTNet's and STSTNet's.
LAYOUTS = ("five", "quad_htnet", "whole")


def main() -> int:
    """Measure until the time is over; 1 where a part failed for good, else 0."""
    began = time.monotonic()
    values = command.values()
    if not values.output:
        raise ConfigError("--output is missing; name the folder of the measurement.")
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            "PyTorch is missing, and this compares with it; install the baselines extra: "
            "python -m pip install -e '.[baselines]'."
        )
    from experiments.measuring import entries, sizes, tables
    from experiments.measuring.children import Children
    from experiments.measuring.store import Store

    chosen = sizes.REHEARSAL if values.rehearse else sizes.PAPER
    data = _data(chosen)
    folder = pathlib.Path(values.output).expanduser()
    hashes = {name: clips.content_hash() for name, clips in data.items()}
    store = Store(folder, rehearsal=values.rehearse, data=hashes)
    if not values.arrays:
        _say(f"no --arrays: measuring on synthetic data ({chosen.data})")
    with tempfile.TemporaryDirectory(prefix="measure-") as name:
        scratch = pathlib.Path(name)
        arrays = {}
        for layout, clips in data.items():
            arrays[layout] = scratch / f"{layout}.npz"
            arrays_file.save_arrays(clips, arrays[layout])
        children = Children(scratch, began + 60 * values.minutes, _variables())
        given = entries.Given(chosen, arrays, _subjects(data, chosen), store, children)
        entries.measure_all(given, _say)
    left = entries.names_left(store)
    table = tables.markdown(store.facts)
    write_whole(folder / "measured.md", table)
    print(table)
    if left:
        print(f"left for the next call of the same command: {', '.join(left)}")
    given_up = [name for name in store.facts["failed"] if name not in left]
    return 1 if given_up else 0


def _data(chosen: "sizes.Sizes") -> dict[str, Clips]:
    """Clips by layout, and those of CAS(ME)^3's size; made up where --arrays names no files."""
    from experiments.measuring.entries import CASME3

    made_up = {CASME3: synthetic.make("five", chosen.casme3_data)}
    named = command.values().arrays
    if not named:
        return {layout: synthetic.make(layout, chosen.data) for layout in LAYOUTS} | made_up
    found = {}
    for name in named:
        clips = loader.load_arrays(pathlib.Path(name).expanduser())
        found[clips.layout] = clips
    if set(found) != set(LAYOUTS) or len(named) != len(LAYOUTS):
        raise ConfigError(
            f"--arrays={','.join(named)} holds the layouts {', '.join(sorted(found))}; needed is "
            f"one file each of {', '.join(LAYOUTS)} (input_pipeline.export --layout=...)."
        )
    return found | made_up


def _subjects(data: dict[str, Clips], chosen: "sizes.Sizes") -> dict[str, list[str]]:
    """Folds to train of each data set; all where the list is empty."""
    from experiments.measuring.entries import FIRST

    keys = {
        name: [fold.key for fold in loso_folds(clips.subject_key_N)] for name, clips in data.items()
    }
    some = {name: of[: chosen.subjects] if chosen.subjects else [] for name, of in keys.items()}
    return some | {FIRST: keys["five"][: chosen.checkpoint_folds]}


def _variables() -> dict[str, str]:
    """Of the processes that measure: the compiler's flags, unless the shell has its own."""
    return {"XLA_FLAGS": os.environ.get("XLA_FLAGS") or jax_settings.ELSEWHERE_FLAGS}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "Folder of the measurement; a call goes on in it.")
    flags.DEFINE_list(
        "arrays",
        None,
        "Exports of the composite in the layouts five, quad_htnet and whole, with commas; without "
        "them synthetic data of the same sizes are used.",
    )
    flags.DEFINE_float(
        "minutes", 9.0, "Stop after so many minutes.", lower_bound=0.1, upper_bound=1440
    )
    flags.DEFINE_bool("rehearse", False, "Every part at a tiny size, to try the command.")
    command.run(
        main,
        name="experiments.measure",
        purpose="Measure everything that waits for a GPU, in calls that go on from each other.",
        mistakes=(InputError, ConfigError),
    )

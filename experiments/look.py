"""Shows where the networks of a run look in their held-out clips, or those of a model.

python -m experiments.look --workdir=RUN|--model_dir=DIR [--clips=KEY,...] [--output=DIR]
"""

import functools
import pathlib
from typing import TYPE_CHECKING

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run import flags as run_flags
from experiments.run import jax_settings
from experiments.run.spec import config_hash
from input_pipeline.core import command, store_flags
from input_pipeline.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from experiments.looking.source import Source
    from input_pipeline.core.clips import Clips

NAME = "experiments.look"
_FOLDER = "looking"

# What reads weights and looks is imported where it is used: help and mistakes answer at once.


def main() -> int:
    """Look, write maps, table and pictures, and print the means."""
    given = command.values()
    if (given.workdir is None) == (given.model_dir is None):
        raise ConfigError(
            "give --workdir=DIR, a run of experiments.loso --save_weights, or --model_dir=DIR, a "
            "model of experiments.fit."
        )
    for flag in ("workdir", "model_dir", "output", "arrays", "raw_dir"):
        if given[flag].value == "":
            raise ConfigError(f"--{flag} is empty; name one, or leave it out.")
    if given["layout"].present:
        raise ConfigError(f"--layout={given.layout} is not asked for: the run's own is taken.")
    origin = pathlib.Path(given.workdir or given.model_dir).expanduser()
    data_dir = store_flags.data_dir()
    jax_settings.local_devices(given.compile_cache)
    from experiments.looking import looks, output, tables
    from experiments.scores import reporting

    arrays = pathlib.Path(given.arrays).expanduser() if given.arrays else None
    found = _source(origin, arrays, data_dir, is_model=given.workdir is None).only(given.clips)
    moving = _truth(found, given.raw_dir)
    # Chosen clips have a folder of their own.
    own = f"{_FOLDER}-{config_hash({'clips': sorted(given.clips)})}" if given.clips else _FOLDER
    folder = pathlib.Path(given.output).expanduser() if given.output else origin / own
    output.check(folder, found.facts)
    seen = looks.look(found, moving, functools.partial(print, flush=True))
    output.write(folder, found.facts, seen, given.clips or ())
    printed = [tables.of_regions(seen)]
    if moving:
        printed.append(tables.of_truth(seen))
    remarks = [f"{found.model}: {seen.title}", *(f"note: {note}" for note in found.notes)]
    reporting.print_tables(remarks, printed, folder)
    return 0


def _source(
    origin: pathlib.Path, arrays: pathlib.Path | None, data_dir: pathlib.Path, *, is_model: bool
) -> "Source":
    from experiments.fitting import model_folder
    from experiments.looking import of_model, source

    if not is_model:
        return source.of_run(origin, arrays, data_dir)
    return of_model.of_model(model_folder.load(origin), arrays, data_dir)


def _truth(found: "Source", raw_dir: str | None) -> "Callable[[Clips], np.ndarray] | None":
    """How the true motion of clips is found, None where nobody knows it."""
    from experiments.looking import truth

    if raw_dir is not None:
        if found.size is not None:
            raise ConfigError(
                f"--raw_dir='{raw_dir}' is for runs on a pretend database; the synthetic data set "
                "says itself where its faces move: leave it out."
            )
        return functools.partial(truth.of_pretend, raw_dir=pathlib.Path(raw_dir).expanduser())
    if found.size is not None:
        return functools.partial(truth.of_synthetic, size=found.size)
    return None


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Folder of a run of experiments.loso --save_weights.")
    flags.DEFINE_string("model_dir", None, "Or the folder of a model of experiments.fit.")
    flags.DEFINE_list(
        "clips", None, "Only these clips, with a picture of each: keys such as samm/006/006_1_2."
    )
    flags.DEFINE_string(
        "output", None, "New or empty folder for maps, table and pictures; by default in the run's."
    )
    flags.DEFINE_string(
        "arrays",
        None,
        "File of input_pipeline.export with the run's clips, or with any for a model, instead of "
        "those in --data_dir.",
    )
    flags.DEFINE_string(
        "raw_dir",
        None,
        "Of a run on a pretend database: the folder that input_pipeline.fake_database wrote, which "
        "says where its faces really move.",
    )
    run_flags.define_compile_cache_flag()
    command.run(
        main,
        name=NAME,
        purpose="Show where the networks of a run, or a model, look in clips: occlusion, "
        "gradients and attention on the face, averages and tables.",
        mistakes=(InputError, ConfigError),
    )

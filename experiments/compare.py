"""Sets runs beside each other and beside what papers print, with paired statistics.

python -m experiments.compare --workdirs=DIR,DIR,... [--output=DIR] [--nobaselines]
"""

import pathlib

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run import output_folder
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

DEFAULT_OUTPUT = "runs/comparison"
WRITTEN = (*(f"comparison.{form}" for form in ("md", "csv", "tex", "png", "pdf")), "paired.csv")

# What reads runs takes JAX along and is imported where used: help and mistakes answer at once.


def main() -> int:
    """Compare the runs of --workdirs."""
    workdirs = output_folder.named_folders(command.values().workdirs)
    if not workdirs:
        raise ConfigError("--workdirs is missing; name the folders of runs, with commas.")
    if len({workdir.resolve() for workdir in workdirs}) < len(workdirs):
        raise ConfigError("--workdirs names a folder twice; name each run once.")
    default = pathlib.Path(DEFAULT_OUTPUT)
    if command.values().baselines and not command.values().data_dir:
        raise ConfigError("--data_dir is empty; name a folder, or give --nobaselines.")
    output = output_folder.chosen(command.values().output, default, WRITTEN)
    from experiments.scores.comparison import compare_runs

    given = command.values()
    data_dir = pathlib.Path(given.data_dir).expanduser() if given.baselines else None
    compare_runs(workdirs, output, data_dir)
    return 0


if __name__ == "__main__":
    flags.DEFINE_list("workdirs", None, "Folders of runs, with commas.")
    flags.DEFINE_string("output", None, f"Folder for the comparison; by default {DEFAULT_OUTPUT}.")
    flags.DEFINE_bool(
        "baselines",
        True,
        "Set majority and svm_maps (experiments.classical) beside each run, on its own clips and "
        "folds: computed here where its data set is at hand.",
    )
    flags.DEFINE_string(
        "data_dir", "~/tensorflow_datasets", "Folder of the stored data sets, for --baselines."
    )
    command.run(
        main,
        name="experiments.compare",
        purpose="Set runs beside each other and beside published results, with paired statistics.",
        mistakes=(InputError, ConfigError),
    )

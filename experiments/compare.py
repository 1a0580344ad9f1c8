"""Sets runs beside each other and beside what papers print, with paired statistics.

python -m experiments.compare --workdirs=DIR,DIR,... [--output=DIR]
"""

import pathlib

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run import output_folder
from experiments.run.workdir import CONFIG_FILE
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

DEFAULT_OUTPUT = "runs/comparison"
WRITTEN = (
    "comparison.md",
    "comparison.csv",
    "comparison.tex",
    "comparison.png",
    "comparison.pdf",
    "paired.csv",
)

# What reads runs takes JAX along and is imported where used: help and mistakes answer at once.


def main() -> int:
    """Compare the runs of --workdirs."""
    workdirs = [pathlib.Path(part).expanduser() for part in command.values().workdirs or [] if part]
    if not workdirs:
        raise ConfigError("--workdirs is missing; name the folders of runs, with commas.")
    if len({workdir.resolve() for workdir in workdirs}) < len(workdirs):
        raise ConfigError("--workdirs names a folder twice; name each run once.")
    if command.values().output == "":
        raise ConfigError("--output is empty; name a folder.")
    output = pathlib.Path(command.values().output or DEFAULT_OUTPUT).expanduser()
    if (output / CONFIG_FILE).exists():
        raise ConfigError(f"--output='{output}' is a run's workdir; name a folder of its own.")
    output_folder.refuse_foreign(output, WRITTEN, output_folder.holds_comparison)
    from experiments.scores.comparison import compare_runs

    compare_runs(workdirs, output)
    return 0


if __name__ == "__main__":
    flags.DEFINE_list("workdirs", None, "Folders of runs, with commas.")
    flags.DEFINE_string("output", None, f"Folder for the comparison; by default {DEFAULT_OUTPUT}.")
    command.run(
        main,
        name="experiments.compare",
        purpose="Set runs beside each other and beside published results, with paired statistics.",
        mistakes=(InputError, ConfigError),
    )

"""Rebuilds summary, tables and pictures of one or several runs from their files.

python -m experiments.report --workdir=DIR[,DIR...] [--output=DIR]
"""

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run import output_folder
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

_PICTURES = ("confusion_matrix", "curves", "subjects")
_TABLES = ("summary.json", "summary.md", "scores.csv", "scores.tex", "subjects.csv")
WRITTEN = (*_TABLES, *(f"{picture}.{kind}" for picture in _PICTURES for kind in ("png", "pdf")))

# What reads runs is imported where used: help and mistakes answer at once.


def main() -> int:
    """Report on --workdir; 3 where folds failed, else 0, also where no fold has ended yet."""
    named = output_folder.named_folders(command.values().workdir)
    if not named:
        raise ConfigError("--workdir is missing; name one folder of a run, or several with commas.")
    if len(named) > 1 and command.values().output is None:
        raise ConfigError("several workdirs need --output, the folder for the merged report.")
    output = output_folder.chosen(command.values().output, named[0], WRITTEN, workdirs=named)
    from experiments.scores import reporting, unfinished

    if unfinished.tell(named):
        return 0
    return reporting.report(named, output)


if __name__ == "__main__":
    flags.DEFINE_list("workdir", None, "Folders of finished or unfinished runs, with commas.")
    flags.DEFINE_string("output", None, "Folder for the report; by default the one workdir.")
    command.run(
        main,
        name="experiments.report",
        purpose="Rebuild summary, tables and pictures of one or several runs from their files.",
        mistakes=(InputError, ConfigError),
    )

"""Where the motion is lost: scores on pretend clips against noise, annotation and form of the maps.

python -m experiments.lost_motion --output=DIR
"""

import functools
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.run import output_folder
from experiments.run.spec import Execution
from experiments.run.workdir import claimed
from experiments.schedule.interruption import Interruption
from input_pipeline.core import command, extras
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole

if TYPE_CHECKING:
    from experiments.studies.lost_motion import Score

NAME = "experiments.lost_motion"
METHODS = ("svm_maps", "ahmsa", "ahmsa_centred")
_REMARK = (
    "Pretend faces, invented motion: it tells what a build keeps of a known motion, and is no "
    "claim about real faces. One subject left out at a time, last epoch, one seed."
)

# What makes maps and learns is imported where it is used: help and mistakes answer at once.


def main() -> int:
    """Measure what is not measured yet, write and print the tables."""
    given = command.values()
    (named,) = command.required(output="DIR")
    noises, jitters, chosen = _checked(given.noises, given.jitters, given.methods)
    extras.require()
    from experiments.scores import drawing, reporting
    from experiments.studies import lost_motion, lost_motion_picture
    from input_pipeline.flow.clip_maps import MapSettings

    output = pathlib.Path(named).expanduser()
    settings = MapSettings(flow=given.flow)
    processes = given.workers or os.cpu_count() or 1
    # What may vary within one folder is left out.
    config = {"study": "lost_motion", "subjects": given.subjects, "epochs": given.epochs}
    config |= {"flow": given.flow}
    facts = {"folds": [], "subjects_in_data_set": given.subjects, "notes": [], "pretend": True}
    own = claimed(output, config, facts)
    with Interruption(NAME) as interruption, output_folder.called_output(), own:
        methods = _methods(chosen, given.epochs, Execution(output), interruption)
        tried = lost_motion.conditions(noises, jitters)
        found = lost_motion.measured(output, tried, methods, given.subjects, settings, processes)
        lines = list(found)
        picture = drawing.drawn(lost_motion_picture.draw(lines), "png")
        write_whole(output / lost_motion_picture.FILE, picture)
        tables = [lost_motion.table(lines, varied) for varied in lost_motion.VARIED]
        reporting.print_tables([_REMARK], tables, output)
    return 0


def _checked(
    noises: list[str], jitters: list[str], methods: list[str]
) -> tuple[list[float], list[int], list[str]]:
    """The values asked for; raises ConfigError on what cannot be."""
    found: tuple[list[float], list[int]] = ([], [])
    for place, (flag, texts, kind, most) in enumerate(
        (("noises", noises, float, 60), ("jitters", jitters, int, 6))
    ):
        for text in texts or [""]:
            try:
                value = kind(text)
            except ValueError:
                value = -1
            # NaN fails this comparison as well.
            if not 0 <= value <= most:
                raise ConfigError(
                    f"--{flag} holds '{text}'; allowed are numbers from 0 to {most}, with commas."
                )
            found[place].append(value)
    unknown = [name for name in methods or [""] if name not in METHODS]
    if unknown:
        raise ConfigError(
            f"--methods holds '{unknown[0]}'; allowed are {', '.join(METHODS)}, with commas."
        )
    return *found, methods


def _methods(
    chosen: list[str], epochs: int, execution: Execution, interruption: Interruption
) -> "Mapping[str, Score]":
    from experiments.run import cores, jax_settings

    # Before others load it: it refuses what a shell's variables should not be.
    jax_settings.load()
    from experiments.studies import lost_motion_scores

    known: dict[str, Score] = {"svm_maps": lost_motion_scores.of_svm_maps}
    if chosen != ["svm_maps"]:
        folds = command.values().subjects
        devices = functools.partial(cores.devices, folds, cores.usable())
        jax_settings.local_devices(None, cpu_devices=devices)
        for name, input_norm in lost_motion_scores.INPUT_NORMS.items():
            known[name] = lost_motion_scores.of_network(epochs, input_norm, execution, interruption)
    return {name: known[name] for name in chosen}


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "Folder for tables, picture, frames, flow and runs.")
    flags.DEFINE_integer("subjects", 24, "Pretend subjects.", lower_bound=2, upper_bound=200)
    flags.DEFINE_list("noises", ["0", "4"], "Camera noise to try, in grey values.")
    flags.DEFINE_list("jitters", ["0", "3", "6"], "Frames by which the apex may be off.")
    flags.DEFINE_list("methods", list(METHODS), f"Of {', '.join(METHODS)}.")
    flags.DEFINE_integer("epochs", 30, "Epochs of AHMSA-Net.", lower_bound=1, upper_bound=100_000)
    flags.DEFINE_enum("flow", "tvl1", ["tvl1", "farneback"], "Optical flow.")
    flags.DEFINE_integer(
        "workers", 0, "Processes; 0: one for each processor.", lower_bound=0, upper_bound=1024
    )
    command.run(
        main,
        name=NAME,
        purpose="Score a linear machine and AHMSA-Net on pretend clips of known motion, against "
        "camera noise, errors of the annotated apex and the form of the maps.",
        mistakes=(InputError, ConfigError),
    )

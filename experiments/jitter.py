"""How scores fall when the apex or the onset of held-out clips is annotated some frames off.

python -m experiments.jitter --dataset=casme2 --raw_dir=DIR --output=DIR2
"""

import os
import pathlib

from absl import flags

from ahmsa_jax.config import ConfigError
from input_pipeline.core import command, extras
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole
from input_pipeline.databases.registry import STORED_DATASETS

# What reads databases and learns is imported where it is used: help and mistakes answer at once.


def main() -> int:
    """Make the maps of moved frames, score them, write and print the table."""
    dataset, raw_dir, named = command.required(dataset="NAME", raw_dir="DIR", output="DIR2")
    extras.require()
    from experiments.recording import jitter
    from experiments.scores import drawing, reporting
    from input_pipeline.databases import frame_choice, reading
    from input_pipeline.flow.cache import FOLDER, MapCache
    from input_pipeline.flow.clip_maps import MapSettings

    output = pathlib.Path(named).expanduser()
    folder = pathlib.Path(raw_dir).expanduser()
    found = reading.read_databases(dataset, folder, [], frame_choice.DEFAULT)
    settings = MapSettings(flow=command.values().flow)
    cache = MapCache(output / FOLDER, settings)
    processes = command.values().workers or os.cpu_count() or 1
    lines = jitter.measured(dataset, found, cache, settings, processes)
    write_whole(output / jitter.FILE, jitter.text(lines))
    write_whole(output / jitter.PICTURE, drawing.drawn(jitter.draw(lines), "png"))
    facts = f"{lines[0].clips} clips of {lines[0].subjects} subjects, {lines[0].apart:g} frames"
    remark = f"{facts} from onset to apex (median); trained as annotated, one subject left out."
    reporting.print_tables([remark], [jitter.table(lines)], output)
    return 0


if __name__ == "__main__":
    flags.DEFINE_enum("dataset", None, STORED_DATASETS, "Database to read.")
    flags.DEFINE_string("raw_dir", None, "The database as unzipped.")
    flags.DEFINE_string(
        "output", None, "Folder for the table, and for the maps, which are licensed material."
    )
    flags.DEFINE_enum("flow", "tvl1", ["tvl1", "farneback"], "Optical flow.")
    flags.DEFINE_integer(
        "workers", 0, "Processes; 0: one for each processor.", lower_bound=0, upper_bound=1024
    )
    command.run(
        main,
        name="experiments.jitter",
        purpose="Score classical methods on held-out clips whose apex or onset is moved by some "
        "frames, trained on clips as annotated.",
        mistakes=(InputError, ConfigError),
    )

"""Predicts own videos and folders of frames with a model of experiments.fit.

python -m experiments.predict --model_dir=models/megc2019 --clip=clip.mp4 --output=predictions
"""

import pathlib
import signal
from typing import NoReturn

from absl import flags

from ahmsa_jax.config import ConfigError
from experiments.predicting import asked
from experiments.predicting.asked import ClipAsked
from experiments.run import flags as run_flags
from experiments.run import jax_settings
from input_pipeline.core import command, extras, progress_lines
from input_pipeline.core.errors import InputError
from input_pipeline.own_clips import windows

NAME = "experiments.predict"
_CLIP = flags.DEFINE_multi_string(
    "clip", [], "A video file or a folder of frames; may be given several times."
)
_TABLE = flags.DEFINE_string(
    "table",
    None,
    "CSV file with a clip a row: the column file, from the table's folder, and where known onset, "
    "apex and offset.",
)
_MARKS = {
    name: flags.DEFINE_integer(
        name, None, f"Frame number of the {name}, of a single --clip.", lower_bound=0
    )
    for name in ("onset", "apex", "offset")
}
_WINDOW = flags.DEFINE_float(
    "window",
    windows.SECONDS,
    "Seconds of a clip that are looked at where no offset is given; a folder, whose rate nobody "
    "knows, counts 30 frames a second.",
)
_EVERY = flags.DEFINE_float(
    "every", None, "Look at a window every so many seconds of a longer clip, each a row."
)

# JAX and matplotlib are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Predict the clips; 2 where the only one was refused, else 0."""
    given = command.values()
    model_dir, output = command.required(model_dir="DIR", output="DIR")
    clips = _clips()
    extras.require()
    # Before others load it: it refuses what a shell's variables should not be.
    jax_settings.load()
    from experiments.fitting import model_folder

    model = model_folder.load(pathlib.Path(model_dir).expanduser())
    jax_settings.local_devices(given.compile_cache)
    from experiments.predicting import model_maps, predict

    folder = predict.new_folder(pathlib.Path(output).expanduser())
    for note in model_maps.of_model(model).notes:
        print(f"note: {note}", flush=True)
    _refuse_inside(folder, [model.folder, *(clip.path for clip in clips)])
    rows, refused, first = 0, 0, ""

    def stop(number: int, _: object) -> NoReturn:
        raise command.StoppedError(
            number, f"stopped; {rows} rows are in '{folder}', a new --output starts again."
        )

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    last = None
    with progress_lines.bar(len(clips), "clips") as bar:
        for outcome in predict.write(model, clips, folder):
            bar.update(last is not None and outcome.clip is not last)
            last = outcome.clip
            if outcome.number == 1 and outcome.windows > 1:
                bar.clear()
                print(outcome.count_line(), flush=True)
            rows, refused = rows + 1, refused + bool(outcome.code)
            if outcome.code:
                first = first or f"{outcome.code}: {outcome.detail}"
            if len(clips) > 1 or not outcome.code:
                bar.clear()
                print(outcome.line(model.class_names), flush=True)
        bar.update()
    if len(clips) == 1 and refused == rows:
        raise InputError(f"the clip was refused, {first}")
    print(
        f"{rows - refused} predicted, {refused} refused; table and pictures, which show faces, in "
        f"{folder}"
    )
    return 0


def _refuse_inside(folder: pathlib.Path, others: list[pathlib.Path]) -> None:
    """Raise ConfigError where faces would lie in a model's folder, or among a clip's frames."""
    for other in others:
        if other.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise ConfigError(
                f"--output='{folder}' lies in '{other}', which is read; name a folder elsewhere."
            )


def _clips() -> list[ClipAsked]:
    marks = {name: flag.value for name, flag in _MARKS.items()}
    wanted = windows.Asked(**marks, seconds=_WINDOW.value, every=_EVERY.value)
    wanted.check()
    if bool(_CLIP.value) == (_TABLE.value is not None):
        raise ConfigError("give --clip=PATH, once or several times, or else --table=FILE.")
    if _TABLE.value is None:
        return asked.named(_CLIP.value, wanted)
    if not _TABLE.value:
        raise ConfigError("--table is empty; name a CSV file.")
    given = [name for name, value in marks.items() if value is not None]
    if given:
        raise ConfigError(f"--{given[0]} is of a single --clip; a table has a column for it.")
    return asked.of_table(pathlib.Path(_TABLE.value).expanduser(), wanted)


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", None, "Folder that experiments.fit wrote.")
    flags.DEFINE_string("output", None, "Folder for predictions.csv and pictures, new or empty.")
    run_flags.define_compile_cache_flag()
    command.run(
        main,
        name=NAME,
        purpose="Predict own videos and folders of frames with a model of experiments.fit.",
        mistakes=(InputError, ConfigError),
    )

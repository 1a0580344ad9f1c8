"""Predicts windows of own clips with a fitted model: the same maps as a build, then the network."""

import dataclasses
import pathlib
import time
from collections.abc import Iterator, Sequence

from ahmsa_jax.config import ConfigError
from experiments.fitting import calibration
from experiments.fitting.model_folder import Model
from experiments.looking.any_network import maps_of
from experiments.looking.seen_maps import SeenMaps, Weights
from experiments.predicting import model_maps, picture
from experiments.predicting.asked import ClipAsked
from experiments.predicting.outcome import FILE, Outcome, picture_name, table
from experiments.run.prepared import Preparation
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.core.files import write_whole
from input_pipeline.own_clips import source, to_maps, windows
from input_pipeline.own_clips.source import Source
from input_pipeline.own_clips.windows import Window

# The table is written anew this often, and at the end.
_TABLE_SECONDS = 5.0


def of_clip(model: Model, maps: model_maps.ModelMaps, clip: ClipAsked) -> Iterator[Outcome]:
    """What comes of each window of a clip, one refusal where it has none."""
    try:
        frames = source.opened(clip.path)
    except ClipFault as fault:
        yield Outcome(clip, 1, code=fault.code, detail=fault.detail)
        return
    try:
        found = windows.of_clip(frames.numbers, frames.rate, clip.asked)
    except ClipFault as fault:
        frames.close()
        yield Outcome(clip, 1, code=fault.code, detail=fault.detail)
        return
    try:
        for number, window in enumerate(found, start=1):
            frames.begin(window.onset)
            outcome = of_window(model, maps, clip, number, frames, window)
            yield dataclasses.replace(outcome, windows=len(found))
    finally:
        frames.close()


def of_window(
    model: Model,
    maps: model_maps.ModelMaps,
    clip: ClipAsked,
    number: int,
    frames: Source,
    window: Window,
) -> Outcome:
    """The prediction of one window, or why there is none."""
    try:
        made = to_maps.made(frames, window, maps.settings, model.layout, model.class_names)
    except ClipFault as fault:
        return Outcome(clip, number, window, code=fault.code, detail=fault.detail)
    probability_SxNxK = model.probabilities(made.clips)
    single_SxNxK = calibration.tempered(probability_SxNxK, model.temperature)
    return Outcome(
        clip,
        number,
        window,
        made,
        probability_K=model.averaged(probability_SxNxK)[0],
        deviation_K=single_SxNxK[:, 0].std(axis=0) if len(model.seeds) > 1 else None,
        seen=_seen(model, made),
        notes=(*maps.notes, *frames.notes),
    )


def _seen(model: Model, made: to_maps.Made) -> SeenMaps:
    """Where the seeds' networks look for the class predicted."""
    weights = [Weights(one.params, Preparation.from_json(one.preparation)) for one in model.weights]
    return maps_of(model.config, weights, made.clips)


def new_folder(output: pathlib.Path) -> pathlib.Path:
    """The folder for predictions; raises ConfigError where it holds something."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(
            f"--output='{output}' holds something already; name a new or empty folder."
        )
    return output


def write(model: Model, clips: Sequence[ClipAsked], output: pathlib.Path) -> Iterator[Outcome]:
    """Predict the clips one after the other; table and pictures in `output` grow with them.

    What was predicted stands in the table however the caller ends.
    """
    maps = model_maps.of_model(model)
    # Damaged weights are said before the first clip is read.
    assert model.weights
    output.mkdir(parents=True, exist_ok=True)
    rows: list[list[str]] = []
    written = time.monotonic()

    def write_table() -> None:
        write_whole(output / FILE, table(rows, model.class_names))

    try:
        for clip in clips:
            for outcome in of_clip(model, maps, clip):
                name = ""
                if outcome.made is not None:
                    name = picture_name(len(rows) + 1, outcome)
                    write_whole(output / name, picture.drawn(model, outcome))
                rows.append(outcome.cells(model.class_names, name))
                if time.monotonic() - written > _TABLE_SECONDS:
                    write_table()
                    written = time.monotonic()
                yield outcome
    finally:
        write_table()

"""The files of a look: maps as arrays, a table and pictures, in a folder bound to what was seen."""

import io
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ahmsa_jax.config import ConfigError
from experiments.looking import pictures, seen_maps, tables
from experiments.looking.looks import Looks
from experiments.run.spec import differences
from experiments.run.workdir import canonical_json
from experiments.scores import drawing
from input_pipeline.core.files import read_text, write_whole

FACTS, ARRAYS, TABLE = "looking.json", "looking.npz", "looking.csv"
CLASSES, DATABASES = "looking_classes", "looking_databases"
_MOST_BYTES = 64 * 2**20


def check(folder: pathlib.Path, facts: Mapping[str, Any]) -> None:
    """Raise ConfigError unless the folder is new, empty, or holds a look at the same."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--output='{folder}' is no folder; name a new or empty one.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    path = folder / FACTS
    if not path.is_file():
        raise ConfigError(
            f"--output='{folder}' is not empty and holds no {FACTS} of an earlier look; name a new "
            "or empty folder."
        )
    try:
        stored = json.loads(read_text(path, _MOST_BYTES))
        differing = differences(stored, json.loads(canonical_json(dict(facts))))
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"'{path}' is damaged ({error}); name a new or empty folder.") from None
    if differing:
        raise ConfigError(
            f"--output='{folder}' holds the look at something else: {'; '.join(differing[:4])}. "
            "Name a new or empty folder."
        )


def write(
    folder: pathlib.Path, facts: Mapping[str, Any], looks: Looks, pictured: Sequence[str]
) -> None:
    """Write all files; `pictured` are the keys of the clips that get a picture of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / FACTS, canonical_json(dict(facts)))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays(looks))
    write_whole(folder / ARRAYS, buffer.getvalue())
    write_whole(folder / TABLE, tables.of_clips(looks).csv())
    drawing.write(pictures.by_class(looks), folder, CLASSES)
    drawing.write(pictures.by_database(looks), folder, DATABASES)
    place_of = {key: place for place, key in enumerate(looks.clips.clip_key_N)}
    for number, key in enumerate(pictured, start=1):
        name = f"clip_{number:03d}_{key.replace('/', '_')}"
        drawing.write(pictures.of_clip(looks, place_of[key]), folder, name)


def arrays(looks: Looks) -> dict[str, np.ndarray]:
    """What the file of arrays holds, by name; clips are its first axis.

    `attention.level_0.block_0` and `channels....` are as in SeenMaps, `moving` and `untrained_...`
    there where the true motion is known.
    """
    seen, clips = looks.seen, looks.clips
    found = {
        "clip": np.array(clips.clip_key_N),
        "label": clips.label_N,
        "class_names": np.array(clips.class_names),
        "class_asked": seen.class_N,
        "probability": seen.probability_NxK.astype(np.float32),
        "landmarks": seen_maps.landmarks_of(clips).astype(np.float32),
        **seen.map_of,
        "pretend": np.array(clips.pretend),
    }
    for name, weights in (("attention", seen.attention_of), ("channels", seen.channels_of)):
        for block, weight in weights.items():
            found[f"{name}.{block.replace('/', '.')}"] = weight.astype(np.float32)
    if looks.moving_NxSxS is not None:
        found["moving"] = looks.moving_NxSxS
    if looks.untrained is not None:
        found |= {f"untrained_{kind}": map_ for kind, map_ in looks.untrained.map_of.items()}
    return found

"""The clips that very different runs all get wrong: by subject, and with their maps.

Letters in array names: N clips of the data set, H rows, W columns, C flow channels.
"""

import pathlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ahmsa_jax.config import ConfigError
from experiments.files.run_files import Prediction
from experiments.recording.kept import KeptRun
from experiments.recording.rows import HARD, ROWS
from experiments.scores import drawing
from input_pipeline.core.clips import FLOW_CHANNELS, Clips
from input_pipeline.core.files import write_whole
from input_pipeline.core.tables import Table
from input_pipeline.databases.names import in_words, place

PICTURE = "hard_clips-{}.png"
_A_PAGE = 12


class HardClip(NamedTuple):
    """A clip that all runs get wrong, its class and what each run says of it most often."""

    subject_key: str
    clip: str
    label: int
    said: tuple[int, ...]


def missing(kept: Mapping[str, KeptRun]) -> list[str]:
    """The runs that are needed and not kept yet."""
    return [name for name in HARD if name not in kept]


def found(kept: Mapping[str, KeptRun]) -> list[HardClip]:
    """The clips that each of HARD gets wrong in most of its seeds; all of HARD must be kept."""
    said = [_most_often(kept[name].predictions) for name in HARD]
    wrong = [_wrong(kept[name].predictions) for name in HARD]
    label = {(row.subject_key, row.clip): row.label for row in kept[HARD[0]].predictions}
    hard = set.intersection(*wrong)
    in_order = sorted(hard, key=lambda clip: (place(clip[0].split("/")[0]), clip))
    return [HardClip(*clip, label[clip], tuple(one[clip] for one in said)) for clip in in_order]


def _wrong(rows: Sequence[Prediction]) -> set[tuple[str, str]]:
    """Clips that more than half of a run's seeds get wrong."""
    seeds = len({row.seed for row in rows})
    count = Counter((row.subject_key, row.clip) for row in rows if row.label != row.prediction)
    return {clip for clip, times in count.items() if 2 * times > seeds}


def _most_often(rows: Sequence[Prediction]) -> dict[tuple[str, str], int]:
    """What most seeds say of each clip, the first class of equals."""
    answers: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for row in rows:
        answers[row.subject_key, row.clip][row.prediction] += 1
    return {
        clip: min(counted, key=lambda answer: (-counted[answer], answer))
        for clip, counted in answers.items()
    }


def by_subject(hard: Sequence[HardClip], kept: Mapping[str, KeptRun]) -> Table:
    """Hard clips of each subject that has one, with their classes."""
    run = kept[HARD[0]]
    clips = Counter(subject for subject, _ in {(r.subject_key, r.clip) for r in run.predictions})
    rows = []
    for subject in dict.fromkeys(one.subject_key for one in hard):
        own = [one for one in hard if one.subject_key == subject]
        database, name = subject.split("/")
        classes = Counter(run.class_names[one.label] for one in own)
        each = ", ".join(f"{count} {label}" for label, count in classes.items())
        named = ", ".join(one.clip for one in own)
        cells = (str(len(own)), str(clips[subject]), each, named)
        rows.append((f"{in_words(database)}/{name}", *cells))
    columns = ("subject", "hard clips", "of clips", "their classes", "clips")
    return Table("Hard clips by subject", columns, rows)


def counts_table(hard: Sequence[HardClip], kept: Mapping[str, KeptRun]) -> Table:
    """How many clips each run gets wrong, and all of them, by database."""
    wrong = {name: _wrong(kept[name].predictions) for name in HARD}
    wrong["all of them"] = {(one.subject_key, one.clip) for one in hard}
    databases = sorted({row.database for row in kept[HARD[0]].predictions}, key=place)
    rows = []
    for name, clips in wrong.items():
        per = Counter(subject.split("/")[0] for subject, _ in clips)
        title = ROWS[name].title if name in ROWS else name
        rows.append((title, str(len(clips)), *(str(per[database]) for database in databases)))
    columns = ("wrong in", "clips", *map(in_words, databases))
    return Table("Clips that most seeds get wrong", columns, rows)


def draw_maps(
    hard: Sequence[HardClip], kept: Mapping[str, KeptRun], clips: Clips, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Draw the hard clips' maps (u, v, strain) into the folder, twelve a page.

    The maps are the databases' owners': these pictures are not to be published. Raises ConfigError
    where the data set lacks a clip.
    """
    place_of = {key: number for number, key in enumerate(clips.clip_key_N)}
    absent = [key for one in hard if (key := f"{one.subject_key}/{one.clip}") not in place_of]
    if absent:
        raise ConfigError(
            f"the data set lacks {len(absent)} of the {len(hard)} hard clips, first {absent[0]}; "
            "name the composite's published maps with --dataset or --arrays."
        )
    folder.mkdir(parents=True, exist_ok=True)
    names, written = kept[HARD[0]].class_names, []
    for number, start in enumerate(range(0, len(hard), _A_PAGE), 1):
        page = hard[start : start + _A_PAGE]
        index = [place_of[f"{one.subject_key}/{one.clip}"] for one in page]
        figure = _page(page, names, clips.flow_whole_NxHxWxC[index])
        path = folder / PICTURE.format(number)
        write_whole(path, drawing.drawn(figure, "png"))
        written.append(path)
    return written


def _page(hard: Sequence[HardClip], names: Sequence[str], maps_NxHxWxC: np.ndarray) -> Figure:
    figure = Figure(figsize=(10, 1.6 * len(hard) / 2 + 1), layout="constrained")
    axes = figure.subplots(-(-len(hard) // 2), 2 * len(FLOW_CHANNELS), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (one, map_HxWxC) in enumerate(zip(hard, maps_NxHxWxC, strict=True)):
        row, column = divmod(number, 2)
        for channel, name in enumerate(FLOW_CHANNELS):
            axis = axes[row, column * len(FLOW_CHANNELS) + channel]
            axis.imshow(map_HxWxC[..., channel], cmap="gray", vmin=0, vmax=255)
            axis.text(0.02, 0.03, name, transform=axis.transAxes, color="yellow", fontsize=6)
        said = ", ".join(dict.fromkeys(names[answer] for answer in one.said))
        title = f"{one.subject_key}/{one.clip}\n{names[one.label]}, said: {said}"
        axes[row, column * len(FLOW_CHANNELS)].set_title(title, fontsize=6, loc="left")
    return figure

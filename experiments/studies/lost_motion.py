"""Where the motion is lost between frames and map: scores on pretend clips under known conditions.

One thing varies at a time, the camera's noise or the annotation of the apex; for each, maps of
several forms are made of the same flow and scored leaving one subject out. Letters in array names:
K classes.
"""

import csv
import io
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import Scores
from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import read_text, write_whole
from input_pipeline.core.map_form import MapForm
from input_pipeline.core.tables import Table, csv_text
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import workers
from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import MapSettings
from input_pipeline.maps import from_frames
from input_pipeline.pretend import controlled

FILE = "lost_motion.csv"
NOISE, JITTER = VARIED = ("noise", "jitter")
# What stands while the other varies.
USUAL_NOISE, USUAL_JITTER = 1.0, 0
# The papers' form, each of our choices alone, and all together.
FORMS = (
    MapForm("whole"),
    MapForm("whole", "symmetric"),
    MapForm("whole", map_size=36),
    MapForm("whole", phases=2),
    MapForm("whole", "symmetric", 2, 36),
)
_MOST_BYTES = 2**20

# Scores of a method by leaving one subject out, given the folder for what it keeps.
Score = Callable[[Clips, pathlib.Path], Scores]


class Condition(NamedTuple):
    """How the clips were filmed and annotated: grey values, frames."""

    noise: float
    jitter: int

    @property
    def name(self) -> str:
        """As a folder is called."""
        return f"noise-{self.noise:g}-jitter-{self.jitter}"


class Line(NamedTuple):
    """Scores of one method on maps of one form under one condition."""

    noise: float
    jitter: int
    layout: str
    method: str
    clips: int
    subjects: int
    uf1: float
    uar: float


def conditions(noises: Sequence[float], jitters: Sequence[int]) -> list[Condition]:
    """One thing varied at a time, each condition once."""
    found = [Condition(noise, USUAL_JITTER) for noise in noises]
    found += [Condition(USUAL_NOISE, jitter) for jitter in jitters]
    return list(dict.fromkeys(found))


def measured(
    output: pathlib.Path,
    tried: Sequence[Condition],
    methods: Mapping[str, Score],
    subjects: int,
    settings: MapSettings,
    processes: int,
) -> Iterator[Line]:
    """Yield every line, those of the file first; each is in the file before the next is made.

    Raises InputError where a clip cannot be used: all of them are made to be.
    """
    lines = read(output)
    known = {(one.noise, one.jitter, one.layout, one.method) for one in lines}
    yield from lines
    cache = MapCache(output / "map_cache", settings)
    for condition in tried:
        left = [
            (form, method)
            for form in FORMS
            for method in methods
            if (*condition, form.layout, method) not in known
        ]
        if not left:
            continue
        print(f"{condition.name}: {len(left)} scores to find", flush=True)
        records = _with_flow(output / "frames", condition, subjects, cache, settings, processes)
        for form, method in left:
            clips = clips_of(records, cache, form)
            where = output / "runs" / method / condition.name / form.layout
            scores = methods[method](clips, where)
            counts = (len(clips), len(set(clips.subject_key_N)))
            line = Line(*condition, form.layout, method, *counts, scores.uf1, scores.uar)
            lines.append(line)
            write_whole(output / FILE, csv_text(Line._fields, lines))
            yield line


def _with_flow(
    frames: pathlib.Path,
    condition: Condition,
    subjects: int,
    cache: MapCache,
    settings: MapSettings,
    processes: int,
) -> tuple[ClipRecord, ...]:
    records = controlled.records(frames, subjects, noise=condition.noise, jitter=condition.jitter)
    outcomes = workers.run(records, settings, cache, processes, phases=2)
    for one in outcomes:
        if one.quality is None:
            raise InputError(
                f"the pretend clip {one.key} cannot be used ({one.code}: {one.detail})."
            )
    return records


def clips_of(records: Sequence[ClipRecord], cache: MapCache, form: MapForm) -> Clips:
    """The clips' maps in a form, from the flow of both phases that the cache holds."""
    return from_frames.in_form(
        records,
        cache,
        form,
        where="pretend clips of known motion",
        dataset=controlled.DATABASE,
        provenance={},
        pretend=True,
    )


def read(folder: pathlib.Path) -> list[Line]:
    """The lines of a folder's file, none where it has none; raises ConfigError on a damaged one."""
    path = folder / FILE
    try:
        rows = list(csv.reader(io.StringIO(read_text(path, _MOST_BYTES), newline="")))
        if not rows or tuple(rows[0]) != Line._fields:
            raise ValueError(f"its header is not {','.join(Line._fields)}")
        kinds = (float, int, str, str, int, int, float, float)
        return [Line(*(k(cell) for k, cell in zip(kinds, row, strict=True))) for row in rows[1:]]
    except FileNotFoundError:
        return []
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"'{path}' is damaged ({error}); remove it to measure again.") from None


def table(lines: Sequence[Line], varied: str) -> Table:
    """UF1 by what is varied, one row a method and form."""
    own = of_varied(lines, varied)
    values = sorted({getattr(one, varied) for one in own})
    uf1_of = {(one.method, one.layout, getattr(one, varied)): f"{one.uf1:.3f}" for one in own}
    rows = [
        (method, layout, *(uf1_of.get((method, layout, value), "") for value in values))
        for method, layout in dict.fromkeys((one.method, one.layout) for one in own)
    ]
    unit = {NOISE: "grey values of noise", JITTER: "frames the apex may be off"}[varied]
    columns = ("method", "maps", *(f"{value:g}" for value in values))
    return Table(f"UF1 by {unit}", columns, rows, pretend=True)


def of_varied(lines: Sequence[Line], varied: str) -> list[Line]:
    """The lines in which all but one thing is as usual."""
    if varied == NOISE:
        return [one for one in lines if one.jitter == USUAL_JITTER]
    return [one for one in lines if one.noise == USUAL_NOISE]

"""candidates.csv of a run with inner selection: what each candidate predicts of held-out clips.

It is for showing what choosing by them would seem to gain; no choice reads it.
"""

import csv
import io
import pathlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ahmsa_jax.config import ConfigError
from experiments.files.run_files import counts_of
from experiments.run.chunk import Chunk, ChunkResult
from input_pipeline.core.clips import Clips
from input_pipeline.core.files import read_text, write_whole
from input_pipeline.core.tables import csv_text

FILE = "candidates.csv"
# Whose counts: of the last epoch, or of each fold's best one by its held-out clips.
LAST, PICKED = "last", "held-out clips"
_COLUMNS = ("candidate", "epoch_by", "seed", "label", "prediction", "clips")
_MOST_BYTES = 2**28

# Confusion counts (K, K) by candidate, rule of the epoch and seed.
Tallies = dict[tuple[int, str, int], np.ndarray]


def write(
    workdir: pathlib.Path, clips: Clips, outer: Sequence[Sequence[tuple[Chunk, ChunkResult]]]
) -> None:
    """Write the counts of each candidate trained on all folds, in the candidates' order."""
    classes = len(clips.class_names)
    tallies: Tallies = defaultdict(lambda: np.zeros((classes, classes), np.int64))
    for number, finished in enumerate(outer):
        for chunk, result in finished:
            for row, job in enumerate(chunk.jobs):
                last_KxK = counts_of(job, clips, result.probability[row])
                tallies[number, LAST, job.seed] += last_KxK
                seen_VxKxK = result.confusion_SxVxKxK[row]
                if len(seen_VxKxK) > 1:
                    # The latest of equal ones, as HTNet's published rule.
                    right_V = np.trace(seen_VxKxK, axis1=1, axis2=2)
                    place = len(right_V) - 1 - int(np.argmax(right_V[::-1]))
                    tallies[number, PICKED, job.seed] += seen_VxKxK[place]
    names = clips.class_names
    rows = [
        (number, rule, seed, names[label], names[prediction], int(count))
        for (number, rule, seed), counts_KxK in sorted(tallies.items())
        for (label, prediction), count in np.ndenumerate(counts_KxK)
    ]
    write_whole(workdir / FILE, csv_text(_COLUMNS, rows))


def read(workdirs: Sequence[pathlib.Path], class_names: Sequence[str]) -> Tallies:
    """The counts of one run's parts together; empty of runs without the file.

    Raises ConfigError where a file is damaged.
    """
    place_of = {name: place for place, name in enumerate(class_names)}
    tallies: Tallies = defaultdict(lambda: np.zeros((len(place_of), len(place_of)), np.int64))
    for path in (workdir / FILE for workdir in workdirs):
        try:
            rows = list(csv.DictReader(io.StringIO(read_text(path, _MOST_BYTES), newline="")))
            for row in rows:
                number, seed, clips = (int(row[name]) for name in ("candidate", "seed", "clips"))
                if clips < 0:
                    raise ValueError(f"it counts {clips} clips")
                places = place_of[row["label"]], place_of[row["prediction"]]
                tallies[number, row["epoch_by"], seed][places] += clips
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise ConfigError(
                f"'{path}' is damaged ({error}); start the run's command again, which writes it "
                "anew."
            ) from None
    return dict(tallies)

"""Statistics over subjects: paired ones of two runs on the same clips, and a run's own interval.

Letters in array names: S subjects, R seeds, K classes, D draws.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from ahmsa_jax.metrics import f1_per_class
from experiments.files.run_files import Prediction

DRAWS = 10_000
# Of a run's own intervals.
OWN_DRAWS = 2_000
INTERVAL = (2.5, 97.5)  # percent: a 95 % interval
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Paired:
    """What sets the first run apart from the second, on clips that both predicted."""

    clips: int
    subjects: int
    only_first_right: int
    only_second_right: int
    p_value: float  # McNemar's exact test, two-sided
    uf1_difference: float  # first minus second, means over seeds
    interval: tuple[float, float]  # 95 %, bootstrap over subjects


def difference_of_clips(first: Sequence[Prediction], second: Sequence[Prediction]) -> str | None:
    """Why two runs cannot be compared clip by clip, or None: other clips, or other labels."""
    labels = [{_clip(row): row.label for row in rows} for rows in (first, second)]
    missing = [len(labels[0].keys() - labels[1].keys()), len(labels[1].keys() - labels[0].keys())]
    if any(missing):
        return f"{missing[0]} clips are in the first only, {missing[1]} in the second only"
    other = sum(label != labels[1][clip] for clip, label in labels[0].items())
    return f"{other} clips have other labels" if other else None


def compare(first: Sequence[Prediction], second: Sequence[Prediction], num_classes: int) -> Paired:
    """Compare two runs that predicted the same clips.

    McNemar's test needs one answer a clip, so it reads the lowest seed of each run; the difference
    in UF1 is that of the means over seeds. Subjects are drawn with replacement, the same ones for
    both runs, since clips of one subject are no independent samples.
    """
    right = [_answers(rows) for rows in (first, second)]
    only_first = sum(right[0][clip] and not right[1][clip] for clip in right[0])
    only_second = sum(right[1][clip] and not right[0][clip] for clip in right[0])
    subjects = sorted({row.subject_key for row in first})
    mine_SxRxKxK, theirs_SxRxKxK = (
        confusions(rows, subjects, num_classes) for rows in (first, second)
    )
    whole = [float(f1_per_class(one.sum(axis=0)).mean()) for one in (mine_SxRxKxK, theirs_SxRxKxK)]
    return Paired(
        clips=len(right[0]),
        subjects=len(subjects),
        only_first_right=only_first,
        only_second_right=only_second,
        p_value=mcnemar(only_first, only_second),
        uf1_difference=whole[0] - whole[1],
        interval=bootstrap_interval(mine_SxRxKxK, theirs_SxRxKxK),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test (doi 10.1007/BF02295996).

    If neither run were better, each clip that only one of them gets right would fall to either by
    a fair coin; this is the chance of a split at least as uneven. 1 where there is no such clip.
    """
    total = only_first + only_second
    fewer = min(only_first, only_second)
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    # Whole numbers: a quotient of two of them is right to the last digit however large they are.
    return min(1.0, 2 * tail / 2**total)


def bootstrap_interval(
    first_SxRxKxK: np.ndarray, second_SxRxKxK: np.ndarray, draws: int = DRAWS
) -> tuple[float, float]:
    """95 % interval of the UF1 difference when subjects are drawn anew (percentile bootstrap).

    Takes confusion counts of each subject and seed, rows the truth; the draws are seeded.
    """
    times_DxS = _draws(len(first_SxRxKxK), draws)
    first_D, second_D = (
        _means(times_DxS, counts_SxRxKxK, f1_per_class)
        for counts_SxRxKxK in (first_SxRxKxK, second_SxRxKxK)
    )
    low, high = np.percentile(first_D - second_D, INTERVAL)
    return float(low), float(high)


def score_interval(
    counts_SxRxKxK: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    database_S: Sequence[str] | None = None,
    draws: int = OWN_DRAWS,
) -> tuple[float, float]:
    """95 % interval of one run's mean UF1 or UAR over seeds when subjects are drawn anew.

    `score` is the score of each class: metrics.f1_per_class or recall_per_class. `database_S` are
    the subjects' databases: each keeps its number of subjects.
    """
    databases = np.array(database_S or [""] * len(counts_SxRxKxK))
    times_DxS = np.zeros((draws, len(databases)), np.int64)
    for name in sorted(set(databases.tolist())):
        own_S = databases == name
        times_DxS[:, own_S] = _draws(int(own_S.sum()), draws)
    low, high = np.percentile(_means(times_DxS, counts_SxRxKxK, score), INTERVAL)
    return float(low), float(high)


@functools.lru_cache(maxsize=8)
def _draws(subjects: int, draws: int) -> np.ndarray:
    """How often each draw takes each subject (D, S); the same ones for the same number."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(subjects, np.full(subjects, 1 / subjects), size=draws)


def _means(
    times_DxS: np.ndarray, counts_SxRxKxK: np.ndarray, score: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    # Counts are small whole numbers: exact as floats, whose product is much faster.
    drawn_DxRxKxK = np.tensordot(times_DxS.astype(float), counts_SxRxKxK.astype(float), axes=1)
    return score(drawn_DxRxKxK).mean(axis=(-2, -1))


def _clip(row: Prediction) -> tuple[str, str]:
    return row.subject_key, row.clip


def _answers(rows: Sequence[Prediction]) -> dict[tuple[str, str], bool]:
    """Whether each clip is right under the lowest seed."""
    lowest = min(row.seed for row in rows)
    return {_clip(row): row.label == row.prediction for row in rows if row.seed == lowest}


def confusions(rows: Sequence[Prediction], subjects: Sequence[str], num_classes: int) -> np.ndarray:
    """Confusion counts (S, R, K, K) of each subject under each seed."""
    seeds = sorted({row.seed for row in rows})
    place = {key: number for number, key in enumerate(subjects)}
    counts_SxRxKxK = np.zeros((len(subjects), len(seeds), num_classes, num_classes), np.int64)
    for row in rows:
        seed = seeds.index(row.seed)
        counts_SxRxKxK[place[row.subject_key], seed, row.label, row.prediction] += 1
    return counts_SxRxKxK

"""Whether published figures of a composite can come from one set of predictions, by arithmetic.

Letters in array names: K classes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from input_pipeline.core.clips import CLASS_NAMES
from input_pipeline.databases import packaged_table


class Bounds(NamedTuple):
    """The least and the largest UAR that a composite can have."""

    low: float
    high: float


def composite_uar(
    uar_of: Mapping[str, tuple[float, float]], clips_of: Mapping[str, Sequence[int]]
) -> Bounds:
    """Bounds of the UAR over all clips, given each database's UAR as (least, largest).

    With n clips of class k in database d, of n_k in all, the pooled recall of k is the sum over d
    of r_dk n_dk / n_k, and a database's UAR is the mean of its r_dk. So each database adds the
    most where its recalls are 1 in the classes with the largest n_dk / n_k first, and the least
    the other way round. Counts are whole numbers, which can only narrow the bounds.
    """
    totals = [sum(own) for own in zip(*clips_of.values(), strict=True)]
    classes = len(totals)
    low = high = 0.0
    for database, (least, largest) in uar_of.items():
        shares = [own / whole for own, whole in zip(clips_of[database], totals, strict=True)]
        low += _filled(sorted(shares), classes * least)
        high += _filled(sorted(shares, reverse=True), classes * largest)
    return Bounds(low / classes, high / classes)


def _filled(shares: Sequence[float], recalls: float) -> float:
    """Shares times recalls in 0..1 that sum to `recalls`, the first ones filled first."""
    found = 0.0
    for share in shares:
        recall = min(1.0, max(0.0, recalls))
        found += share * recall
        recalls -= recall
    return found


def clips_per_class(databases: Sequence[str]) -> dict[str, list[int]]:
    """Clips (K,) of the three classes in each of these databases as released."""
    rows = packaged_table.rows("expected_counts.csv")
    return {
        database: [
            sum(int(row[name]) for row in rows if row["database"] == database)
            for name in CLASS_NAMES
        ]
        for database in databases
    }


def beyond(pooled: str, uar_of: Mapping[str, str]) -> Bounds | None:
    """The bounds that a printed UAR over all clips lies outside of, or None where it does not.

    `uar_of` holds the databases' UARs as printed; so much as printing rounds is allowed for.
    """
    if not pooled or not all(uar_of.values()):
        return None
    clips = clips_per_class(list(uar_of))
    bounds = composite_uar({name: _printed(text) for name, text in uar_of.items()}, clips)
    least, largest = _printed(pooled)
    return bounds if largest < bounds.low or least > bounds.high else None


def _printed(text: str) -> tuple[float, float]:
    """The values that print so."""
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    return float(text) - half, float(text) + half

"""How foreign flow maps relate to ours: correlation, channel order, sign, scale, mirroring."""

import itertools
from typing import NamedTuple

import numpy as np

from input_pipeline.core.clips import FLOW_CHANNELS

# Below this median correlation two maps are called unlike each other.
_ALIKE = 0.3


class Comparison(NamedTuple):
    """How foreign channels relate to ours over the clips that both have.

    correlation_3x3[i, j] is the median over clips of Pearson's correlation between our channel i
    and theirs j; order[i] is the foreign channel that resembles ours most; slope and offset map
    our values to theirs (theirs = slope * ours + offset), medians over clips.
    """

    clips: int
    correlation_3x3: np.ndarray
    order: tuple[int, ...]
    slope_3: np.ndarray
    offset_3: np.ndarray
    mirrored: bool


def compare(ours_NxHxWxC: np.ndarray, theirs_NxHxWxC: np.ndarray) -> Comparison:
    """Compare maps (N, 28, 28, 3) of the same clips in the same order.

    Maps that resemble ours better after mirroring left and right are called mirrored, and are
    then compared so.
    """
    straight = _correlations(ours_NxHxWxC, theirs_NxHxWxC)
    turned_NxHxWxC = theirs_NxHxWxC[:, :, ::-1]
    turned = _correlations(ours_NxHxWxC, turned_NxHxWxC)
    mirrored = _best(turned)[1] > _best(straight)[1] + 0.1
    if mirrored:
        theirs_NxHxWxC = turned_NxHxWxC
    correlation_3x3 = turned if mirrored else straight
    order = _best(correlation_3x3)[0]
    ordered_NxHxWxC = theirs_NxHxWxC[..., list(order)]
    lines_3x2 = [_line(ours_NxHxWxC[..., own], ordered_NxHxWxC[..., own]) for own in range(3)]
    slope_3, offset_3 = np.transpose(lines_3x2)
    return Comparison(len(ours_NxHxWxC), correlation_3x3, order, slope_3, offset_3, mirrored)


def _correlations(ours_NxHxWxC: np.ndarray, theirs_NxHxWxC: np.ndarray) -> np.ndarray:
    first, second = _standardised(ours_NxHxWxC), _standardised(theirs_NxHxWxC)
    per_clip_Nx3x3 = np.einsum("npi,npj->nij", first, second) / first.shape[1]
    # A constant channel has no correlation; it does not count.
    with_any = np.where(np.isnan(per_clip_Nx3x3).all(axis=0), 0.0, per_clip_Nx3x3)
    return np.nanmedian(with_any, axis=0)


def _standardised(maps_NxHxWxC: np.ndarray) -> np.ndarray:
    flat_NxPxC = maps_NxHxWxC.reshape(len(maps_NxHxWxC), -1, 3).astype(np.float64)
    flat_NxPxC = flat_NxPxC - flat_NxPxC.mean(axis=1, keepdims=True)
    deviation_Nx1xC = flat_NxPxC.std(axis=1, keepdims=True)
    flat_NxPxC /= np.where(deviation_Nx1xC > 0, deviation_Nx1xC, np.nan)
    return flat_NxPxC


def _best(correlation_3x3: np.ndarray) -> tuple[tuple[int, ...], float]:
    def resemblance(order: tuple[int, ...]) -> float:
        return float(sum(abs(correlation_3x3[own, order[own]]) for own in range(3)))

    order = max(itertools.permutations(range(3)), key=resemblance)
    return order, resemblance(order)


def _line(own_NxHxW: np.ndarray, foreign_NxHxW: np.ndarray) -> tuple[float, float]:
    x_NxP = own_NxHxW.reshape(len(own_NxHxW), -1).astype(np.float64)
    y_NxP = foreign_NxHxW.reshape(len(foreign_NxHxW), -1).astype(np.float64)
    spread_N = x_NxP.var(axis=1)
    moving = spread_N > 0
    if not moving.any():
        return 0.0, float(np.median(y_NxP))
    x_NxP, y_NxP, spread_N = x_NxP[moving], y_NxP[moving], spread_N[moving]
    centred = x_NxP - x_NxP.mean(axis=1, keepdims=True)
    slope_N = (centred * y_NxP).mean(axis=1) / spread_N
    offset_N = y_NxP.mean(axis=1) - slope_N * x_NxP.mean(axis=1)
    return float(np.median(slope_N)), float(np.median(offset_N))


def describe(comparison: Comparison) -> list[str]:
    """The comparison in lines for people."""
    lines = [
        f"median correlation over {comparison.clips} clips (rows: ours, columns: their channels "
        "in the order of their pictures' red, green and blue)",
        " " * 8 + "".join(f"{name:>9}" for name in ("first", "second", "third")),
    ]
    for name, row_3 in zip(FLOW_CHANNELS, comparison.correlation_3x3, strict=True):
        lines.append(f"{name:<8}" + "".join(f"{value:9.3f}" for value in row_3))
    best = [comparison.correlation_3x3[own, comparison.order[own]] for own in range(3)]
    if max(abs(value) for value in best) < _ALIKE:
        lines.append(
            "the maps do not resemble each other: another crop, another flow, or other clips"
        )
        return lines
    named = [""] * 3
    for own, foreign in enumerate(comparison.order):
        sign = "-" if best[own] < 0 else ""
        unsure = "?" if abs(best[own]) < _ALIKE else ""
        named[foreign] = f"{sign}{FLOW_CHANNELS[own]}{unsure}"
    lines.append(f"their channel order: ({', '.join(named)})")
    if comparison.mirrored:
        lines.append("their pictures are mirrored left to right against ours")
    scales = zip(FLOW_CHANNELS, comparison.slope_3, comparison.offset_3, strict=True)
    return lines + [
        f"scale of {c}: theirs = {slope:.3f} * ours {by:+.1f}" for c, slope, by in scales
    ]

"""The numbers of what networks see, clip by clip and as means."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from experiments.looking import energy, seen_maps
from experiments.looking.energy import REGIONS, Energy
from experiments.looking.looks import Looks
from input_pipeline.core.tables import Table


class Control(NamedTuple):
    """Energies of one kind of map inside the true motion, a clip each."""

    network: str
    kind: str
    energies: list[Energy]

    @property
    def ratio(self) -> float:
        """The mean over the clips of energy inside by share of area; clips without energy are 0."""
        return float(
            np.mean([0.0 if math.isnan(one.inside) else one.ratio for one in self.energies])
        )

    @property
    def denser_share(self) -> float:
        """The share of clips with more energy per unit of area inside than outside."""
        return float(np.mean([one.is_denser_inside for one in self.energies]))


def of_clips(looks: Looks) -> Table:
    """One row a clip: classes, shares of energy by region and, where it is known, by true motion.

    Shares are of the positive part of a map; `denser` says whether a pixel inside the true motion
    has more of it than one outside.
    """
    columns = ["database", "subject", "clip", "class", "predicted", "probability"]
    columns += [f"{kind}_{name}" for kind in looks.seen.kinds for name in REGIONS]
    controls = list(controls_of(looks))
    if controls:
        columns.append("moving_area")
        for control in controls:
            name = f"{control.kind}_{control.network}"
            columns += [f"{name}_inside", f"{name}_ratio", f"{name}_denser"]
    names, clips = looks.clips.class_names, looks.clips
    rows = []
    for number, shares in enumerate(_shares(looks)):
        asked = int(looks.seen.class_N[number])
        row = [str(c[number]) for c in (clips.database_N, clips.subject_N, clips.clip_N)]
        row += [clips.class_of(number), names[asked]]
        row += [f"{looks.seen.probability_NxK[number, asked]:.6g}", *map(_number, shares)]
        if controls:
            row.append(_number(controls[0].energies[number].area))
            for control in controls:
                one = control.energies[number]
                row += [_number(one.inside), _number(one.ratio)]
                row.append("yes" if one.is_denser_inside else "no")
        rows.append(row)
    return Table("Where the networks look", columns, rows, pretend=clips.pretend)


def of_regions(looks: Looks) -> Table:
    """Mean shares of energy by region, one row a predicted class and kind of map."""
    kinds = looks.seen.kinds
    shares_NxR = np.array(list(_shares(looks))).reshape(len(looks.clips), len(kinds), -1)
    rows = []
    for label, name in enumerate(looks.clips.class_names):
        is_own_N = looks.seen.class_N == label
        for place, kind in enumerate(kinds):
            own = shares_NxR[is_own_N, place]
            own = own[np.isfinite(own).all(axis=1)]
            if len(own):
                cells = [f"{100 * share:.1f}" for share in own.mean(axis=0)]
                rows.append((name, kind, str(len(own)), *cells))
    columns = ("predicted", "map", "clips", *REGIONS)
    title = "Share of a map's energy by region of the face (%, mean over clips)"
    return Table(title, columns, rows, pretend=looks.clips.pretend)


def of_truth(looks: Looks) -> Table:
    """How much of the maps' energy lies inside the true motion, one row a network and kind."""
    rows = []
    for one in controls_of(looks):
        inside = np.mean([0.0 if math.isnan(e.inside) else e.inside for e in one.energies])
        area = np.mean([e.area for e in one.energies])
        cells = (f"{100 * inside:.1f}", f"{100 * area:.1f}", f"{one.ratio:.2f}")
        rows.append((one.kind, one.network, *cells, f"{100 * one.denser_share:.0f}"))
    columns = (
        "map",
        "network",
        "energy inside, %",
        "area, %",
        "ratio",
        "denser inside, % of clips",
    )
    title = "Energy inside the true motion (mean over clips)"
    return Table(title, columns, rows, pretend=looks.clips.pretend)


def controls_of(looks: Looks) -> Iterator[Control]:
    """Energies inside the true motion by kind, of the networks and before their training."""
    if looks.moving_NxSxS is None:
        return
    for kind in looks.seen.kinds:
        for network, seen in (("trained", looks.seen), ("untrained", looks.untrained)):
            if seen is not None:
                maps = seen.map_of[kind]
                pairs = zip(maps, looks.moving_NxSxS, strict=True)
                yield Control(network, kind, [energy.energy(*pair) for pair in pairs])


def _shares(looks: Looks) -> Iterator[list[float]]:
    """Each clip's shares by region, of all kinds one after the other."""
    maps_of_all = list(looks.seen.map_of.values())
    size = maps_of_all[0].shape[1]
    for number, landmarks_5x2 in enumerate(seen_maps.landmarks_of(looks.clips)):
        region_SxS = energy.region_of(landmarks_5x2, size)
        maps = [one_NxSxS[number] for one_NxSxS in maps_of_all]
        yield [share for one in maps for share in energy.by_region(one, region_SxS).values()]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"

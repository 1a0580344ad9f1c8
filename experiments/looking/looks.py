"""All that a source's networks see in their clips, gathered in the clips' order.

Letters in array names: N clips, S side of the face, K classes, G side of a level's grid, R seeds,
H heads, D width.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.looking import class_gradient
from experiments.looking.any_network import maps_of
from experiments.looking.seen_maps import SeenMaps, Weights
from experiments.looking.source import Source
from experiments.looking.untrained import untrained
from input_pipeline.core.clips import Clips


@dataclasses.dataclass(frozen=True)
class Looks:
    """The clips looked at, what was seen in them, and, of pretend clips, where they really move.

    `untrained` is what the same networks saw of the same classes before their training.
    """

    clips: Clips
    seen: SeenMaps
    moving_NxSxS: np.ndarray | None = None
    untrained: SeenMaps | None = None
    what: str = "held-out clips"

    @property
    def title(self) -> str:
        """How many clips of what."""
        subjects = len(set(self.clips.subject_key_N))
        return f"{len(self.clips)} {self.what} of {subjects} subjects"


def look(
    source: Source,
    moving: Callable[[Clips], np.ndarray] | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Looks:
    """Look through every part at its clips; `moving` says where clips really move, if it is known.

    Where it is, the untrained networks look too. Raises InputError on a bad weight file.
    """
    index_N = np.concatenate([part.index_Q for part in source.parts])
    order_N = np.argsort(index_N, kind="stable")
    # What is known of the clips is refused before the networks take their time.
    clips = source.clips.rows(index_N[order_N])
    moving_NxSxS = moving(clips) if moving else None
    found: list[SeenMaps] = []
    controls: list[SeenMaps] = []
    for number, part in enumerate(source.parts, start=1):
        weights = part.read()
        own = source.clips.rows(part.index_Q)
        found.append(maps_of(source.config, list(weights.values()), own))
        if moving:
            controls.append(_control(source, part.key, weights, own, found[-1].class_N))
        told(f"{number} of {len(source.parts)} parts, {part.key}")
    seen = _gathered(found, order_N, clips)
    control = _gathered(controls, order_N, clips) if controls else None
    return Looks(clips, seen, moving_NxSxS, control, source.what)


def _control(
    source: Source, key: str, weights: dict[int, Weights], clips: Clips, class_N: np.ndarray
) -> SeenMaps:
    started = [
        untrained(source.config, seed, key, one.preparation) for seed, one in weights.items()
    ]
    return maps_of(source.config, started, clips, class_N)


def _gathered(parts: list[SeenMaps], order_N: np.ndarray, clips: Clips) -> SeenMaps:
    """The parts as one, their clips in this order, which is that of `clips`."""

    def joined(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(arrays)[order_N]

    found: dict[str, Any] = {}
    for field in dataclasses.fields(SeenMaps):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], dict):
            found[field.name] = {b: joined([value[b] for value in values]) for b in values[0]}
        elif values[0] is not None:
            found[field.name] = joined(values)
    return class_gradient.added(SeenMaps(**found), clips)

"""The arrays that a network reads of a data set, prepared clip by clip as the settings say."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.inputs.input_norm import INPUT_NORMS, normalised
from ahmsa_jax.inputs.mirror import mirrored
from input_pipeline.core.clips import Clips

# What networks read of a data set of faces, as it is stored.
FACE_INPUTS = ("frames", "flow_px")


def inputs(clips: Clips, training: TrainConfig) -> dict[str, np.ndarray]:
    """The network's inputs by name, (N, ...) each."""
    whole = clips.flow_whole_NxHxWxC
    maps = {"flow": normalised(training.input_norm, clips.flow_NxHxWxC, whole)}
    return maps | {name: clips.faces[name] for name in FACE_INPUTS if name in clips.faces}


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How maps become what a fold's weights were trained on; kept with the weights."""

    input_norm: str = "none"
    std: tuple[float, ...] | None = None  # of each channel, over the fold's training clips
    test_mirror: bool = False

    def to_json(self) -> dict[str, Any]:
        """As stored in a weight file's header; empty where maps are taken as they are."""
        usual = Preparation()
        kept = {name: value for name, value in vars(self).items() if value != getattr(usual, name)}
        return kept | ({"std": list(self.std)} if self.std else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What to_json gave; raises ValueError on anything else."""
        found = cls(
            str(stored.get("input_norm", "none")),
            tuple(map(float, stored["std"])) if "std" in stored else None,
            stored.get("test_mirror", False) is True,
        )
        usable = found.std is None or (min(found.std) > 0 and np.isfinite(found.std).all())
        if found.input_norm not in INPUT_NORMS or not usable or found.to_json() != dict(stored):
            raise ValueError(f"its header's preparation is {stored!a:.60}")
        return found

    def views(self, clips: Clips) -> list[dict[str, np.ndarray]]:
        """The clips' inputs by name as the network takes them, and mirrored where both count."""
        flow = normalised(self.input_norm, clips.flow_NxHxWxC, clips.flow_whole_NxHxWxC)
        seen = [flow]
        if self.test_mirror:
            seen.append(mirrored(flow, centred=self.input_norm != "none"))
        divisor = np.float32(1) if self.std is None else np.array(self.std, np.float32)
        others = {name: clips.faces[name] for name in FACE_INPUTS if name in clips.faces}
        return [{"flow": view / divisor} | others for view in seen]

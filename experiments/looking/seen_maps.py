"""Where a network of maps looks: all maps of some clips, averaged over seeds, on the face.

The evidence for a class is the logarithm of its odds, log p - log(1 - p): where a network is sure,
log p hardly moves whatever is hidden, the odds do. Its gradient is that of log p divided by 1 - p,
so that shares within a network's gradient map are those of log p. Over seeds and mirrored views the
evidence is the mean: gradients are added up with their signs, so that what a network's random start
left in them cancels out, and only then are they squared.

Letters in array names: N clips, H rows, W columns, C channels, K classes, Q maps scored together,
S side of the face, G side of a level's grid, R seeds, D width.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.config import ConfigError, NetworkConfig, TrainConfig
from ahmsa_jax.inputs.mirror import mirrored
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training import step
from experiments.looking import attention, folding, gradients
from experiments.looking.occlusion import SCORED_AT_ONCE, STRIDE, occlusion
from experiments.run.prepared import Preparation
from experiments.schedule.prediction import Params, variables_of
from input_pipeline.core.clips import MAP_SIZE, Clips
from input_pipeline.core.map_form import FORMS
from input_pipeline.maps import layouts

# Kinds of maps of a network of maps.
OCCLUSION, GRADIENT = "occlusion", "gradient"


class Weights(NamedTuple):
    """A network's parameters by path joined with '/', and how maps are prepared for it."""

    params: Params
    preparation: Preparation = Preparation()


@dataclasses.dataclass(frozen=True)
class SeenMaps:
    """What networks of the same settings see in some clips.

    map_of holds maps (N, S, S) by kind, of the log odds' mean over seeds (and mirrored views), on
    the face, whose side is the map's (28 pixels); NaN where the layout cuts nothing from the face.
    Occlusion in natural logarithms of odds, negative where the class gains; gradients the same per
    unit of the network's input, squared; for those of networks of frames see grad_cam.py.
    probability_NxK is the mean over seeds, class_N the class asked for.

    attention_of holds each block's received attention in the map that the network sees, (N, R, H,
    G, G), channels_of the factors of its channels, (N, R, D). Heads and channels of two seeds have
    nothing in common, so that nothing is averaged. Both are empty for networks without attention
    between patches.

    derivative_NxHxWxC is what the gradient squares, in the map that the network sees; None for
    networks of frames.
    """

    map_of: dict[str, np.ndarray]
    probability_NxK: np.ndarray
    class_N: np.ndarray
    attention_of: dict[str, np.ndarray]
    channels_of: dict[str, np.ndarray]
    derivative_NxHxWxC: np.ndarray | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of maps."""
        return tuple(self.map_of)

    @property
    def occlusion_NxSxS(self) -> np.ndarray:
        """The occlusion of a network of maps."""
        return self.map_of[OCCLUSION]

    @property
    def gradient_NxSxS(self) -> np.ndarray:
        """The gradient of a network of maps."""
        return self.map_of[GRADIENT]


def maps_of(
    config: NetworkConfig,
    weights: Sequence[Weights],
    clips: Clips,
    class_N: np.ndarray | None = None,
    *,
    window: int | None = None,
    stride: int = STRIDE,
) -> SeenMaps:
    """Where the networks look in each clip; `weights` holds one of each seed, at least one.

    class_N is the class asked for, by default the one that the mean over the seeds predicts.
    `window` and `stride` are those of occlusion. Programs are compiled once for a network's
    settings; memory does not grow with the clips beyond their maps. Raises ConfigError for a
    network that does not take flow maps alone.
    """
    _check_network(config)
    programs = _programs(config)
    views = [_View(programs, one, clips) for one in weights]
    probability_NxK = np.mean([view.probability_NxK for view in views], axis=0)
    if class_N is None:
        class_N = probability_NxK.argmax(axis=-1)
    class_N = np.asarray(class_N, np.int32)
    slots = folding.slots_of(FORMS[clips.layout].cut, FORMS[clips.layout].map_size)
    hidden_NxHxW = np.mean(
        [view.occlusion(class_N, slots, window=window, stride=stride) for view in views], axis=0
    )
    derivative_NxHxWxC = np.mean([view.derivative(class_N) for view in views], axis=0)
    blocks = views[0].attention_of
    return SeenMaps(
        map_of={
            OCCLUSION: on_faces(hidden_NxHxW, clips),
            GRADIENT: on_faces(gradients.strength(derivative_NxHxWxC), clips),
        },
        probability_NxK=probability_NxK,
        class_N=class_N,
        attention_of={b: np.stack([v.attention_of[b] for v in views], axis=1) for b in blocks},
        channels_of={
            b: np.stack([v.channels_of[b] for v in views], axis=1) for b in views[0].channels_of
        },
        derivative_NxHxWxC=derivative_NxHxWxC,
    )


def _check_network(config: NetworkConfig) -> None:
    """Raise ConfigError for a network that sees more than flow maps."""
    network = network_of(config)
    if not network.sees_maps_alone(config):
        raise ConfigError(
            f"--model={network.name} sees {' and '.join(network.inputs_of(config))}; these "
            "maps are of networks that see flow maps alone (any_network.py knows others)."
        )


def landmarks_of(clips: Clips) -> np.ndarray:
    """The landmarks on each clip's face as wide as its map, (N, 5, 2); mean ones where unknown."""
    mean_Nx5x2 = np.broadcast_to(layouts.MEAN_LANDMARKS_5x2, (len(clips), 5, 2))
    known_Nx5x2 = clips.extras.get("landmarks", mean_Nx5x2)
    return np.asarray(known_Nx5x2, np.float64) * (clips.flow_NxHxWxC.shape[1] / MAP_SIZE)


def on_faces(map_NxHxW: np.ndarray, clips: Clips) -> np.ndarray:
    """The clips' maps put back onto their faces, float32 (N, S, S) with S = H."""
    cut, size = FORMS[clips.layout].cut, map_NxHxW.shape[1]
    faces = [
        folding.fold_back(map_HxW, cut, landmarks_5x2, size)
        for map_HxW, landmarks_5x2 in zip(map_NxHxW, landmarks_of(clips), strict=True)
    ]
    return np.stack(faces).astype(np.float32)


class _Programs(NamedTuple):
    """Compiled functions of a network: each takes one number of maps only."""

    # Variables and maps (Q, H, W, C) to logits, received attention and channel weights.
    forward: Any
    # Maps (B, H, W, C), variables and a class for each to the log odds' derivative.
    derivative: Any


@functools.lru_cache(maxsize=8)
def _programs(config: NetworkConfig) -> _Programs:
    model = step.make_model(config, TrainConfig())

    def forward(variables: Any, flow_QxHxWxC: jax.Array) -> tuple[jax.Array, Any, Any]:
        logits_QxK, seen = model.apply(variables, flow_QxHxWxC)
        return logits_QxK, attention.received(seen), attention.channel_weights(seen)

    def total(flow_BxHxWxC: jax.Array, variables: Any, class_B: jax.Array) -> jax.Array:
        # Clips do not see each other: the sum's derivative is each one's own.
        return jnp.sum(log_odds(jnp, model.apply(variables, flow_BxHxWxC)[0], class_B))

    return _Programs(jax.jit(forward), jax.jit(jax.grad(total)))


def log_odds(numpy: Any, logits_QxK: Any, class_Q: Any) -> Any:
    """log p - log(1 - p) of a class in each row, (Q,), by NumPy or jax.numpy."""
    is_asked_QxK = numpy.arange(logits_QxK.shape[-1]) == class_Q[:, None]
    asked_Q = numpy.where(is_asked_QxK, logits_QxK, 0).sum(axis=-1)
    others_QxK = numpy.where(is_asked_QxK, -numpy.inf, logits_QxK)
    most_Qx1 = others_QxK.max(axis=-1, keepdims=True)
    total_Q = numpy.exp(others_QxK - most_Qx1).sum(axis=-1)
    return asked_Q - most_Qx1[:, 0] - numpy.log(total_Q)


class _View:
    """One seed's network before the clips: their maps as it takes them, mirrored ones among them.

    What is found in mirrored maps is turned back.
    """

    def __init__(self, programs: _Programs, weights: Weights, clips: Clips) -> None:
        self._programs = programs
        self._variables = variables_of(weights.params)
        self._flows = [view["flow"] for view in weights.preparation.views(clips)]
        found = [self._forward(flow_NxHxWxC) for flow_NxHxWxC in self._flows]
        self.probability_NxK = np.mean([softmax(one[0]) for one in found], axis=0)
        self.attention_of = {
            block: self._together([one[1][block] for one in found]) for block in found[0][1]
        }
        self.channels_of = {
            block: np.mean([one[2][block] for one in found], axis=0) for block in found[0][2]
        }

    def _together(self, maps: Sequence[np.ndarray]) -> np.ndarray:
        """The mean of maps (..., W) of each view, every second one turned back."""
        return np.mean([map_[..., ::-1] if n else map_ for n, map_ in enumerate(maps)], axis=0)

    def _forward(self, flow_NxHxWxC: np.ndarray) -> Any:
        """What the program gives of all clips."""
        parts = []
        for first in range(0, len(flow_NxHxWxC), SCORED_AT_ONCE):
            index_Q = np.arange(first, first + SCORED_AT_ONCE).clip(max=len(flow_NxHxWxC) - 1)
            parts.append(jax.tree.map(np.asarray, self._applied(flow_NxHxWxC[index_Q])))
        return jax.tree.map(lambda *all_: np.concatenate(all_)[: len(flow_NxHxWxC)], *parts)

    def _applied(self, flow_QxHxWxC: np.ndarray) -> Any:
        with jax.default_matmul_precision("highest"):
            return self._programs.forward(self._variables, flow_QxHxWxC)

    def occlusion(self, class_N: np.ndarray, slots: Sequence[Any], **how: Any) -> np.ndarray:
        """The mean over the views, (N, H, W)."""

        def score(flow_QxHxWxC: np.ndarray, class_Q: np.ndarray) -> np.ndarray:
            logits_QxK = np.asarray(self._applied(flow_QxHxWxC)[0], np.float64)
            return log_odds(np, logits_QxK, class_Q)

        return self._together(
            [occlusion(score, flow, class_N, slots, **how) for flow in self._flows]
        )

    def derivative(self, class_N: np.ndarray) -> np.ndarray:
        """The mean over the views with its sign, (N, H, W, C)."""

        def derivative(flow_BxHxWxC: np.ndarray, class_B: np.ndarray) -> np.ndarray:
            with jax.default_matmul_precision("highest"):
                return np.asarray(self._programs.derivative(flow_BxHxWxC, self._variables, class_B))

        found = [gradients.derivatives(derivative, flow, class_N) for flow in self._flows]
        # A mirrored map's u has the other sign as well.
        return np.mean([mirrored(d, centred=True) if n else d for n, d in enumerate(found)], axis=0)


def softmax(logits_NxK: np.ndarray) -> np.ndarray:
    """Probabilities of logits, (N, K)."""
    unit_NxK = np.exp(logits_NxK - logits_NxK.max(axis=-1, keepdims=True))
    return unit_NxK / unit_NxK.sum(axis=-1, keepdims=True)

"""Where networks of frames look: Grad-CAM on their last grids of tokens, and their attention.

Selvaraju et al. 2017 (doi:10.1109/ICCV.2017.74): the features of a layer, each weighed by the mean
over the places of the class's logit's derivative by it, added up, what is below 0 left out. MFDAN:
the norm behind its blocks, as its Figure 6. HSTA: what its last module reads, of the six frames and
of onset and apex apart; behind that module only class tokens count. Maps are scaled to a largest
value of 1 for each clip and seed, whose features have nothing in common, then averaged.

Letters in array names: N clips, B clips at once, T tokens, G side of a grid, D width, K classes, R
seeds, H heads, S side of the face.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ahmsa_jax.config import ConfigError, NetworkConfig, TrainConfig
from ahmsa_jax.networks.registry import network_of
from ahmsa_jax.training import step
from experiments.looking.seen_maps import SeenMaps, Weights, softmax
from experiments.schedule.prediction import variables_of
from input_pipeline.core.clips import MAP_SIZE, Clips

GRAD_CAM, VIDEO, SPECIAL = "grad_cam", "grad_cam_video", "grad_cam_special"
KINDS = (GRAD_CAM, VIDEO, SPECIAL)
# Pictures of many clips at once take much memory.
AT_ONCE = 4

# Of a layer's output, or input: the tokens asked for, and the same with others in their place.
Get = Callable[[Any], jax.Array]
Put = Callable[[Any, jax.Array], Any]


class Layer(NamedTuple):
    """A place in a network where tokens lie on a grid: (B, T, D) once `get` has found them.

    `reads` says whether they are what the module at `path` is given, else what it gives.
    """

    path: tuple[str, ...]
    reads: bool
    get: Get
    put: Put


def layers_of(config: Any) -> dict[str, Layer]:
    """The layers of a network by the kind of map; raises ConfigError on one not known here."""
    name = network_of(config).name
    if name == "mfdan":
        return {
            GRAD_CAM: Layer(
                ("norm",),
                False,
                lambda out: out.reshape(len(out), -1, out.shape[-1]),
                lambda out, tokens: tokens.reshape(out.shape),
            )
        }
    if name == "hsta":
        last = (f"blocks_{config.count - 1}",)
        return {VIDEO: _branch(last, 1), SPECIAL: _branch(last, 0)}
    raise ConfigError(
        f"--model={name} sees frames, and which of its layers lies on the face is not known here; "
        "known are hsta and mfdan."
    )


def _branch(path: tuple[str, ...], branch: int) -> Layer:
    """The patches of one of HSTA's branches, behind its class token."""

    def put(z: Any, tokens: jax.Array) -> Any:
        joined = jnp.concatenate([z[branch][:, :1], tokens], axis=1)
        return [joined if number == branch else one for number, one in enumerate(z)]

    return Layer(path, True, lambda z: z[branch][:, 1:], put)


def maps_of(
    config: NetworkConfig,
    weights: Sequence[Weights],
    clips: Clips,
    class_N: np.ndarray | None = None,
) -> SeenMaps:
    """Where the networks look in each clip, as seen_maps.maps_of of networks of maps.

    Maps lie on the whole face at 28 pixels a side. attention_of holds, as level_<n>/block_<m>, what
    patches receive: of MFDAN's self-attention and flow-driven attention (heads 1 and 2), of HSTA's
    class tokens by head (level 0 the six frames, level 1 onset and apex).
    """
    program = _program(config)
    views = [one.preparation.views(clips)[0] for one in weights]
    variables = [variables_of(one.params) for one in weights]
    names = network_of(config).inputs_of(config)
    pairs = list(zip(variables, views, strict=True))
    asked_N = np.zeros(len(clips), np.int32) if class_N is None else np.asarray(class_N, np.int32)
    found = [_seen(program, tree, view, names, asked_N) for tree, view in pairs]
    probability_NxK = np.mean([one.probability_NxK for one in found], axis=0)
    if class_N is None:
        # Asked again for the class that all seeds together predict.
        asked_N = probability_NxK.argmax(axis=-1).astype(np.int32)
        found = [_seen(program, tree, view, names, asked_N) for tree, view in pairs]
    blocks = found[0].attention_of
    return SeenMaps(
        map_of={
            kind: np.mean([one.map_of[kind] for one in found], axis=0) for kind in layers_of(config)
        },
        probability_NxK=probability_NxK,
        class_N=asked_N,
        attention_of={b: np.stack([one.attention_of[b] for one in found], axis=1) for b in blocks},
        channels_of={},
    )


class _Seen(NamedTuple):
    """What one seed's network sees: maps on the face (N, S, S), attention (N, H, G, G)."""

    probability_NxK: np.ndarray
    map_of: dict[str, np.ndarray]
    attention_of: dict[str, np.ndarray]


def _seen(
    program: Any,
    variables: Any,
    view: Mapping[str, np.ndarray],
    names: Sequence[str],
    class_N: np.ndarray,
) -> _Seen:
    parts = []
    for first in range(0, len(class_N), AT_ONCE):
        index_B = np.arange(first, first + AT_ONCE).clip(max=len(class_N) - 1)
        inputs = [view[name][index_B] for name in names]
        with jax.default_matmul_precision("highest"):
            parts.append(jax.tree.map(np.asarray, program(variables, class_N[index_B], *inputs)))
    joined = jax.tree.map(lambda *all_: np.concatenate(all_)[: len(class_N)], *parts)
    logits_NxK, cams, seen = joined
    maps = {kind: on_face(cam_NxTxGxG.mean(axis=1)) for kind, cam_NxTxGxG in cams.items()}
    return _Seen(softmax(logits_NxK), maps, received(seen))


@functools.lru_cache(maxsize=8)
def _program(config: NetworkConfig) -> Any:
    """Variables, a class for each clip and inputs to logits, maps by kind, and intermediates."""
    model, layers = step.make_model(config, TrainConfig()), layers_of(config)

    def applied(added: Any, variables: Any, class_B: Any, *inputs: Any) -> Any:
        """The classes' logits, summed; the tokens of each layer had something added to them."""
        kept: dict[str, Any] = {}

        def intercept(following: Any, args: Any, kwargs: Any, context: Any) -> Any:
            for kind, layer in layers.items():
                if context.module.path == layer.path and context.method_name == "__call__":
                    if layer.reads:
                        (whole, *rest) = args
                        kept[kind] = layer.get(whole)
                        if added is not None:
                            args = (layer.put(whole, kept[kind] + added[kind]), *rest)
                        continue
                    whole = following(*args, **kwargs)
                    kept[kind] = layer.get(whole)
                    return whole if added is None else layer.put(whole, kept[kind] + added[kind])
            return following(*args, **kwargs)

        with nn.intercept_methods(intercept):
            logits_BxK, seen = model.apply(variables, *inputs)
        asked_B = jnp.take_along_axis(logits_BxK, class_B[:, None], axis=-1)
        return asked_B.sum(), (logits_BxK, kept, seen)

    def looked(variables: Any, class_B: jax.Array, *inputs: jax.Array) -> Any:
        shapes = jax.eval_shape(applied, None, variables, class_B, *inputs)[1][1]
        nothing = {kind: jnp.zeros(one.shape, one.dtype) for kind, one in shapes.items()}
        slope, (logits_BxK, kept, seen) = jax.grad(applied, has_aux=True)(
            nothing, variables, class_B, *inputs
        )
        return logits_BxK, {kind: cam(kept[kind], slope[kind]) for kind in layers}, seen

    return jax.jit(looked)


def cam(token_BxTxD: jax.Array, slope_BxTxD: jax.Array) -> jax.Array:
    """Grad-CAM of tokens and the logit's derivative by them: (B, T', G, G) with T' times.

    Tokens are those of square grids, time after time; the largest value of a clip is 1, unless all
    are 0.
    """
    weight_Bx1xD = slope_BxTxD.mean(axis=1, keepdims=True)
    map_BxT = jax.nn.relu((token_BxTxD * weight_Bx1xD).sum(axis=-1).astype(jnp.float32))
    largest_Bx1 = map_BxT.max(axis=-1, keepdims=True)
    map_BxT = map_BxT / jnp.where(largest_Bx1 > 0, largest_Bx1, 1.0)
    times, side = grid_of(map_BxT.shape[1])
    return map_BxT.reshape(len(map_BxT), times, side, side)


def grid_of(tokens: int) -> tuple[int, int]:
    """Times and side of the grids that so many tokens make: 147 are 3 of 7x7.

    Of HSTA's six frames, two a token, there are three times; else one. Raises ValueError.
    """
    for times in (1, 3):
        side = math.isqrt(tokens // times)
        if times * side**2 == tokens:
            return times, side
    raise ValueError(f"{tokens} tokens are no square grid at one or three times")


def received(seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Attention by level and block, (N, H, G, G): see maps_of."""
    found: dict[str, np.ndarray] = {}
    branches = {"video": 0, "special": 1}
    guided: dict[str, dict[str, np.ndarray]] = {}
    for name, weight in seen.items():
        parts = name.split("/")
        if parts[0].startswith("block_"):
            level = f"level_{parts[0][6:]}/block_{parts[1].rpartition('_')[2]}"
            guided.setdefault(level, {})[parts[2]] = weight
        elif parts[0].startswith("module_") and parts[-1] == "attention":
            module, layer = parts[0][7:], parts[2].rpartition("_")[2]
            # Without the class token's weight for itself.
            times, side = grid_of(weight.shape[-1] - 1)
            grid = weight[..., 1:].reshape(*weight.shape[:2], times, side, side).sum(axis=2)
            found[f"level_{branches[parts[1]]}/block_{module}_{layer}"] = grid
    for level, weights in guided.items():
        heads = [weights[kind] for kind in ("self", "flow") if kind in weights]
        found[level] = np.stack(heads, axis=1) / heads[0].shape[-1] ** 2
    return found


def on_face(map_NxGxG: np.ndarray) -> np.ndarray:
    """Maps of a grid over the whole face, bilinear between patches: float32 (N, 28, 28).

    Of a finer grid the means.
    """
    side = map_NxGxG.shape[-1]
    if side > MAP_SIZE:
        step = side // MAP_SIZE
        blocks = map_NxGxG.reshape(len(map_NxGxG), MAP_SIZE, step, MAP_SIZE, step)
        return np.asarray(blocks.mean(axis=(2, 4)), np.float32)
    place_S = np.clip((np.arange(MAP_SIZE) + 0.5) * side / MAP_SIZE - 0.5, 0, side - 1)
    low_S = np.minimum(place_S.astype(int), max(side - 2, 0))
    share_S = place_S - low_S
    high_S = np.minimum(low_S + 1, side - 1)
    rows = (1 - share_S)[:, None] * map_NxGxG[:, low_S] + share_S[:, None] * map_NxGxG[:, high_S]
    found = (1 - share_S) * rows[..., low_S] + share_S * rows[..., high_S]
    return np.asarray(found, np.float32)

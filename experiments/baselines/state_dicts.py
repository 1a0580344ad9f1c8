"""Parameters of the networks from Flax to PyTorch and back: renamed and transposed, never rounded.

Flax side: a mapping from paths joined with '/' to float32 arrays, as Engine.parameters gives it;
running statistics begin with "batch_stats/". PyTorch side: the arrays of a state dict; those of
HTNet and STSTNet are named as published, AHMSA-Net names its parts as in Flax. A name is given by
a function of the path, the arrangement of an array by its shape on the other side.
"""

import pathlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ahmsa_jax.config import NetworkConfig, TrainConfig
from ahmsa_jax.networks.initial import parameter_shapes, statistic_shapes
from ahmsa_jax.training.step import make_model
from input_pipeline.core.errors import InputError

Arrays = Mapping[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]
NameOf = Callable[[str], str]

# HTNet's published names by the paths of ours; query, key and value are one array there.
_BLOCK_PARTS = {
    "norm_attention/scale": "0.norm.g",
    "norm_attention/bias": "0.norm.b",
    "attention/query/kernel": "0.fn.to_qkv.weight",
    "attention/key/kernel": "0.fn.to_qkv.weight",
    "attention/value/kernel": "0.fn.to_qkv.weight",
    "attention/output/kernel": "0.fn.to_out.0.weight",
    "attention/output/bias": "0.fn.to_out.0.bias",
    "norm_feed_forward/scale": "1.norm.g",
    "norm_feed_forward/bias": "1.norm.b",
    "feed_forward/expand/kernel": "1.fn.net.0.weight",
    "feed_forward/expand/bias": "1.fn.net.0.bias",
    "feed_forward/project/kernel": "1.fn.net.3.weight",
    "feed_forward/project/bias": "1.fn.net.3.bias",
}
_DOWN_PARTS = {
    "conv/kernel": "0.weight",
    "conv/bias": "0.bias",
    "norm/scale": "1.g",
    "norm/bias": "1.b",
}
_ENDS = {
    "patch_embedding/kernel": "to_patch_embedding.1.weight",
    "patch_embedding/bias": "to_patch_embedding.1.bias",
    "head_norm/scale": "mlp_head.0.g",
    "head_norm/bias": "mlp_head.0.b",
    "head/kernel": "mlp_head.2.weight",
    "head/bias": "mlp_head.2.bias",
}
# Swin's names of MFDAN's parts, by patterns in a row.
_SWIN_PARTS = (
    (r"^block_(\d)_layer_(\d)\.", r"layers.\1.blocks.\2."),
    (r"\.attention\.", ".attn."),
    (r"\.bias_table$", ".relative_position_bias_table"),
    (r"\.(fc\d)\.(?=\w+$)", r".mlp.\1."),
    (r"^(flow_)?embed\.merging_(\d)\.", r"\1downsamples.\2."),
    (r"^(flow_)?embed\.", r"\1patch_embed."),
)
_LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def same_name(path: str) -> str:
    """The name of a part that is called alike on both sides, as in AHMSA-Net and STSTNet."""
    *parts, leaf = path.removeprefix("batch_stats/").split("/")
    return ".".join([*parts, _LEAVES.get(leaf, leaf)])


def htnet_name(path: str) -> str:
    """The published name of a part of HTNet."""
    if found := re.fullmatch(r"level_(\d+)_block_(\d+)/(.+)", path):
        return f"layers.{found[1]}.0.layers.{found[2]}.{_BLOCK_PARTS[found[3]]}"
    if found := re.fullmatch(r"down_(\d+)/(.+)", path):
        return f"layers.{int(found[1]) - 1}.1.{_DOWN_PARTS[found[2]]}"
    if found := re.fullmatch(r"level_(\d+)_pos_emb", path):
        return f"layers.{found[1]}.0.pos_emb"
    return _ENDS[path]


def hsta_name(path: str) -> str:
    """The published name of a part of HSTA: there each number is a step of its own."""
    *parts, leaf = re.sub(r"_(?=\d)", ".", path).split("/")
    return ".".join([*parts, _LEAVES.get(leaf, leaf)])


def mfdan_name(path: str) -> str:
    """The twin's name of a part of MFDAN, in the manner of Swin Transformer v1."""
    *parts, leaf = path.split("/")
    name = ".".join([*parts, _LEAVES.get(leaf, leaf)])
    for ours, theirs in _SWIN_PARTS:
        name = re.sub(ours, theirs, name)
    return name


def flax_shapes(config: NetworkConfig) -> Shapes:
    """Shapes of a network's parameters and running statistics by path."""
    model = make_model(config, TrainConfig())
    shapes = {"/".join(path): shape for path, shape in parameter_shapes(model, config).items()}
    statistics = statistic_shapes(model, config).items()
    return shapes | {"/".join(("batch_stats", *path)): shape for path, shape in statistics}


def refuse_other_network(path: pathlib.Path, found: Shapes, expected: Shapes) -> None:
    """Raise InputError unless the arrays of a file have the network's names and shapes."""
    missing = [name for name in expected if name not in found]
    surplus = [name for name in found if name not in expected]
    if missing or surplus:
        faults = [f"lacks {_some(missing)}"] if missing else []
        faults += [f"holds {_some(surplus)} besides"] if surplus else []
        raise InputError(
            f"'{path}' is of another network: it {' and '.join(faults)}; check --model and the "
            "network's size."
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise InputError(
                f"'{path}' has {name} with the shape {found[name]}; this network's is {shape}; "
                "check --model and the network's size."
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name)[1:-1][:60] for name in names[:2])
    return shown + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def to_torch(params: Arrays, name_of: NameOf, shapes: Shapes) -> dict[str, np.ndarray]:
    """The arrays of a state dict with these shapes that compute what the Flax parameters do."""
    state = {}
    for name, paths in _paths_by_name(params, name_of).items():
        turned = []
        for path in paths:
            flax_shape = _spread(path, params[path].shape, shapes[name])
            turned.append(params[path].reshape(flax_shape).transpose(_torch_axes(path, flax_shape)))
        state[name] = np.concatenate(turned).reshape(shapes[name]).astype(np.float32)
    return dict(sorted(state.items()))


def from_torch(state: Arrays, name_of: NameOf, shapes: Shapes) -> dict[str, np.ndarray]:
    """The Flax parameters with these shapes that compute what a state dict does; sorted by path."""
    params = {}
    for name, paths in _paths_by_name(shapes, name_of).items():
        for path, value in zip(paths, np.split(state[name], len(paths)), strict=True):
            flax_shape = _spread(path, shapes[path], value.shape)
            axes = _torch_axes(path, flax_shape)
            turned = value.reshape([flax_shape[axis] for axis in axes])
            flax = turned.transpose(np.argsort(axes)).reshape(shapes[path])
            params[path] = np.array(flax, order="C")
    return dict(sorted(params.items()))


def _paths_by_name(paths: Iterable[str], name_of: NameOf) -> dict[str, list[str]]:
    """The paths behind each name: of several (query, key, value) the arrays stand in a row."""
    found = defaultdict(list)
    for path in sorted(paths, key=lambda path: ("/query/" not in path, path)):
        found[name_of(path)].append(path)
    return found


def _spread(path: str, shape: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    """A convolution that is a matrix of patches on the Flax side: (3 * 3 * in, out) ->
    (3, 3, in, out)."""
    if path.endswith("/kernel") and len(shape) == 2 and len(theirs) > 3:
        return (*theirs[2:], theirs[1], shape[1])
    return shape


def _torch_axes(path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """(3, 3, in, out) -> (out, in, 3, 3), (in, out) -> (out, in)."""
    if path.endswith("/bias_table"):
        return (0, 1)
    if len(shape) < 4:
        return tuple(reversed(range(len(shape))))
    *window, _, _ = range(len(shape))
    return (len(shape) - 1, len(shape) - 2, *window)

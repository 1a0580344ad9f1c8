"""PyTorch state dicts of held-out subjects: read without running code in them, and written.

A file may come from anywhere: it is opened with weights_only, its unpacked size is bounded before,
and names, shapes, types and values are checked before anything is computed with them. Needs the
baselines extra.
"""

import io
import pathlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ahmsa_jax.config import NetworkConfig
from experiments.baselines import state_dicts, twins
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import write_whole

# Names, padding and the pickle beside the numbers themselves.
_SPARE_BYTES = 4 * 2**20


def read(path: pathlib.Path, config: NetworkConfig) -> dict[str, np.ndarray]:
    """The Flax parameters that a file's state dict stands for; raises InputError on any fault."""
    expected = twins.expected_shapes(config)
    state = _opened(path, sum(4 * int(np.prod(shape)) for shape in expected.values()))
    # Nothing reads the counters of batches: a file may lack them.
    needed = {name: shape for name, shape in expected.items() if not name.endswith(twins.COUNTER)}
    values = {name: value for name, value in state.items() if name not in expected.keys() - needed}
    shapes = {name: tuple(value.shape) for name, value in values.items()}
    state_dicts.refuse_other_network(path, shapes, needed)
    for name, value in values.items():
        if value.layout != torch.strided or value.is_meta or not value.dtype.is_floating_point:
            raise InputError(
                f"'{path}' has {name} as {value.dtype} ({value.layout}); only plain tensors of "
                "floating-point numbers can be read."
            )
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"'{path}' has values in {name} that are no finite numbers.")
    return twins.from_torch(config, {name: value.float() for name, value in values.items()})


def write(path: pathlib.Path, config: NetworkConfig, params: Mapping[str, np.ndarray]) -> None:
    """Write Flax parameters as a state dict with the published names, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(twins.to_torch(config, params), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, buffer.getvalue())


def _opened(path: pathlib.Path, usual_bytes: int) -> dict[str, Any]:
    # Twice: a file may hold double precision.
    allowed = 2 * usual_bytes + _SPARE_BYTES
    if (size := _unpacked_bytes(path)) > allowed:
        raise InputError(
            f"'{path}' unpacks to {size:,} bytes, the network's weights to at most {allowed:,}; it "
            "was not opened."
        )
    try:
        with warnings.catch_warnings():
            # Of a file that is refused anyway, or of versions: nothing a user could act on.
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split(". ")[0].splitlines()[0][:120]
        raise InputError(
            f"'{path}' holds more than tensors, or is no PyTorch file, and was not opened "
            f"({reason}); save the network's state_dict() alone."
        ) from None
    except Exception as error:
        # A damaged file ends in whatever the reader stumbles over.
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"'{path}' is no readable PyTorch file ({reason}).") from None
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise InputError(f"'{path}' is no state dict of names and tensors.")
    return dict(state)


def _unpacked_bytes(path: pathlib.Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        return path.stat().st_size

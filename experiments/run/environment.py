"""What a run ran on: command, versions, devices, source revision; stored beside its results."""

import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ahmsa_jax
from input_pipeline.core import invocation
from input_pipeline.core.files import read_text

if TYPE_CHECKING:
    import jax

FILE = "environment.json"
# What a measured number is to be read with.
OF_A_MEASUREMENT = ("devices", "packages", "python", "processors", "started", "commit")
# Far more than any run writes there.
_MOST_BYTES = 1 << 20
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint", "tensorflow-datasets")


def describe(devices: "Sequence[jax.Device]") -> dict[str, Any]:
    """Command, versions, devices and revision as JSON values; unknown ones are None."""
    return {
        "ahmsa_jax": ahmsa_jax.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in devices],
        "variables": _variables(),
        "started": invocation.now(),
        "command": invocation.command_line(),
    }


def stored(workdir: pathlib.Path) -> dict[str, Any]:
    """What a run noted in its workdir; empty where it did not, or the file is damaged."""
    try:
        found = json.loads(read_text(workdir / FILE, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _variables() -> dict[str, str]:
    """Variables that change how JAX, its compiler and a GPU's libraries compute."""
    prefixes = ("JAX_", "XLA_", "CUDA_", "CUBLAS_", "NVIDIA_TF32")
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(prefixes) and not name.endswith("_DIR")
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    root = pathlib.Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip()

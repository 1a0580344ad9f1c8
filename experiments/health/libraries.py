"""Libraries: which versions are installed, whether they load, and which extras are missing."""

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from experiments.health import apart
from experiments.health.lines import INSTALL, Line, State, install
from input_pipeline.core import extras
from input_pipeline.core.errors import InputError

LOAD_SECONDS = 120.0
# By name in Python: the name of the release. As in pyproject.toml.
CORE = {
    "absl": "absl-py",
    "array_record": "array_record",
    "filelock": "filelock",
    "flax": "flax",
    "importlib_resources": "importlib_resources",
    "jax": "jax",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "optax": "optax",
    "orbax.checkpoint": "orbax-checkpoint",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
    "tqdm": "tqdm",
}
_WITHOUT_TFDS = (
    "; without it a run reads --arrays=FILE, which input_pipeline.export wrote elsewhere"
)


class Extra(NamedTuple):
    """What an extra is for, and its libraries: by name in Python, the name of the release."""

    purpose: str
    libraries: Mapping[str, str]


EXTRAS = {
    "preprocess": Extra(
        "to build data sets from databases",
        {
            "defusedxml": "defusedxml",
            "dlib": "dlib-bin",
            "face_recognition_models": "face_recognition_models",
            "mediapipe": "mediapipe",
            "cv2": "opencv-contrib-python",
            "openpyxl": "openpyxl",
            "pyarrow": "pyarrow",
            "skimage": "scikit-image",
            "tensorflow_metadata": "tensorflow-metadata",
            "xlrd": "xlrd",
        },
    ),
    "baselines": Extra("to compare with PyTorch", {"torch": "torch"}),
    "cuda12": Extra("for NVIDIA GPUs", {"jax_cuda12_plugin": "jax-cuda12-plugin"}),
    "notebook": Extra("for tables in Python (experiments.api)", {"pandas": "pandas"}),
    "cluster": Extra("for --cluster", {"pyarrow": "pyarrow", "ray": "ray"}),
    "tensorboard": Extra("for --tensorboard", {"tensorboardX": "tensorboardX"}),
    "test": Extra(
        "to run the tests",
        {
            "hypothesis": "hypothesis",
            "pandas": "pandas",
            "pytest": "pytest",
            "xdist": "pytest-xdist",
            "setuptools": "setuptools",
            "tensorboardX": "tensorboardX",
        },
    ),
    "dev": Extra(
        "to change the code", {"mypy": "mypy", "pre_commit": "pre-commit", "ruff": "ruff"}
    ),
}
# JAX is loaded by the trial. The models' package needs pkg_resources, and is only read; tools are
# commands.
_NOT_LOADED = (
    "jax",
    "face_recognition_models",
    *(EXTRAS["test"].libraries.keys() - EXTRAS["tensorboard"].libraries.keys()),
    *EXTRAS["dev"].libraries,
)


def check() -> list[Line]:
    """The dependencies, then each extra; what is installed is loaded, in a process of its own."""
    wanted = dict(CORE)
    for extra in EXTRAS.values():
        wanted |= extra.libraries
    here = {name: is_installed(name) for name in wanted}
    loaded = [name for name in wanted if here[name] and name not in _NOT_LOADED]
    broken = _broken(loaded)
    lines = [_core_line(name, here[name]) for name in CORE if name not in broken]
    lines += [
        _extra_line(name, extra, [part for part in extra.libraries if not here[part]])
        for name, extra in EXTRAS.items()
        if not broken.keys() & extra.libraries.keys()
    ]
    lines += [
        Line(
            State.FAILED,
            f"{wanted[name]} {version(wanted[name])} is installed but cannot be loaded ({fault})",
            _mend_of_broken(name),
        )
        for name, fault in broken.items()
    ]
    return lines


def is_installed(name: str) -> bool:
    """Whether Python finds a library, which is not loaded."""
    try:
        spec = importlib.util.find_spec(name)
    # A parent that is missing or broken, or a module without a spec.
    except (ImportError, ValueError, AttributeError):
        return False
    # A folder of the name without __init__.py is no library.
    return spec is not None and spec.origin is not None


def version(release: str) -> str:
    """The installed version of a release, "?" where its metadata are missing."""
    try:
        return importlib.metadata.version(release)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _core_line(name: str, is_here: bool) -> Line:
    release = CORE[name]
    if is_here:
        return Line(State.OK, f"{release} {version(release)}")
    without = _WITHOUT_TFDS if name == "tensorflow_datasets" else ""
    return Line(State.MISSING, f"{release} is not installed{without}", INSTALL)


def _extra_line(name: str, extra: Extra, missing: list[str]) -> Line:
    shown = f"extra {name}, {extra.purpose}"
    if not missing:
        versions = [f"{release} {version(release)}" for release in extra.libraries.values()]
        return Line(State.OK, f"{shown}: {', '.join(versions)}")
    releases = ", ".join(extra.libraries[part] for part in missing)
    mend = install(name)
    if name == "preprocess":
        # A Python that has no release of a library is named there.
        try:
            for part in missing:
                extras.folder_of(part)
        except InputError as error:
            mend = command_in(error)
    return Line(State.MISSING, f"{shown}: {releases} not installed", mend)


def command_in(error: InputError) -> str:
    """The command that extras tells of; all that it says where none helps on this Python."""
    return extras.INSTALL if extras.INSTALL in str(error) else str(error)


def _broken(names: list[str]) -> dict[str, str]:
    """Why libraries cannot be loaded, by name."""
    found: dict[str, str] = {}
    left = list(names)
    while left:
        outcome = apart.run(loading, left, seconds=LOAD_SECONDS)
        found |= {name: fault for name, fault in outcome.given if fault}
        # One that took the process along is named; the others are tried without it.
        done = len(outcome.given)
        if done < len(left):
            found[left[done]] = outcome.fault or "its process ended early"
        left = left[done + 1 :]
    return found


def loading(names: list[str]) -> Iterator[tuple[str, str | None]]:
    """Load libraries, one after the other: (name, why it cannot be or None)."""
    for name in names:
        try:
            importlib.import_module(name)
        # Anything may come from a library's import.
        except Exception as error:
            yield name, apart.said(error)
        else:
            yield name, None


def _mend_of_broken(name: str) -> str:
    owners = [extra for extra, parts in EXTRAS.items() if name in parts.libraries]
    command = install(owners[0]) if owners else INSTALL
    again = f"{command} --force-reinstall"
    if name == "cv2" and sys.platform == "linux":
        return f"{again}; on a server without a desktop install libGL and glib of the system"
    return again

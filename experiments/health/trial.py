"""JAX's devices, and whether a tiny network can be compiled and trained on them."""

import pathlib
import shutil
from collections.abc import Iterator

from ahmsa_jax import choices
from experiments.health import apart
from experiments.health.lines import INSTALL, Line, State, install
from experiments.run import jax_settings

# A slow machine takes some ten seconds; what takes so long hangs.
TRIAL_SECONDS = 180.0
_NVIDIA = pathlib.Path("/proc/driver/nvidia/version")


# In this order; what each is found to be follows its name.
STEPS = ("devices", "compile", "train")
_TRAINING = "experiments.health.tiny_training:compile_and_train"


def check() -> list[Line]:
    """A line for each step, in a process of its own; FAILED for the one that does not end.

    A warning where an NVIDIA driver is installed and JAX does not use it.
    """
    outcome = apart.run(steps, seconds=TRIAL_SECONDS)
    lines = [
        Line(State.OK, f"{name}: {found}")
        for name, found in zip(STEPS, outcome.given, strict=False)
    ]
    if lines and _has_nvidia_driver() and "cuda" not in lines[0].found:
        missed = "an NVIDIA driver is installed, and JAX does not use its GPUs"
        lines.insert(1, Line(State.WARNING, missed, install("cuda12")))
    done = len(outcome.given)
    if done < len(STEPS):
        fault = outcome.fault or "its process ended early"
        mend = "" if "JAX_" in fault else f"{INSTALL} --force-reinstall"
        lines.append(Line(State.FAILED, f"{STEPS[done]}: {fault}", mend))
    return lines


def steps() -> Iterator[str]:
    """What STEPS find, one after the other; raises whatever goes wrong."""
    # Not from the cache: compiling is what is tried.
    devices = jax_settings.local_devices("off")
    # Optimising takes most of a compiler's time, and ten seconds are what a user waits for.
    jax_settings.load().config.update("jax_disable_most_optimizations", True)
    kinds = sorted({f"{one.platform} ({one.device_kind})" for one in devices})
    yield f"{len(devices)} x {', '.join(kinds)}"
    # Loaded late: without JAX it cannot be.
    compile_and_train = choices.loaded(_TRAINING)
    yield from compile_and_train(devices)


def _has_nvidia_driver() -> bool:
    return _NVIDIA.exists() or shutil.which("nvidia-smi") is not None

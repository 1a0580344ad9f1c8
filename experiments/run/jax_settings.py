"""Loads JAX for a command: with settings that no shell variable changes, and its devices."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

from ahmsa_jax.config import ConfigError
from experiments.run import autotuning

# JAX reads each of these from a JAX_ variable too. They change numbers, random streams or what the
# networks may write; a result is to follow from the command's flags alone.
FIXED = {
    "jax_enable_x64": False,
    "jax_default_matmul_precision": None,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_transfer_guard": "allow",
    "jax_disable_jit": False,
}


def load() -> Any:
    """The module jax with FIXED in force; raises ConfigError where JAX refuses a variable."""
    # Else XLA asks a user to report a bug where a program takes two minutes to compile; what goes
    # wrong comes as an exception all the same.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import jax
    except ValueError as error:
        raise ConfigError(
            f"JAX cannot be loaded ({error}); correct or unset the JAX_ variables of the shell."
        ) from error
    for name, value in FIXED.items():
        jax.config.update(name, value)
    return jax


# For compiling where no GPU is: products go to the library, since trying programs for each of
# them takes a card.
ELSEWHERE_FLAGS = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false"


def load_for_cards_elsewhere() -> Any:
    """The module jax, set up to compile for a GPU that need not be here; computes on the CPU.

    To be called before JAX is loaded otherwise: the flags of a shell do not count.
    """
    os.environ["XLA_FLAGS"] = ELSEWHERE_FLAGS
    os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    return load()


def local_devices(
    programs: str | None,
    autotune_file: str | None = None,
    cpu_devices: Callable[[], int] | None = None,
) -> list[Any]:
    """JAX's devices here, at least one.

    Raises ConfigError where the platform asked for is not there.

    `programs` is --compile_cache: where compiled programs are kept. `cpu_devices` says as how many
    devices a CPU is to be seen, unless the shell does.
    """
    autotuning.use(autotune_file)
    try:
        jax = load()
        if cpu_devices is not None and not _shell_divides_cpu():
            # Too late where JAX has run before, as in a notebook: then it is what it was.
            with contextlib.suppress(RuntimeError):
                jax.config.update("jax_num_cpu_devices", cpu_devices())
        from experiments.run import compile_cache

        compile_cache.use(programs)
        return list(jax.local_devices())
    # JAX_PLATFORMS of blanks alone, and cuda without a CUDA plugin, end in an assertion.
    except (RuntimeError, AssertionError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"JAX finds no device to run on ({first}); check JAX_PLATFORMS, and install "
            "'ahmsa-jax[cuda12]' for a GPU."
        ) from error


def _shell_divides_cpu() -> bool:
    by_flag = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    return by_flag or "JAX_NUM_CPU_DEVICES" in os.environ

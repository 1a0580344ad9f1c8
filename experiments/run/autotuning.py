"""--autotune_file: what XLA's compiler for GPUs found by trying programs for each product.

Trying takes minutes for a whole training program. Written to a file, its results serve every later
start with the same kind of GPU and compiler.
"""

import os
import pathlib
import re

from ahmsa_jax.config import ConfigError

SUFFIX = ".textproto"


def use(file: str | None) -> None:
    """Have XLA read the file, or write it where there is none yet.

    To be called before JAX looks for its devices. Raises ConfigError where the file's name has
    another ending, or the file holds something else.
    """
    if file is None:
        return
    path = pathlib.Path(file).expanduser().absolute()
    if path.suffix != SUFFIX:
        raise ConfigError(f"--autotune_file={file} must end in {SUFFIX}.")
    # Flags of the shell count too; the last one of a name wins.
    flags = [os.environ.get("XLA_FLAGS", "")]
    try:
        if path.exists():
            _refuse_others(path, file)
            flags.append(f"--xla_gpu_load_autotune_results_from={path}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags.append(f"--xla_gpu_dump_autotune_results_to={path}")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--autotune_file={file} cannot be used ({error}).") from error
    os.environ["XLA_FLAGS"] = " ".join(flags).strip()


def _refuse_others(path: pathlib.Path, file: str) -> None:
    """XLA ends the process where the file is not what it wrote."""
    if not re.match(r"\s*version:\s*\d+", path.read_text(encoding="utf-8")):
        raise ConfigError(
            f"--autotune_file={file} holds no results of XLA's autotuning; name a file that it "
            "wrote, or one that does not exist yet."
        )

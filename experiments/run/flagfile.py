"""A run's flags as a file that --flagfile takes."""

from typing import Any

from ahmsa_jax.config import NetworkConfig, TrainConfig
from experiments.run.flags import Values
from experiments.run.recipes import setting_names


def as_flagfile(given: Values, network_config: NetworkConfig, train_config: TrainConfig) -> str:
    """The run's flags, one a line, usable with --flagfile; settings as they came to be."""
    current = {**vars(network_config), **vars(train_config)}
    names = setting_names()
    lines = [
        f"--{name}={_as_text(current[name])}" for name in names if name in current and name in given
    ]
    for module, owned in given.flags_by_module_dict().items():
        if not module.startswith(("input_pipeline", "experiments")):
            continue
        for flag in owned:
            if flag.value is None or flag.name in (*names, "workdir", "dry_run", "help"):
                continue
            if flag.name == "dataset" and given.arrays:
                continue
            lines.append(flag.serialize())
    return "".join(f"{line}\n" for line in sorted(lines) if line)


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)

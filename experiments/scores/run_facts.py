"""What a report says of how a run was made: command, date, device, versions, data."""

from collections.abc import Callable
from typing import Any

from experiments.scores.summary import Records
from input_pipeline.core.tables import Table

_UNKNOWN = "not recorded"


def facts_table(records: Records) -> Table:
    """Command, date, device, versions, commit and data; of several workdirs what each one says."""

    def each(value_of: Callable[[dict[str, Any]], Any]) -> str:
        values = [str(value_of(noted) or _UNKNOWN) for noted in records.surroundings]
        return "; ".join(dict.fromkeys(values)) or _UNKNOWN

    rows = [
        ("command", each(lambda one: one.get("command"))),
        ("started", each(lambda one: one.get("started"))),
        ("device", each(_devices)),
        ("versions", each(_versions)),
        ("commit", each(lambda one: one.get("commit"))),
        ("data set", f"{records.spec.dataset}/{records.spec.layout}"),
        ("data, content hash", records.spec.data_sha256 or _UNKNOWN),
        ("settings, hash", records.config_hash),
    ]
    return Table("Run", ("what", "value"), rows, pretend=records.pretend)


def _devices(noted: dict[str, Any]) -> str:
    devices = noted.get("devices")
    names = [str(name) for name in devices] if isinstance(devices, list) else []
    kinds = [(name, names.count(name)) for name in dict.fromkeys(names)]
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in kinds)


def _versions(noted: dict[str, Any]) -> str:
    found = {"ahmsa_jax": noted.get("ahmsa_jax"), "Python": noted.get("python")}
    packages = noted.get("packages")
    found |= packages if isinstance(packages, dict) else {}
    found["torch"] = noted.get("torch")
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)

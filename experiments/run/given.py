"""What a run is asked for: flags, or the arguments of a Python call, under one interface."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol


class Values(Protocol):
    """Settings by name: as attributes, and as entries that know whether the user gave them.

    absl's FlagValues is one.
    """

    def __contains__(self, name: str, /) -> bool: ...

    def __getitem__(self, name: str, /) -> Any: ...

    def __getattr__(self, name: str, /) -> Any: ...


class _Argument(NamedTuple):
    """One entry of Arguments, with what a flag has."""

    name: str
    value: Any
    default: Any
    present: bool

    def serialize(self) -> str:
        """The flag that says the same, empty for a switch that is off."""
        if isinstance(self.value, bool):
            return f"--{'' if self.value else 'no'}{self.name}"
        if isinstance(self.value, Iterable) and not isinstance(self.value, str):
            return f"--{self.name}={','.join(map(str, self.value))}"
        return f"--{self.name}={self.value}"


class Arguments:
    """Arguments of a Python call as Values: `usual` are the defaults, `given` what was said."""

    def __init__(self, usual: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        self._of_name = {
            name: _Argument(name, given.get(name, default), default, name in given)
            for name, default in usual.items()
        }

    def __contains__(self, name: str) -> bool:
        return name in self._of_name

    def __getitem__(self, name: str) -> _Argument:
        return self._of_name[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._of_name:
            raise AttributeError(name)
        return self._of_name[name].value

    def flags_by_module_dict(self) -> dict[str, list[_Argument]]:
        """As absl gives them, for the file of a run's flags."""
        return {"experiments": list(self._of_name.values())}

"""What runs here: this project's version and place, Python, the system, variables that matter."""

import sys

import ahmsa_jax
from ahmsa_jax import console
from experiments.health.lines import Line, State
from experiments.run import environment

_OLDEST = (3, 11)


def check() -> list[Line]:
    """Project, Python and system; a warning for each variable that changes how JAX computes."""
    here = environment.describe([])
    commit = here["commit"] or "not a checkout"
    lines = [
        Line(
            State.OK,
            f"ahmsa-jax {ahmsa_jax.__version__} ({commit}) in '{console.ROOT}', started as "
            f"{here['command'].split(' --')[0]}",
        ),
        _python_line(here["python"]),
        Line(State.OK, f"{here['platform']}, {here['processors']} processors"),
    ]
    lines += [
        Line(State.WARNING, f"the shell sets {name}={value}", f"where JAX fails: unset {name}")
        for name, value in here["variables"].items()
    ]
    return lines


def _python_line(version: str) -> Line:
    found = f"Python {version} in '{sys.prefix}'"
    if sys.version_info[:2] < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        return Line(State.FAILED, found, f"make an environment of Python {oldest} or later")
    return Line(State.OK, found)

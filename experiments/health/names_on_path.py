"""Whether a folder of the user's has the name of a package of this project."""

from ahmsa_jax import console
from experiments.health.lines import Line, State


def check() -> list[Line]:
    """A warning for folders that `python -m` started here takes for packages of this project."""
    shadowing = list(dict.fromkeys([*console.NOTICED, *console.shadowing()]))
    if not shadowing:
        names = " and ".join(console.NAMES)
        return [Line(State.OK, f"`python -m` finds {names} in '{console.ROOT}'")]
    found, _, mend = console.warning(shadowing).partition("; ")
    return [Line(State.WARNING, found, mend)]

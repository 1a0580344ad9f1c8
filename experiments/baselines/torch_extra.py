"""The baselines extra need not be installed: PyTorch is loaded where it is asked for."""

from types import ModuleType

from input_pipeline.core.errors import InputError

# Of files that hold a PyTorch state dict.
SUFFIXES = (".pth", ".pt")


def state_files() -> ModuleType:
    """The module that reads and writes state dicts; raises InputError without PyTorch."""
    try:
        from experiments.baselines import state_files
    except ImportError:
        raise InputError(
            "PyTorch is not installed; it comes with: python -m pip install 'ahmsa-jax[baselines]'"
        ) from None
    return state_files

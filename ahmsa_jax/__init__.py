"""AHMSA-Net in JAX/Flax, trained for many leave-one-subject-out folds at once."""

from typing import TYPE_CHECKING, Any

from ahmsa_jax import choices
from ahmsa_jax.config import ConfigError, TrainConfig
from ahmsa_jax.networks.ahmsa import ModelConfig

if TYPE_CHECKING:
    from ahmsa_jax.networks.modules.ahmsa import AHMSANet

__version__ = "0.1.0"
__all__ = ["AHMSANet", "ConfigError", "ModelConfig", "TrainConfig", "__version__"]


def __getattr__(name: str) -> Any:
    # The network brings JAX and Flax along; settings and help texts do without.
    if name == "AHMSANet":
        return choices.loaded("ahmsa_jax.networks.modules.ahmsa:AHMSANet")
    raise AttributeError(f"module 'ahmsa_jax' has no attribute {name!r}")

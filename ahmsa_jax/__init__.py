"""AHMSA-Net in JAX/Flax, trained for many leave-one-subject-out folds at once."""

from typing import TYPE_CHECKING, Any

from ahmsa_jax.config import ConfigError, ModelConfig, TrainConfig

if TYPE_CHECKING:
    from ahmsa_jax.networks.ahmsa import AHMSANet

__version__ = "0.1.0"
__all__ = ["AHMSANet", "ConfigError", "ModelConfig", "TrainConfig", "__version__"]


def __getattr__(name: str) -> Any:
    # The network brings JAX and Flax along; settings and help texts do without.
    if name == "AHMSANet":
        from ahmsa_jax.networks.ahmsa import AHMSANet

        return AHMSANet
    raise AttributeError(f"module 'ahmsa_jax' has no attribute {name!r}")

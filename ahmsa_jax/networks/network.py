"""What the program knows of a network: the value to write for a new one."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ahmsa_jax import choices
from ahmsa_jax.config import NetworkConfig

if TYPE_CHECKING:
    import flax.linen as nn
    from jax.typing import DTypeLike

# What a network takes that sees flow maps alone.
_MAPS = ("flow",)

# Names of the modules down to a parameter, then its own.
Path = tuple[str, ...]


def _nothing_frozen(path: Path, config: NetworkConfig) -> bool:
    return False


def _nothing_more(config: NetworkConfig) -> tuple[str, ...]:
    return ()


@dataclasses.dataclass(frozen=True)
class Network:
    """A network: its settings, its Flax module, and how it is trained unless flags say otherwise.

    The module has the fields `config` and `dtype` and is called as
    module(*inputs, real_B=..., train=...) with the arrays that `inputs_of` names; it returns
    float32 logits (B, K) and named intermediates. `real_B` marks the clips that are no padding;
    running statistics live in the collection "batch_stats", noise comes from the random stream
    "dropout".
    """

    name: str
    config: type[NetworkConfig]
    module: Any  # the module class, or "module:class" where loading it can wait
    layout: str  # of the maps, unless --layout says otherwise
    inputs: tuple[str, ...] = _MAPS
    # Inputs that some settings ask for besides.
    more_inputs: Callable[[Any], tuple[str, ...]] = _nothing_more
    # Whether the parameter at a path can never matter: it is kept out of the optimizer.
    is_frozen: Callable[[Path, Any], bool] = _nothing_frozen
    # Layers above the parameter at a path, for --layer_decay; None: the network does not count.
    layers_above: Callable[[Path, Any], int] | None = None
    # Multiply-adds of a clip's forward pass by part, and numbers kept for its backward pass;
    # None: taken from the compiler's count.
    products: Callable[[Any], dict[str, int]] | None = None
    activations: Callable[[Any], int] | None = None
    # Clips of a batch see each other, or noise is drawn for it: it cannot be spread over devices.
    batch_coupled: bool = False
    # Training settings that replace the defaults.
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    # Ways to run it as a whole; the first one counts where none is named.
    recipes: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def sees_maps(self) -> bool:
        """Whether it takes flow maps alone, unless settings ask for more."""
        return self.inputs == _MAPS

    def sees_maps_alone(self, config: NetworkConfig) -> bool:
        """Whether it takes flow maps alone with these settings."""
        return self.inputs_of(config) == _MAPS

    def inputs_of(self, config: NetworkConfig) -> tuple[str, ...]:
        """Names of the module's inputs with these settings, in order."""
        return (*self.inputs, *self.more_inputs(config))

    def build(self, config: NetworkConfig, dtype: "DTypeLike") -> "nn.Module":
        """The Flax module with these settings, computing in `dtype`."""
        return choices.loaded(self.module)(config, dtype)

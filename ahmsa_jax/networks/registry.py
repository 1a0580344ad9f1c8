"""The networks by the name after --model. A new one: settings, module, an entry here."""

from ahmsa_jax.config import NetworkConfig
from ahmsa_jax.networks import ahmsa, hsta, htnet, mfdan, small, ststnet
from ahmsa_jax.networks.network import Network

NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        *(ahmsa.NETWORK, htnet.NETWORK, ststnet.NETWORK, small.NETWORK),
        *(hsta.NETWORK, mfdan.NETWORK),
    )
}


def network_of(config: NetworkConfig) -> Network:
    """The network that these settings are of."""
    return next(network for network in NETWORKS.values() if network.config is type(config))

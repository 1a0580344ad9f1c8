"""What the published code of HTNet and STSTNet has in common, as settings and recipes."""

from typing import Any, Literal, get_args

from ahmsa_jax.config import Span, setting
from ahmsa_jax.networks.ahmsa import SCALE_HINT

ChannelOrder = Literal["uvs", "svu"]

# The papers and code agree in these.
TRAINING = {"learning_rate": 5e-5, "batch_size": 256, "epochs": 800}
# What the code does and the papers do not say: channels reversed by OpenCV, clips in one order in
# all epochs.
AS_PUBLISHED = {"channel_order": "svu", "shuffle": False}
AS_DESCRIBED = {"channel_order": "uvs", "shuffle": True}


def channel_order() -> Any:
    """The field of the order in which a network reads the maps' channels."""
    return setting(
        "svu",
        "Order in which the network reads the maps' channels: uvs is (u, v, strain), svu the "
        "reverse, which the published code feeds because it reads its maps with OpenCV.",
        choices=get_args(ChannelOrder),
    )


def input_scale() -> Any:
    """The field of the number by which maps are divided."""
    return setting(
        1.0,
        "Maps of 0..255 are divided by this before the network; the published code: 1.",
        span=Span(1e-6, 1e6),
        hint=SCALE_HINT,
    )

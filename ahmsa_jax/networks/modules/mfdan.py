"""MFDAN: window attention on a magnified face, driven by the flow, beside an encoder of the flow.

Cai et al., "MFDAN: Multi-level Flow-Driven Attention Network for Micro-Expression Recognition",
IEEE TCSVT 34(12), 2024, doi:10.1109/TCSVT.2024.3437481. The magnification is not MagNet.

The flow's own path is its patch embedding and mergings; no block changes it, and both layers of a
block see the same. Image and flow are in 0..1: grey values by 255, the flow by min-max per clip and
channel. The head is one linear layer over both encoders' features.

Letters in array names: B clips, F frames, S side of the stored pictures, P side of those that the
network sees, G side of a grid of tokens, D width, K classes.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ahmsa_jax.inputs import frames
from ahmsa_jax.networks.mfdan import LAYERS, MLP_RATIO, PATCH, WINDOW, MFDANConfig
from ahmsa_jax.networks.parts.flow_encoder import FlowEncoder
from ahmsa_jax.networks.parts.layers import LayerNorm, Linear, patches_from_maps
from ahmsa_jax.networks.parts.magnify import magnified
from ahmsa_jax.networks.parts.window_attention import (
    KERNEL,
    FlowDrivenAttention,
    FlowDrivenLayer,
    Merging,
)

Intermediates = dict[str, jax.Array]


class Embedding(nn.Module):
    """One path before and between the blocks: 4x4 patches, linear, LayerNorm; the mergings."""

    width: int
    mergings: int
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """Declare the layers; both grids are asked for apart."""
        self.proj = Linear(self.width, dtype=self.dtype, kernel_rule=KERNEL)
        self.norm = LayerNorm()
        self.merging = [Merging(self.dtype) for _ in range(self.mergings)]

    def __call__(self, picture_BxPxPxC: jax.Array) -> jax.Array:
        """Return the tokens of the first block, (B, G, G, D)."""
        side = picture_BxPxPxC.shape[1] // PATCH
        tokens = self.norm(self.proj(patches_from_maps(picture_BxPxPxC, PATCH)))
        return tokens.reshape(len(tokens), side, side, self.width)

    def merged(self, x_BxGxGxD: jax.Array) -> jax.Array:
        """Return the tokens of the second block."""
        for merging in self.merging:
            x_BxGxGxD = merging(x_BxGxGxD)
        return x_BxGxGxD


class MFDAN(nn.Module):
    """The network: flow (B, S, S, 3) and frames (B, 8, S, S, 3) -> logits (B, K), see frames.py.

    Intermediates are `image` (B, P, P, 3) in 0..1 and `block_<b>/layer_<l>/self` and `.../flow`
    (B, G, G): how much weight each token receives, 1 where all of its window receive alike. `dtype`
    is the compute type; parameters are float32.
    """

    config: MFDANConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        flow_BxSxSxC: jax.Array,
        frames_BxFxSxSxC: jax.Array,
        *,
        real_B: jax.Array | None = None,
        train: bool = False,
    ) -> tuple[jax.Array, Intermediates]:
        """Return float32 logits (B, classes) and the named intermediates.

        Clips do not see each other and noise is drawn for each: `real_B` changes nothing. Training
        needs the random stream "dropout" unless nothing is drawn.
        """
        config = self.config
        flow_BxPxPxC = frames.flow(flow_BxSxSxC, config.shape.pixels)
        image_BxPxPxC = self._image(flow_BxPxPxC, frames_BxFxSxSxC, train=train) / 255
        flow_BxPxPxC = frames.min_max(flow_BxPxPxC)
        encoder = FlowEncoder(
            config.encoder,
            config.shape.features,
            config.flow_dropout if train else 0.0,
            self.dtype,
            name="flow_encoder",
        )
        encoded_BxD = encoder(flow_BxPxPxC)
        path = (config.widths[0], config.merged, self.dtype)
        embed = flow_embed = Embedding(*path, name="embed")
        if not config.share_embedding:
            flow_embed = Embedding(*path, name="flow_embed")
        seen: Intermediates = {"image": image_BxPxPxC}
        z, flow = embed(image_BxPxPxC), flow_embed(flow_BxPxPxC)
        z = self._block(0, z, flow, seen, train=train)
        z, flow = embed.merged(z), flow_embed.merged(flow)
        z = self._block(1, z, flow, seen, train=train)
        image_BxD = jnp.mean(LayerNorm(name="norm")(z), axis=(1, 2))
        features = jnp.concatenate([image_BxD, encoded_BxD], axis=-1).astype(jnp.float32)
        return Linear(config.num_classes, kernel_rule=KERNEL, name="head")(features), seen

    def _image(
        self, flow_BxPxPxC: jax.Array, frames_BxFxSxSxC: jax.Array, *, train: bool
    ) -> jax.Array:
        """The face that is looked at, in grey values: the apex, or the onset moved further."""
        config = self.config
        place = frames.APEX if config.magnify == "none" else frames.ONSET
        shown = frames.pictures(frames_BxFxSxSxC[:, place : place + 1], config.shape.pixels)[:, 0]
        if config.magnify == "none":
            return shown
        batch = len(shown)
        alpha_B = jnp.full(batch, config.magnify_test)
        if train:
            alpha_B = self._drawn_alpha(batch)
        return magnified(shown, flow_BxPxPxC[..., :2], alpha_B)

    def _drawn_alpha(self, batch: int) -> jax.Array:
        """Another strength for each clip and step, uniform between the two settings."""
        key, config = self.make_rng("dropout"), self.config

        def draw(place: jax.Array) -> jax.Array:
            own_key = jax.random.fold_in(key, place)
            return jax.random.uniform(
                own_key, minval=config.magnify_low, maxval=config.magnify_high
            )

        return jax.vmap(draw)(jnp.arange(batch))

    def _block(
        self, block: int, z: jax.Array, flow: jax.Array, seen: Intermediates, *, train: bool
    ) -> jax.Array:
        """Two layers, the second with shifted windows: tokens and flow (B, G, G, D) each."""
        config = self.config
        kind: Any = nn.remat(FlowDrivenLayer) if config.remat else FlowDrivenLayer
        # A grid of one window is not shifted, as in Swin.
        shifts = (0, 0) if config.grids[block] == WINDOW else (0, WINDOW // 2)
        for layer, shift in zip(range(LAYERS), shifts, strict=True):
            attention = FlowDrivenAttention(
                config.shape.heads[block],
                config.tau,
                config.tau_floor,
                is_guided=config.flow_guidance == "on",
                dropkey=config.dropkey if train else 0.0,
                dtype=self.dtype,
                parent=None,
            )
            driven = kind(
                attention, WINDOW, shift, MLP_RATIO, self.dtype, name=f"block_{block}_layer_{layer}"
            )
            z, received = driven(z, flow)
            for name, weight_BxGxG in received.items():
                seen[f"block_{block}/layer_{layer}/{name}"] = weight_BxGxG
        return z

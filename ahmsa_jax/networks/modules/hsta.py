"""HSTA: two branches of space-time attention, over a clip's frames and over its onset and apex.

Hao et al., "Hierarchical Space-Time Attention for Micro-Expression Recognition", and its public
code (OceanSummerDay/HSTA_MER, bc5dc41). A parameter's path is its name in the code's state dict
with dots for the underscores before numbers: ("blocks_0", "blocks_1_0", "attn", "qkv", "kernel") is
blocks.0.blocks.1.0.attn.qkv.weight, transposed. Branch 0 is the special one, 1 the video.

What the paper's equations leave open is as in the code, with `usta=described` too: the embedding,
the MLPs of equations 8 and 11 (LayerNorm, GELU, linear), the last norms and the linear head, the
widths of the branches, and that all layers of equation 6 run (its first case would skip one).

Letters in array names: B clips, F frames, S side of the stored pictures, P side of those that the
network sees, T tokens (the class token first), D width, E width of the other branch, K classes.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ahmsa_jax.inputs import frames
from ahmsa_jax.networks.hsta import MLP_RATIO, SPECIAL, TUBELET, VIDEO, HSTAConfig
from ahmsa_jax.networks.initial import JointNormal
from ahmsa_jax.networks.parts.activations import gelu
from ahmsa_jax.networks.parts.layers import LayerNorm, Linear
from ahmsa_jax.networks.parts.space_time_attention import (
    EPS,
    CrossAttention,
    DescribedUstaLayer,
    UstaLayer,
    sinusoid,
    tubelets,
    with_dropout,
)

# Of ImageNet's pictures in 0..1, as the code normalises with.
MEAN_C, STD_C = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
BRANCHES = {SPECIAL: "special", VIDEO: "video"}
Intermediates = dict[str, jax.Array]
# Tokens of the branches, each (B, T, D).
Tokens = list[jax.Array]


class PatchEmbed(nn.Module):
    """Patches over time and space to vectors: the code's convolution, whose patches do not overlap.

    The kernel holds (frame, row, column, channel) in this order; it starts as PyTorch's Conv3d.
    """

    frames: int
    patch: int
    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, frames_BxFxPxPxC: jax.Array) -> jax.Array:
        """Return the embedded patches (B, N, D), by time, row and column."""
        patches = tubelets(frames_BxFxPxPxC, self.frames, self.patch)
        return Linear(self.width, dtype=self.dtype, name="proj")(patches)


class HstaModule(nn.Module):
    """One module: USTA layers of both branches, then CSTA between them (equation 14)."""

    config: HSTAConfig
    module: int
    train: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, z: Tokens) -> tuple[Tokens, Intermediates]:
        """Return the tokens of both branches and the class tokens' attention."""
        seen: Intermediates = {}
        attended = [self._usta(branch, z[branch], seen) for branch in BRANCHES]
        if self.config.csta == "off":
            return attended, seen
        # Both read what USTA gave, never each other's new class token.
        classes = [self._csta(branch, attended, seen) for branch in BRANCHES]
        joined = [
            jnp.concatenate([new_Bx1xD, old_BxTxD[:, 1:]], axis=1)
            for new_Bx1xD, old_BxTxD in zip(classes, attended, strict=True)
        ]
        return joined, seen

    def _usta(self, branch: int, z_BxTxD: jax.Array, seen: Intermediates) -> jax.Array:
        config, kernel = self.config, JointNormal(self.config.shape.deviation)
        for layer, drop_path in enumerate(config.drop_path_rates(branch, self.module)):
            name = f"blocks_{branch}_{layer}"
            kind: Any = DescribedUstaLayer if config.usta == "described" else UstaLayer
            if config.remat:
                kind = nn.remat(kind)
            if config.usta == "described":
                usta = kind(self.dtype, kernel, name=name)
            else:
                noise = (config.dropout, drop_path) if self.train else (0.0, 0.0)
                heads = config.shape.heads
                usta = kind(heads, MLP_RATIO, *noise, self.dtype, kernel, name=name)
            z_BxTxD, weight_BxHxT = usta(z_BxTxD)
            seen[f"module_{self.module}/{BRANCHES[branch]}/layer_{layer}/attention"] = weight_BxHxT
        return z_BxTxD

    def _csta(self, branch: int, z: Tokens, seen: Intermediates) -> jax.Array:
        """The new class token (B, 1, D) of a branch: equations 8 to 11, with no way round them."""
        config, own, other = self.config, z[branch], z[1 - branch]
        class_Bx1xE = self._mlp(own[:, :1], other.shape[-1], f"projs_{branch}")
        t_BxTxE = jnp.concatenate([class_Bx1xE, other[:, 1:]], axis=1)
        attention = CrossAttention(
            config.shape.heads,
            config.usta == "described",
            self.dtype,
            JointNormal(config.shape.deviation),
            name=f"fusion_{branch}",
        )
        added_Bx1xE, weight_BxHxT = attention(t_BxTxE)
        seen[f"module_{self.module}/{BRANCHES[branch]}/cross_attention"] = weight_BxHxT
        return self._mlp(class_Bx1xE + added_Bx1xE, own.shape[-1], f"revert_projs_{branch}")

    def _mlp(self, token_Bx1xD: jax.Array, width: int, name: str) -> jax.Array:
        normal = LayerNorm(EPS, name=f"{name}_0")(token_Bx1xD)
        kernel = JointNormal(self.config.shape.deviation)
        return Linear(width, dtype=self.dtype, kernel_rule=kernel, name=f"{name}_2")(gelu(normal))


class HSTA(nn.Module):
    """The network: frames (B, 8, S, S, 3) -> logits (B, K) and the class tokens' attention.

    With `special=flow` it takes the flow (B, S, S, 3) too, see inputs/frames.py for both; the flow
    is brought to 0..1 per clip and channel and then treated as a picture. Intermediates are
    `module_<m>/<branch>/layer_<l>/attention` and `module_<m>/<branch>/cross_attention`, both
    (B, H, T). `dtype` is the compute type; parameters are float32.
    """

    config: HSTAConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        frames_BxFxSxSxC: jax.Array,
        flow_BxSxSxC: jax.Array | None = None,
        *,
        real_B: jax.Array | None = None,
        train: bool = False,
    ) -> tuple[jax.Array, Intermediates]:
        """Return float32 logits (B, classes) and the named intermediates.

        Clips do not see each other and noise is drawn for each: `real_B` changes nothing. Training
        needs the random stream "dropout" unless both its rates are 0.
        """
        config = self.config
        shown = self._shown(frames_BxFxSxSxC, flow_BxSxSxC)
        z = [self._embedded(branch, shown[branch], train=train) for branch in BRANCHES]
        seen: Intermediates = {}
        for module in range(config.count):
            block = HstaModule(config, module, train, self.dtype, name=f"blocks_{module}")
            z, weights = block(z)
            seen |= weights
        classes = [
            LayerNorm(EPS, name=f"norm_{branch}")(z[branch][:, 0]).astype(jnp.float32)
            for branch in BRANCHES
        ]
        kernel = JointNormal(config.shape.deviation)
        head = Linear(config.num_classes, kernel_rule=kernel, name="head")
        return head(jnp.concatenate(classes, axis=-1)), seen

    def _shown(
        self, frames_BxFxSxSxC: jax.Array, flow_BxSxSxC: jax.Array | None
    ) -> tuple[jax.Array, jax.Array]:
        """What the special and the video branch see, normalised: (B, F, P, P, 3) each."""
        pixels = self.config.shape.pixels
        pictures = frames.pictures(frames_BxFxSxSxC, pixels) / 255
        video, special = pictures[:, : frames.UNIFORM], pictures[:, frames.UNIFORM :]
        if self.config.special == "flow":
            if flow_BxSxSxC is None:
                raise ValueError("HSTA with special='flow' takes the flow after the frames.")
            special = frames.min_max(frames.flow(flow_BxSxSxC, pixels))[:, None]
        return (special - MEAN_C) / STD_C, (video - MEAN_C) / STD_C

    def _embedded(self, branch: int, shown_BxFxPxPxC: jax.Array, *, train: bool) -> jax.Array:
        """The class token and the patches of a branch with their places: (B, T, D)."""
        config = self.config
        width, patch = config.shape.widths[branch], config.shape.patches[branch]
        depth = min(TUBELET, shown_BxFxPxPxC.shape[1])
        embed = PatchEmbed(depth, patch, width, self.dtype, name=f"patch_embed_{branch}")
        patches_BxNxD = embed(shown_BxFxPxPxC)
        token_D = self.param(f"cls_token_{branch}", JointNormal(0.02), (1, width))
        batch = len(patches_BxNxD)
        class_Bx1xD = jnp.broadcast_to(token_D.astype(self.dtype), (batch, 1, width))
        z_BxTxD = jnp.concatenate([class_Bx1xD, patches_BxNxD], axis=1)
        z_BxTxD = z_BxTxD + sinusoid(z_BxTxD.shape[1], width).astype(self.dtype)
        return with_dropout(self, z_BxTxD, config.dropout if train else 0.0)

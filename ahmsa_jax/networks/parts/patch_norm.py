"""The layer normalisation before a module, of the patches that its result will be added to."""

import dataclasses

import flax.linen as nn
import jax

from ahmsa_jax.networks.parts import norm_kernel, own_kernels
from ahmsa_jax.networks.parts.layers import Normalising, layer_norm
from ahmsa_jax.networks.parts.residual import Patches


class PatchNorm(Normalising):
    """LayerNorm of patches, which go on beside it as they are; parameters as LayerNorm's."""

    @nn.compact
    def __call__(self, patches: Patches) -> tuple[jax.Array, Patches]:
        """Return the normalised patches (B, T, D), and the patches."""
        width = patches.shape[-1]
        scale_D, shift_D = self.affine(width)
        if not own_kernels.are_used():
            return layer_norm(patches.read(), scale_D, shift_D, self.eps), patches
        normal_NxD, lacking_NxD = norm_kernel.normal_beside(
            patches.lacking_NxD, patches.bias_D, scale_D, shift_D, self.eps
        )
        patches = dataclasses.replace(patches, lacking_NxD=lacking_NxD)
        return normal_NxD.reshape(patches.shape), patches

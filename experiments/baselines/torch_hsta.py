"""HSTA in PyTorch, plain, from its public code and equations; needs the baselines extra.

Hao et al., "Hierarchical Space-Time Attention for Micro-Expression Recognition"; the code is
OceanSummerDay/HSTA_MER, bc5dc41, whose state dicts have the names used here: `blocks.M.blocks.B.L`
is USTA layer L of branch B (0 special, 1 video) in module M; `projs`, `fusion` and `revert_projs`
are that module's CSTA. With --usta=described the parts that the equations lack are absent, and
`qkv.weight`, `norm1` and `wq`, `wk`, `wv` stand for theirs.

Letters in array names: B clips, F frames, C channels, P side of the pictures, S side of the stored
ones, T tokens (the class token is number 0), D width of a branch, O width of the other one,
H heads, N queries, K keys, E width of a head.
"""

import torch
from torch import nn

from ahmsa_jax.networks.hsta import BRANCH_FRAMES, MLP_RATIO, SPECIAL, TUBELET, VIDEO, HSTAConfig
from experiments.baselines import torch_frames

_EPS = 1e-6
# ImageNet's channels in 0..1.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


def attended(
    query_BxNxD: torch.Tensor, key_BxKxD: torch.Tensor, value_BxKxD: torch.Tensor, heads: int
) -> torch.Tensor:
    """Scaled dot-product attention of so many heads: (B, N, D)."""
    split = [x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (query_BxNxD, key_BxKxD)]
    query_BxHxNxE, key_BxHxKxE = split
    value_BxHxKxE = value_BxKxD.unflatten(2, (heads, -1)).transpose(1, 2)
    scaled = query_BxHxNxE / query_BxHxNxE.shape[-1] ** 0.5
    weights_BxHxNxK = torch.softmax(scaled @ key_BxHxKxE.transpose(2, 3), dim=-1)
    return (weights_BxHxNxK @ value_BxHxKxE).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Attention of USTA: heads with biases of q and v and an output, or one head without these."""

    def __init__(self, width: int, heads: int, is_code: bool) -> None:
        super().__init__()
        self.heads, self.is_code = heads if is_code else 1, is_code
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        if is_code:
            self.q_bias = nn.Parameter(torch.zeros(width))
            self.v_bias = nn.Parameter(torch.zeros(width))
            self.proj = nn.Linear(width, width)

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Map (B, T, D) to the same shape."""
        query, key, value = self.qkv(x_BxTxD).chunk(3, dim=-1)
        if not self.is_code:
            return attended(query, key, value, 1)
        query, value = query + self.q_bias, value + self.v_bias
        return self.proj(attended(query, key, value, self.heads))


class FeedForward(nn.Module):
    """Two linear layers with an exact GELU between, each followed by dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)
        self.act, self.drop = nn.GELU(), nn.Dropout(dropout)

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Map (B, T, D) to the same shape."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x_BxTxD)))))


class DropPath(nn.Module):
    """In training the clips skip what a layer adds, by chance; the others add more for it."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Map (B, T, D) to the same shape."""
        if not self.training or not self.rate:
            return x_BxTxD
        kept = torch.rand(x_BxTxD.shape[0], 1, 1, device=x_BxTxD.device) >= self.rate
        return x_BxTxD * kept / (1 - self.rate)


class Usta(nn.Module):
    """A layer of unimodal attention: the code's (norm first) or that of equation 3 (norm last)."""

    def __init__(self, width: int, config: HSTAConfig, path_rate: float) -> None:
        super().__init__()
        self.is_code = config.usta == "published"
        self.norm1 = nn.LayerNorm(width, _EPS)
        self.attn = SelfAttention(width, config.shape.heads, self.is_code)
        if self.is_code:
            self.norm2 = nn.LayerNorm(width, _EPS)
            self.mlp = FeedForward(width, config.dropout)
        self.drop, self.drop_path = nn.Dropout(config.dropout), DropPath(path_rate)

    def forward(self, z_BxTxD: torch.Tensor) -> torch.Tensor:
        """Map (B, T, D) to the same shape."""
        if not self.is_code:
            return self.norm1(z_BxTxD + self.drop_path(self.drop(self.attn(z_BxTxD))))
        z_BxTxD = z_BxTxD + self.drop_path(self.drop(self.attn(self.norm1(z_BxTxD))))
        return z_BxTxD + self.drop_path(self.mlp(self.norm2(z_BxTxD)))


class CrossAttention(nn.Module):
    """Attention of CSTA: the first token asks all of them."""

    def __init__(self, width: int, heads: int, is_code: bool) -> None:
        super().__init__()
        self.heads = heads if is_code else 1
        self.wq, self.wk, self.wv = (nn.Linear(width, width, bias=is_code) for _ in range(3))
        self.proj = nn.Linear(width, width) if is_code else nn.Identity()

    def forward(self, x_BxTxD: torch.Tensor) -> torch.Tensor:
        """Map (B, T, D) to (B, 1, D)."""
        query = self.wq(x_BxTxD[:, :1])
        return self.proj(attended(query, self.wk(x_BxTxD), self.wv(x_BxTxD), self.heads))


class Fusion(nn.Module):
    """What a class token gathers from the other branch's tokens, equations 9 and 10."""

    def __init__(self, width: int, config: HSTAConfig) -> None:
        super().__init__()
        is_code = config.usta == "published"
        self.norm1 = nn.LayerNorm(width, _EPS) if is_code else nn.Identity()
        self.attn = CrossAttention(width, config.shape.heads, is_code)

    def forward(self, x_BxTxO: torch.Tensor) -> torch.Tensor:
        """Map (B, T, O), the token that asks in front, to (B, 1, O)."""
        return x_BxTxO[:, :1] + self.attn(self.norm1(x_BxTxO))


def _mlp(width: int, to: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width, _EPS), nn.GELU(), nn.Linear(width, to))


class Module(nn.Module):
    """USTA layers of both branches, then CSTA between them."""

    def __init__(self, config: HSTAConfig, number: int) -> None:
        super().__init__()
        widths = config.shape.widths
        self.has_csta = config.csta == "on"
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(Usta(width, config, rate) for rate in config.drop_path_rates(branch, number))
            )
            for branch, width in enumerate(widths)
        )
        if self.has_csta:
            pairs = (widths, widths[::-1])
            self.projs = nn.ModuleList(_mlp(own, other) for own, other in pairs)
            self.fusion = nn.ModuleList(Fusion(other, config) for _, other in pairs)
            self.revert_projs = nn.ModuleList(_mlp(other, own) for own, other in pairs)

    def forward(self, special: torch.Tensor, video: torch.Tensor) -> list[torch.Tensor]:
        """Map the tokens of both branches, (B, T, D) each, to the same shapes."""
        before = [block(z) for block, z in zip(self.blocks, (special, video), strict=True)]
        if not self.has_csta:
            return before
        after = []
        for branch in (SPECIAL, VIDEO):
            own, other = before[branch], before[1 - branch]
            asking_Bx1xO = self.projs[branch](own[:, :1])
            gathered_Bx1xO = self.fusion[branch](torch.cat([asking_Bx1xO, other[:, 1:]], dim=1))
            # In place of the old class token; the other tokens stay, equation 12.
            token_Bx1xD = self.revert_projs[branch](gathered_Bx1xO)
            after.append(torch.cat([token_Bx1xD, own[:, 1:]], dim=1))
        return after


class PatchEmbedding(nn.Module):
    """Patches over time, row and column as tokens in that order."""

    def __init__(self, width: int, frames: int, patch: int) -> None:
        super().__init__()
        window = (frames, patch, patch)
        self.proj = nn.Conv3d(3, width, window, stride=window)

    def forward(self, x_BxFxCxPxP: torch.Tensor) -> torch.Tensor:
        """Map (B, F, C, P, P) to (B, patches, D); pixels beyond whole patches are cut off."""
        return self.proj(x_BxFxCxPxP.transpose(1, 2)).flatten(2).transpose(1, 2)


def sinusoid(tokens: int, width: int) -> torch.Tensor:
    """Fixed places (T, D): sines in even channels, cosines in odd ones."""
    place_Tx1 = torch.arange(tokens, dtype=torch.float64)[:, None]
    channel_D = torch.arange(width)
    angle_TxD = place_Tx1 / 10000.0 ** (2 * (channel_D // 2) / width)
    return torch.where(channel_D % 2 == 0, angle_TxD.sin(), angle_TxD.cos()).float()


class TorchHSTA(nn.Module):
    """The network: frames (B, 8, S, S, 3) uint8 -> logits (B, K).

    Where the special branch sees the flow, flow_px (B, S, S, 3) float16 follows.
    """

    def __init__(self, config: HSTAConfig) -> None:
        super().__init__()
        self.config = config
        shape = config.shape
        depths_in_time = [TUBELET, TUBELET]
        if config.special == "flow":
            depths_in_time[SPECIAL] = 1
        self.patch_embed = nn.ModuleList(
            PatchEmbedding(*sizes)
            for sizes in zip(shape.widths, depths_in_time, shape.patches, strict=True)
        )
        self.cls_token = nn.ParameterList(torch.zeros(1, 1, width) for width in shape.widths)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Module(config, number) for number in range(config.count))
        self.norm = nn.ModuleList(nn.LayerNorm(width, _EPS) for width in shape.widths)
        self.head = nn.Linear(sum(shape.widths), config.num_classes)
        for branch in (SPECIAL, VIDEO):
            places = sinusoid(config.tokens[branch] + 1, shape.widths[branch])
            self.register_buffer(f"places_{branch}", places, persistent=False)
            nn.init.trunc_normal_(self.cls_token[branch], std=0.02)
        # Buffers, since nothing may come from the host while a GPU records the step.
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                # The code cuts at 2, beyond any draw.
                nn.init.normal_(module.weight, std=shape.deviation)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(
        self, frames_BxFxSxSxC: torch.Tensor, flow_BxSxSxC: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return logits (B, classes)."""
        side = self.config.shape.pixels
        pixels_BxFxCxPxP = self._normalised(torch_frames.pictures(frames_BxFxSxSxC, side) / 255)
        video = pixels_BxFxCxPxP[:, : BRANCH_FRAMES[VIDEO]]
        special = pixels_BxFxCxPxP[:, torch_frames.ONSET : torch_frames.APEX + 1]
        if self.config.special == "flow":
            if flow_BxSxSxC is None:
                raise TypeError("the special branch sees the flow, and none was given.")
            flow_BxCxPxP = torch_frames.min_max(torch_frames.flow(flow_BxSxSxC, side))
            # As one picture, like the frames.
            special = self._normalised(flow_BxCxPxP).unsqueeze(1)
        z = [self._tokens(branch, x) for branch, x in ((SPECIAL, special), (VIDEO, video))]
        for module in self.blocks:
            z = module(*z)
        read = [norm(tokens)[:, 0] for norm, tokens in zip(self.norm, z, strict=True)]
        return self.head(torch.cat(read, dim=1))

    def _tokens(self, branch: int, x_BxFxCxPxP: torch.Tensor) -> torch.Tensor:
        patches_BxTxD = self.patch_embed[branch](x_BxFxCxPxP)
        token_Bx1xD = self.cls_token[branch].expand(patches_BxTxD.shape[0], -1, -1)
        z_BxTxD = torch.cat([token_Bx1xD, patches_BxTxD], dim=1)
        return self.dropout(z_BxTxD + self.get_buffer(f"places_{branch}"))

    def _normalised(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures (..., C, P, P) in 0..1 by ImageNet's mean and deviation."""
        return (x - self.get_buffer("mean")) / self.get_buffer("deviation")

"""Losses of the PyTorch loops by the name after --loss, as training/losses.py has them.

Needs the baselines extra. Logits (B, K) and labels (B,) -> (B,); in nats, but for the squared
error. Letters in array names: B clips of a step, K classes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own name for it)

from ahmsa_jax.training.losses import FOCAL_GAMMA

LossOfClips = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(logits_BxK: torch.Tensor, label_B: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the softmax."""
    return F.cross_entropy(logits_BxK, label_B, reduction="none")


def focal(logits_BxK: torch.Tensor, label_B: torch.Tensor) -> torch.Tensor:
    """Focal loss -(1 - p)^2 log p of the true class's softmax p (doi:10.1109/ICCV.2017.324)."""
    log_p_B = -cross_entropy(logits_BxK, label_B)
    return -((-torch.expm1(log_p_B)) ** FOCAL_GAMMA) * log_p_B


def mse(logits_BxK: torch.Tensor, label_B: torch.Tensor) -> torch.Tensor:
    """Squared error of the logits against 1 for the true class and 0 for others, mean over them."""
    target_BxK = F.one_hot(label_B, logits_BxK.shape[-1]).to(logits_BxK.dtype)
    return (logits_BxK - target_BxK).square().mean(dim=-1)


# By the names of ahmsa_jax.choices.LOSSES.
LOSSES: dict[str, LossOfClips] = {"cross_entropy": cross_entropy, "focal": focal, "mse": mse}


def smoothed(
    loss: LossOfClips, logits_BxK: torch.Tensor, label_B: torch.Tensor, share: float
) -> torch.Tensor:
    """The loss with a share of the target spread over all classes, (B,)."""
    loss_B = loss(logits_BxK, label_B)
    if not share:
        return loss_B
    classes = range(logits_BxK.shape[-1])
    every_KxB = [loss(logits_BxK, torch.full_like(label_B, number)) for number in classes]
    return (1 - share) * loss_B + share * torch.stack(every_KxB).mean(dim=0)

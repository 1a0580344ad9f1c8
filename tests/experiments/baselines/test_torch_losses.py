"""The PyTorch loops' losses are the engine's."""

import math

import numpy as np
import pytest
import torch

from ahmsa_jax import choices
from experiments.baselines import torch_losses, torch_optimizers

LOGITS = np.random.default_rng(0).normal(0, 3, (9, 4)).astype(np.float32)
LABELS = np.arange(9) % 4


@pytest.mark.parametrize("name", sorted(torch_losses.LOSSES))
def test_a_loss_is_the_engines(name):
    theirs = torch_losses.LOSSES[name](torch.from_numpy(LOGITS), torch.from_numpy(LABELS))
    ours = choices.loaded(choices.LOSSES[name])(LOGITS, LABELS)
    np.testing.assert_allclose(theirs.numpy(), ours, rtol=2e-6, atol=1e-6)


def test_smoothing_is_torchs_own():
    given = torch.from_numpy(LOGITS), torch.from_numpy(LABELS)
    theirs = torch.nn.functional.cross_entropy(*given, reduction="none", label_smoothing=0.2)
    ours = torch_losses.smoothed(torch_losses.cross_entropy, *given, 0.2)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert torch.equal(
        torch_losses.smoothed(torch_losses.focal, *given, 0.0), torch_losses.focal(*given)
    )


def test_focal_by_hand():
    """p = 1/4: -(3/4)^2 ln 1/4."""
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0]])
    found = torch_losses.focal(logits, torch.tensor([2]))
    assert found.item() == pytest.approx(0.75**2 * math.log(4), rel=1e-6)


def test_the_tables_know_names_of_the_engines_alone():
    assert torch_losses.LOSSES.keys() <= choices.LOSSES.keys()
    assert torch_optimizers.OPTIMIZERS.keys() == choices.OPTIMIZERS.keys()

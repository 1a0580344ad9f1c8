"""The project's own recipe, --recipe=ours: declared before its first run here.

It was developed on the 442 published maps of MEGC 2019 that it is scored on, elsewhere; whatever
shows a figure of it says so (docs/choices.md).
"""

from typing import Any

NAME = "ours"
DEVELOPED_ON = "developed on these 442 clips"
# The data sets with those clips, and what a report of the recipe on them must say.
WARNED_DATASETS = ("megc2019", "casme2", "samm", "smic")
WARNING = (
    "the recipe ours was developed on the 442 clips of MEGC 2019, held-out ones included: this is "
    "no figure of clips unseen by its makers; --select=inner gives one of settings chosen without "
    "the held-out clips"
)
# What all networks share; each adds its own length of training.
SHARED: dict[str, Any] = {
    "layout": "whole",
    "input_norm": "robust",
    "augment": ("mirror", "affine", "mixup"),
    "test_mirror": True,
    "class_weights": True,
    "label_smoothing": 0.1,
    "optimizer": "adamw",
    "schedule": "onecycle",
}
AHMSA = SHARED | {
    "base_dim": 24,
    "fold_std": True,
    "pretrain": "synthetic",
    "epochs": 20,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "weight_decay": 0.1,
    "average_weights": 0.2,
}
# The peers keep their own widths, epochs, batches and learning rates; the decay is PyTorch's
# default of AdamW, since none was declared for them.
PEER = SHARED | {"weight_decay": 0.01, "channel_order": "uvs"}
SMALL = SHARED | {"weight_decay": 0.01}

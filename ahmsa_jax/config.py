"""Settings of networks and of the training: every field with meaning, range and source.

"Table 3" is that of the AHMSA-Net paper (Zhang et al., arXiv 2501.02539). What the paper leaves
open is marked so here and listed in the documentation. The command-line flags take default, help
text, range and choices from these fields.
"""

import dataclasses
from typing import Literal, get_args

from ahmsa_jax.choices import AUGMENTATIONS, LOSSES, OPTIMIZERS, SCHEDULES
from ahmsa_jax.inputs.input_norm import INPUT_NORMS

# What own settings are made of, under the name of this module too.
from ahmsa_jax.settings import ConfigError as ConfigError
from ahmsa_jax.settings import Settings as Settings
from ahmsa_jax.settings import Span as Span
from ahmsa_jax.settings import complete as complete
from ahmsa_jax.settings import from_plain as from_plain
from ahmsa_jax.settings import plain as plain
from ahmsa_jax.settings import setting as setting

Precision = Literal["float32", "tf32", "bfloat16"]
Order = Literal["data", "class", "class_021", "class_210"]
Sampling = Literal["shuffle", "balanced"]
Pretraining = Literal["none", "synthetic"]
# Settings of training, each of which switches kernels of our own on.
OWN_KERNELS = ("fused_update", "fused_layers")


@dataclasses.dataclass(frozen=True)
class NetworkConfig(Settings):
    """Base of every network's settings: what the data set gives."""

    image_size: int = setting(28, "Height and width of the maps in pixels.")
    channels: int = setting(3, "Channels of the maps: u, v and strain of each phase.", later=True)
    num_classes: int = setting(3, "Expression classes.", span=Span(2, 1000))


@dataclasses.dataclass(frozen=True)
class TrainConfig(Settings):
    """How one fold is trained; the defaults are the paper's Table 3 where it speaks."""

    epochs: int = setting(
        800, "Passes over the training clips of a fold (Table 3).", span=Span(1, 1_000_000)
    )
    batch_size: int = setting(
        256,
        "Clips per optimizer step; the last step of an epoch takes what is left (Table 3).",
        span=Span(1, 65_536),
    )
    learning_rate: float = setting(
        5e-6,
        "The optimizer's step size (Table 3); b1 0.9, b2 0.999, eps 1e-8, as PyTorch's defaults.",
        span=Span(0, 10, open_low=True),
    )
    shuffle: bool = setting(
        True,
        "A new order of the training clips in each epoch. Open in the paper; HTNet keeps one.",
    )
    order: Order = setting(
        "data",
        "Order of the clips in an epoch without shuffling: the data set's, or one class after the "
        "other by subject and clip name, as the public scripts of STSTNet (class_021: negative, "
        "surprise, positive) and HTNet (class_210) list their folders.",
        choices=get_args(Order),
        later=True,
    )
    precision: Precision = setting(
        "tf32",
        "float32; tf32 (on a GPU, else float32); bfloat16 (compute; master weights float32).",
        choices=get_args(Precision),
    )
    loss: str = setting(
        "cross_entropy",
        "Loss of a clip: cross_entropy (paper eq. 5); focal: less weight to clips that are "
        "classified well already (Lin et al. 2017, doi:10.1109/ICCV.2017.324; gamma 2); "
        "logit_adjusted: cross-entropy after the logarithm of each class's share of the training "
        "clips is added to its logit (Menon et al., arXiv 2007.07314); mse: squared error of the "
        "logits (HSTA eq. 16).",
        choices=LOSSES,
        later=True,
    )
    optimizer: str = setting(
        "adam",
        "adam (Table 3); adamw or adan with --weight_decay.",
        choices=OPTIMIZERS,
        later=True,
    )
    weight_decay: float = setting(
        0.0,
        "Decoupled weight decay of adamw and adan, per step times the learning rate; biases and "
        "other parameters of one dimension are left out.",
        span=Span(0, 10),
        later=True,
    )
    layer_decay: float = setting(
        1.0,
        "The learning rate of a layer times this once for each layer above it, for networks that "
        "count their layers (HSTA's code: 0.9); 1: the same for all.",
        span=Span(0, 1, open_low=True),
        later=True,
    )
    augment: tuple[str, ...] = setting(
        (),
        "Changes of the training clips in each step, separated by commas: mirror (with probability "
        "0.5), affine (shift, turn, zoom and gain), mixup (of two clips); none.",
        choices=AUGMENTATIONS,
        later=True,
    )
    fused_update: bool = setting(
        False,
        "Adam's update of large linear layers in the GPU kernel that makes their gradient: less "
        "memory traffic, not timed on a GPU yet. A CPU computes the same in the plain way.",
        later=True,
    )
    fused_layers: bool = setting(
        False,
        "Attention and the normalisations before modules of AHMSA-Net and HTNet in GPU kernels of "
        "our own: less memory traffic, not timed on a GPU yet. A CPU computes in the plain way.",
        later=True,
    )
    input_norm: str = setting(
        "none",
        "What is done to each clip's map first, from that clip alone: none (0..255); center: its "
        "channels' means subtracted; unit: then scaled to length 1; robust: medians subtracted, u "
        "against v balanced by the strain, scaled by the 90th percentile, large values damped.",
        choices=INPUT_NORMS,
        later=True,
    )
    fold_std: bool = setting(
        False,
        "Divide each channel by its standard deviation over the clips being trained on.",
        later=True,
    )
    augment_shift: float = setting(
        1.5, "Of affine: shift of each axis, at most so many pixels.", span=Span(0, 28), later=True
    )
    augment_zoom: float = setting(
        0.1, "Of affine: zoom, at most by this share.", span=Span(0, 0.9), later=True
    )
    augment_turn: float = setting(
        5.0, "Of affine: turn, at most so many degrees.", span=Span(0, 180), later=True
    )
    augment_gain: float = setting(
        0.2, "Of affine: motion times exp(x), x at most this.", span=Span(0, 3), later=True
    )
    mixup: float = setting(
        0.4,
        "Of mixup: both parameters of the Beta distribution of the share (Zhang et al., arXiv "
        "1710.09412).",
        span=Span(0, 100, open_low=True),
        later=True,
    )
    test_mirror: bool = setting(
        False, "Average the probabilities of a held-out clip and its mirror image.", later=True
    )
    class_weights: bool = setting(
        False,
        "Loss of a clip times n / (K n_c), from the clips being trained on: all classes count "
        "alike.",
        later=True,
    )
    label_smoothing: float = setting(
        0.0,
        "Share of the target spread over all classes (Szegedy et al., arXiv 1512.00567).",
        span=Span(0, 1, open_high=True),
        later=True,
    )
    schedule: str = setting(
        "constant",
        "Learning rate over the steps: constant; cosine (down to 0); onecycle (up for 15 % of the "
        "steps, then down; Smith and Topin, arXiv 1708.07120).",
        choices=SCHEDULES,
        later=True,
    )
    warmup_epochs: int = setting(
        0,
        "Epochs in which the learning rate rises to its full value; 0: none, and onecycle's own.",
        span=Span(0, 1_000_000),
        later=True,
    )
    sampling: Sampling = setting(
        "shuffle",
        "shuffle: each clip once an epoch; balanced: as many draws, a class by chance, then one of "
        "its clips.",
        choices=get_args(Sampling),
        later=True,
    )
    drop_last: bool = setting(
        False, "Leave out an epoch's last step where it is not a full batch.", later=True
    )
    ema: float = setting(
        0.0,
        "Decay, per step, of a running mean of the weights, which then predicts; 0: off.",
        span=Span(0, 1, open_high=True),
        later=True,
    )
    average_weights: float = setting(
        0.0,
        "Predict with the mean of the weights at the ends of this last share of the epochs "
        "(Izmailov et al., arXiv 1803.05407); 0: off.",
        span=Span(0, 1),
        later=True,
    )
    pretrain: Pretraining = setting(
        "none",
        "synthetic: start from weights that learned to name the action units of made-up motion, "
        "one start for all folds of a seed; needs maps of the layout whole.",
        choices=get_args(Pretraining),
        later=True,
    )
    pretrain_clips: int = setting(
        12_000, "Made-up clips of --pretrain.", span=Span(2, 1_000_000), later=True
    )
    pretrain_epochs: int = setting(6, "Passes over them.", span=Span(1, 1_000_000), later=True)

    def validate(self) -> None:
        """Raise ConfigError on the first setting that is out of range."""
        super().validate()
        if self.fused_update and self.optimizer != "adam":
            raise ConfigError(
                f"--fused_update is for --optimizer=adam; {self.optimizer} has no such kernel."
            )
        if self.fused_update and (self.schedule != "constant" or self.warmup_epochs):
            raise ConfigError(
                f"--fused_update is for a constant learning rate; --schedule={self.schedule} with "
                f"--warmup_epochs={self.warmup_epochs} has no such kernel."
            )
        if self.order != "data" and (self.shuffle or self.sampling != "shuffle"):
            raise ConfigError(
                f"--order={self.order} is for epochs that are not shuffled; give --noshuffle too, "
                "and no --sampling."
            )
        if self.weight_decay and self.optimizer == "adam":
            raise ConfigError(
                f"--weight_decay={self.weight_decay:g} is for --optimizer=adamw or adan; adam has "
                "none, as in the paper."
            )
        if self.ema and self.average_weights:
            raise ConfigError(
                f"--ema={self.ema:g} and --average_weights={self.average_weights:g} exclude each "
                "other: each says which mean of the weights predicts; leave one of them out."
            )
        if self.warmup_epochs >= self.epochs:
            raise ConfigError(
                f"--warmup_epochs={self.warmup_epochs} leaves none of the {self.epochs} --epochs "
                "at the full learning rate; give fewer."
            )

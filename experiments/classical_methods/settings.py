"""The settings of the classical methods: their flags, their hashes, and what --candidates vary."""

import dataclasses

from ahmsa_jax.config import Settings, Span, setting


@dataclasses.dataclass(frozen=True)
class MajorityConfig(Settings):
    """Nothing to set."""


@dataclasses.dataclass(frozen=True)
class SvmConfig(Settings):
    """Of every method that ends in a support vector machine."""

    svm_c: float = setting(
        1.0,
        "C of the support vector machine: how much a clip on the wrong side costs.",
        span=Span(0, 1e6, open_low=True),
    )


@dataclasses.dataclass(frozen=True)
class BiWoofConfig(SvmConfig):
    """Of Bi-WOOF."""

    woof_blocks: int = setting(8, "Blocks of bi_woof a side of the face.", span=Span(1, 56))
    woof_bins: int = setting(8, "Directions of bi_woof's histograms.", span=Span(2, 64))


@dataclasses.dataclass(frozen=True)
class MdmoConfig(SvmConfig):
    """Of MDMO."""

    mdmo_alpha: float = setting(
        0.9, "Weight of mdmo's magnitudes; its angles have 1 less this.", span=Span(0, 1)
    )


@dataclasses.dataclass(frozen=True)
class LbpTopConfig(SvmConfig):
    """Of LBP-TOP."""


@dataclasses.dataclass(frozen=True)
class KernelFlowConfig(Settings):
    """Of the kernel ridge regression."""

    kernel_ridge: float = setting(
        0.3,
        "Ridge of kernel_flow, before the division by a clip's class weight.",
        span=Span(0, 1e6, open_low=True),
    )
    kernel_scale: float = setting(
        1.0,
        "Width of kernel_flow's kernels, as a multiple of the median distance.",
        span=Span(0, 1e6, open_low=True),
        later=True,
    )

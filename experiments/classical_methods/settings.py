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
class KernelFlowConfig(Settings):
    """Of the kernel ridge regression."""

    kernel_ridge: float = setting(
        0.3,
        "Ridge of kernel_flow, before the division by a clip's class weight.",
        span=Span(0, 1e6, open_low=True),
    )

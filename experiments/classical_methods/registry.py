"""The methods by the name after --method. A new one: settings, two functions, an entry here."""

from typing import Any

from ahmsa_jax.config import Settings
from experiments.classical_methods.method import Method
from experiments.classical_methods.settings import (
    BiWoofConfig,
    KernelFlowConfig,
    LbpTopConfig,
    MajorityConfig,
    MdmoConfig,
    SvmConfig,
)

_ROOM = "experiments.classical_methods"
_OF_SVM = (
    "prob_ is the softmax of the machine's decisions, the largest at its prediction; it is not "
    "calibrated: --select_by=auc suits it, a log-loss does not"
)


def _method(name: str, config: type[Settings], **facts: Any) -> Method:
    """A method whose two functions lie in a module of its name."""
    module = f"{_ROOM}.{name}"
    return Method(name, config, f"{module}:describe", f"{module}:predict", **facts)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        _method("majority", MajorityConfig),
        _method("svm_maps", SvmConfig, remarks=(_OF_SVM,)),
        _method(
            "kernel_flow",
            KernelFlowConfig,
            mirrors=True,
            remarks=(
                "prob_ is the softmax of the regression's values at temperature 0.2; it is not "
                "calibrated: --select_by=auc suits it, a log-loss does not",
            ),
        ),
        _method(
            "bi_woof",
            BiWoofConfig,
            describes_by=("woof_blocks", "woof_bins"),
            remarks=(_OF_SVM,),
        ),
        _method(
            "mdmo",
            MdmoConfig,
            describes_by=("mdmo_alpha",),
            remarks=(
                "onset to apex alone: the mean over all frames, as the paper takes it, is left out",
                _OF_SVM,
            ),
        ),
        _method("lbp_top", LbpTopConfig, reads_frames=True, remarks=(_OF_SVM,)),
    )
}

"""Flags of the commands that load a data set, the synthetic one included."""

from absl import flags

# Commands that meet published maps alone take their flags from store_flags alone.
from input_pipeline.core.map_flags import form as form
from input_pipeline.core.map_flags import layout as layout
from input_pipeline.core.store_flags import data_dir as data_dir

_SYNTHETIC_SIZE = flags.DEFINE_enum(
    "synthetic_size",
    "small",
    ("small", "composite", "casme3"),
    "Size of the synthetic data set: small (24 subjects, 160 clips), composite (68, 442) or casme3 "
    "(88, 699).",
)


def synthetic_size() -> str:
    """The size of the synthetic data set, `small`, `composite` or `casme3`."""
    return _SYNTHETIC_SIZE.value

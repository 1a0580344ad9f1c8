"""The ablation studies by the word after --study: what each varies, and where it comes from.

"The paper" is AHMSA-Net's (Zhang et al., arXiv 2501.02539). A new study is an entry here.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from ahmsa_jax.config import ConfigError


@dataclasses.dataclass(frozen=True)
class Setting:
    """One run of a study: its name, which is its folder's too, and the flags that make it."""

    name: str
    flags: Mapping[str, str]

    @property
    def words(self) -> str:
        """The flags as a command line has them."""
        return " ".join(f"--{name}={value}" for name, value in self.flags.items())


@dataclasses.dataclass(frozen=True)
class Study:
    """Settings that differ in one thing.

    `origin` says whose study it is, and `said` what the paper says of its outcome, if it does.
    """

    name: str
    what: str
    origin: str
    settings: tuple[Setting, ...]
    said: str = ""
    papers_setting: str = ""  # the one of the paper's Table 3, where it is among them

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the flags that its settings give."""
        return tuple(dict.fromkeys(name for one in self.settings for name in one.flags))

    def chosen(self, names: Sequence[str] | None) -> tuple[Setting, ...]:
        """The settings named, in the study's order, or all; raises ConfigError on another name."""
        known = [one.name for one in self.settings]
        if names is None:
            return self.settings
        for name in names or [""]:
            if name not in known:
                raise ConfigError(
                    f"--settings names '{name}', which is no setting of --study={self.name}; "
                    f"allowed are {', '.join(known)}."
                )
        return tuple(one for one in self.settings if one.name in names)


def _by_blocks(*blocks: str) -> tuple[Setting, ...]:
    return tuple(Setting(one.replace(",", "-"), {"blocks": one}) for one in blocks)


_STUDIES = (
    Study(
        "batch_size",
        "batch size",
        "Repeats Figure 4 of the AHMSA-Net paper; the figure's batch sizes and values are not in "
        "its text, so these batch sizes are ours.",
        tuple(Setting(size, {"batch_size": size}) for size in ("32", "64", "128", "256", "512")),
        said="best at 256; worse below it on all databases; above it a marked fall on the "
        "composite and on CAS(ME)^3, a small gain on SMIC, and CASME II still rising",
        papers_setting="256",
    ),
    Study(
        "blocks",
        "attention blocks per level",
        "Repeats Figure 5 of the AHMSA-Net paper, with its configurations; the figure's values are "
        "not in its text.",
        _by_blocks("1,1,8", "2,2,8", "3,3,8", "4,4,8", "6,6,8", "8,8,8"),
        said="2,2,8 is the best on the composite and on CAS(ME)^3",
        papers_setting="2-2-8",
    ),
    Study(
        "scale_factor",
        "down-sampling factor between the levels",
        "Ours: section 4.5.2 of the AHMSA-Net paper names factor 3 and gives no result of it. Both "
        "factors read maps of 36x36 pixels here: three levels of 4x4, 2x2 and 1x1 patches of 9 "
        "pixels, and of 9x9, 3x3 and 1x1 patches of 4.",
        tuple(
            Setting(
                f"factor-{factor}",
                {
                    "scale_factor": factor,
                    "patch_size": patch,
                    "batch_size": "32",
                    "layout": "whole",
                    "map_size": "36",
                },
            )
            for factor, patch in (("2", "9"), ("3", "4"))
        ),
        said="with factor 3 the batch could not be larger than 32, so the factor was left at 2",
    ),
    Study(
        "modules",
        "modules of the network",
        "Ours: the AHMSA-Net paper has no such study. A module that is left out is absent with its "
        "LayerNorm and residual connection.",
        (
            # As by default: what a study varies is not for the command line.
            Setting("whole", {"blocks": "2,2,8"}),
            Setting("no-channel-attention", {"channel_attention": "false"}),
            Setting("no-spatial-attention", {"spatial_attention": "false"}),
            Setting("no-feed-forward", {"feed_forward": "false"}),
            Setting("average-pooling", {"pooling": "average"}),
            Setting("one-level", {"blocks": "12"}),
        ),
        papers_setting="whole",
    ),
)
STUDIES: dict[str, Study] = {study.name: study for study in _STUDIES}

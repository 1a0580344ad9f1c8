"""Clips of a user's own arrays: N maps of H rows, W columns and C channels."""

from collections.abc import Sequence

import numpy as np

from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.maps import sample


def clips_of(
    flow_NxHxWxC: np.ndarray,
    label_N: Sequence[int],
    subjects: Sequence[str],
    class_names: Sequence[str],
    *,
    dataset: str = "own",
    layout: str = "whole",
    names: Sequence[str] | None = None,
) -> Clips:
    """Clips of own arrays: whole faces' flow and strain (N, H, W, 3) in 0..255, square.

    label_N indexes the class names; subjects and, if given, clips are named by short ASCII texts.
    Raises InputError on what no data set may hold.
    """
    label_N = _labels(label_N)
    flow_NxHxWxC = np.asarray(flow_NxHxWxC)
    if len({len(flow_NxHxWxC), len(label_N), len(subjects)}) > 1:
        raise InputError(
            f"there are {len(flow_NxHxWxC)} maps, {len(label_N)} labels and {len(subjects)} "
            "subjects; give as many of each."
        )
    _check_maps(flow_NxHxWxC)
    if isinstance(class_names, str):
        raise InputError(f"class_names is the text {class_names!r:.40}; give a list of words.")
    given = names or [f"clip{place:05d}" for place in range(len(flow_NxHxWxC))]
    rows = zip(flow_NxHxWxC, label_N, subjects, given, strict=True)
    made = [
        sample.MapSample(dataset, str(subject), str(name), label, map_HxWxC)
        for map_HxWxC, label, subject, name in rows
    ]
    return sample.to_clips(
        made,
        where="the arrays",
        dataset=dataset,
        layout=layout,
        provenance={"source": "arrays of a Python call"},
        class_names=tuple(class_names),
    )


def _labels(label_N: Sequence[int]) -> list[int]:
    try:
        found = [int(label) for label in label_N]
    except (TypeError, ValueError):
        raise InputError(
            f"label_N is {label_N!r:.40}; needed are whole numbers, indices into class_names."
        ) from None
    if any(number != label for number, label in zip(found, label_N, strict=True)):
        raise InputError("label_N holds fractions; needed are indices into class_names.")
    return found


def _check_maps(flow_NxHxWxC: np.ndarray) -> None:
    is_square = flow_NxHxWxC.ndim == 4 and flow_NxHxWxC.shape[1] == flow_NxHxWxC.shape[2]
    if not is_square or flow_NxHxWxC.dtype.kind not in "iuf":
        raise InputError(
            f"the maps are {flow_NxHxWxC.dtype} of shape {flow_NxHxWxC.shape}; needed are numbers "
            "of shape (N, H, H, 3), such as (N, 28, 28, 3)."
        )
    # Zeros are maps too, of clips that do not move.
    if flow_NxHxWxC.size and 0 < flow_NxHxWxC.max() <= 1:
        raise InputError(
            f"the largest value of all maps is {flow_NxHxWxC.max():.4g}; maps lie in 0..255, with "
            "127.5 where nothing moves; multiply those in 0..1 by 255."
        )

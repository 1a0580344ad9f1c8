"""Reads published optical-flow maps in either form in which they are passed on."""

import os
import pathlib

from input_pipeline.core import progress_lines
from input_pipeline.core.clips import CLASS_NAMES, Clips
from input_pipeline.core.errors import InputError
from input_pipeline.maps import from_folds, from_table, sample


def read_maps(source: pathlib.Path, dataset: str, layout: str) -> Clips:
    """The published maps of a folder in either form; raises InputError on any fault in it."""
    if not source.is_dir():
        raise InputError(f"the source folder '{source}' does not exist; check --source.")
    if os.path.lexists(source / from_table.TABLE_NAME):
        form, (samples, class_names) = "table", from_table.read_table(source, dataset)
    elif from_folds.is_split(source):
        form, samples = "pre-split", from_folds.read_split(source, dataset)
        class_names = CLASS_NAMES
    else:
        raise InputError(
            f"'{source}' holds no published maps: neither a table {from_table.TABLE_NAME} nor "
            "folders of the pre-split form <subject>/u_train and <subject>/u_test were found; "
            "check --source."
        )
    sample.check_unshared(samples)
    has_landmarks = samples[0].landmarks_5x2 is not None
    provenance = {
        "source": f"published maps, {form} form",
        "landmarks": "from the table's columns" if has_landmarks else "mean positions",
        "values": "as published, channels (u, v, strain)",
    }
    return sample.to_clips(
        progress_lines.over(samples, "regions"),
        where="the source folder",
        dataset=dataset,
        layout=layout,
        provenance=provenance,
        class_names=class_names,
    )

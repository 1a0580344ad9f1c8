"""Reads published optical-flow maps in either form in which they are passed on."""

import os
import pathlib

from input_pipeline.clips import Clips
from input_pipeline.errors import InputError


def read_maps(source: pathlib.Path, dataset: str, layout: str) -> Clips:
    """The published maps of a folder in either form; raises InputError on any fault in it."""
    # These load NumPy's slower parts, which --help has no use for.
    from input_pipeline import map_sample, map_split, map_table

    if not source.is_dir():
        raise InputError(f"the source folder '{source}' does not exist; check --source.")
    if os.path.lexists(source / map_table.TABLE_NAME):
        form, samples = "table", map_table.read_table(source, dataset)
    elif map_split.is_split(source):
        form, samples = "pre-split", map_split.read_split(source, dataset)
    else:
        raise InputError(
            f"'{source}' holds no published maps: neither a table {map_table.TABLE_NAME} nor "
            "folders of the pre-split form <subject>/u_train and <subject>/u_test were found; "
            "check --source."
        )
    map_sample.check_unshared(samples)
    has_landmarks = samples[0].landmarks_5x2 is not None
    provenance = {
        "source": f"published maps, {form} form",
        "landmarks": "from the table's columns" if has_landmarks else "mean positions",
        "values": "as published, channels (u, v, strain)",
    }
    return map_sample.to_clips(samples, dataset, layout, provenance)

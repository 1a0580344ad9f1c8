"""Imports published 28x28 optical-flow maps as a data set for experiments.loso."""

import collections
import pathlib

from absl import flags

from input_pipeline.core import command, store_flags, tasks
from input_pipeline.core.clips import Clips, is_data_set_name
from input_pipeline.core.errors import InputError
from input_pipeline.databases.registry import STORED_DATASETS

# Published maps are of the three classes.
_NAMES = [name for name in STORED_DATASETS if tasks.default_name(name) == "3"]
flags.DEFINE_string(
    "source", None, "Folder with samples.csv and its maps, or with one folder per fold."
)
flags.DEFINE_string(
    "dataset",
    None,
    f"Data set to write: {', '.join(_NAMES)}, or a name of your own (letters, digits, _).",
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace a stored data set that holds other maps."
)
# Clips, subjects, and clips per class of the composite (See et al., MEGC 2019).
_MEGC2019_COUNTS = (442, 68, (250, 109, 83))


def _summary(clips: Clips) -> list[str]:
    per_class = [int((clips.label_N == label).sum()) for label in range(len(clips.class_names))]
    subjects = len(set(clips.subject_key_N))
    databases = sorted(collections.Counter(clips.database_N.tolist()).items())
    whole = clips.flow_whole_NxHxWxC
    constant = int((whole.max(axis=(1, 2)) == whole.min(axis=(1, 2))).sum())
    named = zip(clips.class_names, per_class, strict=True)
    lines = [
        f"{len(clips)} clips of {subjects} subjects",
        "per class: " + ", ".join(f"{name} {count}" for name, count in named),
        "per database: " + ", ".join(f"{name} {count}" for name, count in databases),
        f"source: {clips.provenance['source']}",
        f"landmarks: {clips.provenance['landmarks']}",
        f"constant channels: {constant} of {len(clips) * whole.shape[-1]}, left as published",
    ]
    counts = (len(clips), subjects, tuple(per_class))
    if clips.dataset == "megc2019" and counts != _MEGC2019_COUNTS:
        expected, expected_subjects, expected_per_class = _MEGC2019_COUNTS
        lines.append(
            f"NOTE: MEGC 2019 has {expected} clips of {expected_subjects} subjects, per class "
            f"{'/'.join(map(str, expected_per_class))}; these maps deviate, so their scores do "
            "not compare with published ones."
        )
    return lines


def main() -> int:
    """Import the maps that the flags name; returns the exit status."""
    source, dataset = command.required(source="DIR", dataset="NAME")
    # These load NumPy's slower parts, which --help has no use for.
    from input_pipeline.maps import published

    reserved = {"synthetic", *STORED_DATASETS} - {*_NAMES}
    if not is_data_set_name(dataset) or dataset in reserved:
        raise InputError(
            f"--dataset={dataset} cannot be imported; allowed are "
            f"{', '.join(_NAMES)}, or a name of your own of at most 64 letters, "
            "digits and _."
        )
    data_dir = store_flags.data_dir()
    clips = published.read_maps(pathlib.Path(source).expanduser(), dataset, store_flags.cut())
    print("\n".join(_summary(clips)))

    # Loading TFDS takes most of a second; faults in the source show before that.
    from input_pipeline.reports import pages
    from input_pipeline.storage import tfds_builder

    written = tfds_builder.write_data_set(clips, data_dir, overwrite=_OVERWRITE.value)
    state = "written to" if written.is_new else "already there with the same content, left as is:"
    print(f"data set {clips.dataset}/{clips.layout} {state} {written.path}")
    print(f"content hash {clips.content_hash()[:12]}")
    reports = data_dir / clips.dataset / "reports" / clips.layout
    if written.is_new or not reports.exists():
        written_pages = pages.write_pages(clips, reports)
        print(f"contact sheet: {len(written_pages)} pages from {written_pages[0]}")
    return 0


if __name__ == "__main__":
    command.run(main, name="input_pipeline.import_maps", purpose=__doc__)

"""The TensorFlow Datasets side: a builder class for each data set, one config per layout.

Written as array_record, so that neither writing nor reading needs TensorFlow. Importing this
module loads TensorFlow Datasets; import it where it is used.
"""

import contextlib
import errno
import importlib.metadata
import io
import json
import os
import pathlib
import types
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from input_pipeline.core import face_frames, tasks
from input_pipeline.core.clips import (
    CLASS_NAMES,
    LABEL_COLUMNS,
    Clips,
    sorted_and_checked,
)
from input_pipeline.core.errors import InputError
from input_pipeline.core.files import require_free_space, write_whole
from input_pipeline.core.map_form import FORMS
from input_pipeline.databases.registry import DATA_SETS
from input_pipeline.maps.layouts import LANDMARKS, MEAN_LANDMARKS_5x2
from input_pipeline.storage import loader, tfds_folder

SPLIT = "clips"
# Keys and quality features of a clip, and a margin for the container.
_BYTES_BESIDE_MAPS = 2048
_BYTES_FIXED = 1 << 20
_UNKNOWN = -1


class Written(NamedTuple):
    """Where a data set lies, and whether this call wrote it (False: the same was there)."""

    path: pathlib.Path
    is_new: bool


class _FlowMaps(tfds.core.GeneratorBasedBuilder):
    """Region-flow maps of micro-expression clips; subclasses name the data set."""

    VERSION = tfds.core.Version(tfds_folder.VERSION)
    BUILDER_CONFIGS: ClassVar[list] = [
        tfds.core.BuilderConfig(name=layout, description=f"Region layout {layout!r}.")
        for layout in FORMS
    ]

    def __init__(self, *, clips: Clips | None = None, **kwargs: Any):
        self._clips = clips
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        class_names = self._clips.class_names if self._clips else CLASS_NAMES
        return tfds.core.DatasetInfo(
            builder=self,
            description=self._description(),
            features=tfds.features.FeaturesDict(
                {
                    **self._pictures(),
                    # -1 where a clip has none of the classes, as TFDS allows.
                    "label": tfds.features.ClassLabel(names=class_names),
                    "database": tfds.features.Text(),
                    "subject": tfds.features.Text(),
                    "clip": tfds.features.Text(),
                    "emotion": tfds.features.Text(),
                    "label7": tfds.features.Scalar(np.int64),
                    "objective_class": tfds.features.Scalar(np.int64),
                    "landmarks": tfds.features.Tensor(shape=(len(LANDMARKS), 2), dtype=np.float32),
                    "constant_channels": tfds.features.Scalar(np.int64),
                    "flow_max": tfds.features.Scalar(np.float32),
                    "strain_mean": tfds.features.Scalar(np.float32),
                    "detector_score": tfds.features.Scalar(np.float32),
                }
            ),
            # The order of the records is ours: sorted by key.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(_metadata(self._clips)),
        )

    def _description(self) -> str:
        side, _, channels = FORMS[self.builder_config.name].shape
        offset = ", and between apex and offset" if channels > 3 else ""
        what = "maps of optical flow and optical strain between onset and apex"
        return f"{side}x{side} {what}{offset}."

    def _pictures(self) -> dict[str, Any]:
        shape = FORMS[self.builder_config.name].shape
        map_feature = tfds.features.Tensor(shape=shape, dtype=np.float32)
        return {"flow": map_feature, "flow_whole": map_feature}

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager
        if self._clips is None:
            raise InputError(
                f"the data set {self.name} is not built by TensorFlow Datasets itself; build it "
                "with python -m input_pipeline.import_maps or python -m input_pipeline.build."
            )
        return {SPLIT: self._generate_examples(self._clips)}

    def _generate_examples(self, clips: Clips) -> Iterator[tuple[int, dict[str, Any]]]:
        columns = clips.columns | extras_with_defaults(clips) | clips.faces
        columns = {name: column for name, column in columns.items() if name in self.info.features}
        for index in range(len(clips)):
            yield index, {name: column[index] for name, column in columns.items()}


class _FaceFrames(_FlowMaps):
    """Frames and flow of micro-expression clips; subclasses name the data set."""

    BUILDER_CONFIGS: ClassVar[list] = [
        tfds.core.BuilderConfig(name=face_frames.LAYOUT, description="Aligned frames and flow.")
    ]

    def _description(self) -> str:
        return (
            "Eight aligned frames (six in equal steps, onset, apex) and the flow from onset to "
            f"apex in pixels; {face_frames.LICENCE}."
        )

    def _pictures(self) -> dict[str, Any]:
        # As bytes: number by number, as TFDS stores tensors otherwise, a build took half as long
        # again.
        as_bytes = tfds.features.Encoding.BYTES
        return {
            name: tfds.features.Tensor(shape=shape, dtype=np.dtype(kind), encoding=as_bytes)
            for name, (shape, kind) in face_frames.COLUMNS.items()
        }


def _new_builder(dataset: str, doc: str, *, registered: bool, layout: str = "") -> type[_FlowMaps]:
    name = tfds_folder.folder_name(dataset, layout)
    base = _FaceFrames if layout == face_frames.LAYOUT else _FlowMaps
    body = {"name": name, "__module__": __name__, "__doc__": doc}
    options = {"skip_registration": not registered}
    return types.new_class(name, (base,), options, lambda space: space.update(body))


_BUILDERS = {
    tfds_folder.folder_name(name, layout): _new_builder(
        name, f"{one.publication}, doi:{one.doi}.", registered=True, layout=layout
    )
    for name, one in DATA_SETS.items()
    for layout in ("", face_frames.LAYOUT)
}


def _metadata(clips: Clips | None) -> dict[str, Any]:
    if clips is None:
        return {}
    packages = ("numpy", "tensorflow-datasets", "array_record")
    return {
        "content_hash": tasks.selected(clips).content_hash(),
        "whole_hash": clips.whole_hash(),
        "class_names": list(clips.class_names),
        "every_clip": clips.every_clip,
        "provenance": dict(clips.provenance),
        "pretend": clips.pretend,
        "versions": {package: importlib.metadata.version(package) for package in packages},
    }


def extras_with_defaults(clips: Clips) -> dict[str, np.ndarray]:
    """Every further column of a record, computed or marked unknown where the clips lack it.

    Unknown classes and unmeasured figures are -1, an unknown emotion is empty, landmarks (in
    pixels of a 28-pixel face) are the mean positions. strain_mean is the mean of the strain
    channel of the whole face, 0..255.
    """
    count = len(clips)
    whole = clips.flow_whole_NxHxWxC
    unmeasured_N = np.full(count, _UNKNOWN, np.float32)
    is_constant_NxC = whole.max(axis=(1, 2)) == whole.min(axis=(1, 2))
    defaults = {
        **{name: np.full(count, unknown) for name, unknown in LABEL_COLUMNS.items()},
        "landmarks": np.broadcast_to(MEAN_LANDMARKS_5x2, (count, *MEAN_LANDMARKS_5x2.shape)),
        "constant_channels": is_constant_NxC.sum(axis=1).astype(np.int64),
        "flow_max": unmeasured_N,
        "strain_mean": whole[..., 2].mean(axis=(1, 2), dtype=np.float64).astype(np.float32),
        "detector_score": unmeasured_N,
    }
    return {name: clips.extras.get(name, default) for name, default in defaults.items()}


def write_data_set(clips: Clips, data_dir: pathlib.Path, *, overwrite: bool = False) -> Written:
    """Store the clips as `<dataset>/<layout>:1.0.0` below data_dir; all of it or nothing.

    The clips are checked and sorted first. A data set with the same hash over all clips is left as
    it is, but for the mark of pretend data where it lacks it; another one, or one with damaged
    records, is refused with InputError unless `overwrite`, and then replaced only once the new one
    is whole. Raises OSError, with path and bytes, where the disk does not suffice.
    """
    clips = sorted_and_checked(clips, where=f"the data set {clips.dataset}", stored=True)
    path = tfds_folder.dataset_path(data_dir, clips.dataset, clips.layout)
    with tfds_folder.build_lock(path):
        if path.exists() and not overwrite:
            metadata = tfds_folder.stored_metadata(path)
            if _is_same(metadata, clips):
                # Raises where records were damaged since: "already there" must be true of them.
                stored = loader.every_clip(clips.dataset, clips.layout, data_dir)
                if clips.pretend and not stored.pretend:
                    # Written before data sets carried the mark; its records stay as they are.
                    write_whole(path / "metadata.json", json.dumps(metadata | {"pretend": True}))
                return Written(path, is_new=False)
            raise InputError(
                f"'{path}' already holds another version of {clips.dataset} (content hash "
                f"{_shown(metadata)}, now {_shown(_metadata(clips))}); give --overwrite to "
                "replace it, or another --data_dir."
            )
        pictures = clips.faces or {"flow": clips.flow_NxHxWxC, "whole": clips.flow_whole_NxHxWxC}
        large = sum(column.nbytes for column in pictures.values())
        needed = _BYTES_FIXED + large + _BYTES_BESIDE_MAPS * len(clips)
        require_free_space(path.parent, needed)
        with tfds_folder.staging_folder(path) as staging:
            finished = _build(clips, staging, needed)
            tfds_folder.publish(finished, path)
    return Written(path, is_new=True)


def _is_same(metadata: dict[str, Any], clips: Clips) -> bool:
    """Whether a data set holds these clips, and no fewer."""
    if "whole_hash" in metadata or clips.every_clip:
        return metadata.get("whole_hash") == clips.whole_hash()
    return metadata.get("content_hash") == clips.content_hash()


def _shown(metadata: dict[str, Any]) -> str:
    """The hash of a data set's own classes, and whether it holds them alone."""
    alone = "" if metadata.get("every_clip") else " of its classes' clips alone"
    return str(metadata.get("content_hash"))[:12] + alone


def _build(clips: Clips, staging: pathlib.Path, needed: int) -> pathlib.Path:
    # Its bar would be gone within the second that writing takes.
    tfds.disable_progress_bar()
    # One's own is not registered: TFDS may have a data set of its name itself.
    name, layout = clips.dataset, clips.layout
    known = _BUILDERS.get(tfds_folder.folder_name(name, layout))
    new = known or _new_builder(name, "Own maps.", registered=False, layout=layout)
    builder = new(clips=clips, data_dir=staging, config=layout, file_format="array_record")
    try:
        # It prints "downloading" and the staging folder, which is not where the data set will be.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    except (OSError, RuntimeError) as error:
        raise _named_disk_error(error, staging.parent, needed) from error
    return pathlib.Path(builder.data_path)


def _named_disk_error(error: Exception, folder: pathlib.Path, needed: int) -> Exception:
    """The error with folder and bytes; array_record reports a full disk as a RuntimeError."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            reason = f"{os.strerror(number)}, about {needed} bytes are needed"
            return OSError(number, reason, os.fspath(folder))
    return error

"""The clips of one data set as plain NumPy arrays: what every reader returns and training takes.

Letters used in array names: N clips, H rows, W columns, C flow channels.
"""

import dataclasses
import hashlib
import re
from typing import Any

import numpy as np

from input_pipeline.core import face_frames, identifiers
from input_pipeline.core.errors import InputError, at
from input_pipeline.core.map_form import FLOW_CHANNELS, FORMS

# The classes of the 3-class protocol, in label order (MEGC 2019 composite).
CLASS_NAMES = ("negative", "positive", "surprise")
# Landmarks are in pixels of a face of this side, whatever the maps' own.
MAP_SIZE = 28
# The columns that every data set stores, with the fields of Clips that hold them.
COLUMNS = {
    "flow": "flow_NxHxWxC",
    "flow_whole": "flow_whole_NxHxWxC",
    "label": "label_N",
    "database": "database_N",
    "subject": "subject_N",
    "clip": "clip_N",
}
# Classes of a data set.
MOST_CLASSES = 20
# Further label columns of stored clips, each with its value where it is unknown.
LABEL_COLUMNS = {"emotion": "", "label7": -1, "objective_class": -1}


def is_data_set_name(name: str) -> bool:
    """Whether a data set may have this name: ASCII letters, digits and `_`."""
    return bool(re.fullmatch(r"\w{1,64}", name, re.ASCII))


def entitled(title: str, *, pretend: bool) -> str:
    """The title of a report or picture; what shows made-up data says so first."""
    return f"PRETEND data: {title}" if pretend else title


@dataclasses.dataclass(frozen=True)
class Clips:
    """All clips of a data set, sorted by (database, subject, clip).

    flow_NxHxWxC is float32 in 0..255, channels as FLOW_CHANNELS (of each phase), already in the
    layout named (a name of map_form.FORMS); flow_whole_NxHxWxC is the uncropped face. label_N holds
    indices into class_names, -1 in a stored data set where a clip has none of these classes:
    tasks.selected leaves such clips out. `extras` holds further per-clip columns (quality features,
    the emotion as written).
    """

    dataset: str
    layout: str
    flow_NxHxWxC: np.ndarray
    flow_whole_NxHxWxC: np.ndarray
    label_N: np.ndarray
    database_N: np.ndarray
    subject_N: np.ndarray
    clip_N: np.ndarray
    extras: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    # Of a data set of faces the columns of face_frames, whose maps are made of flow_px on loading;
    # else empty.
    faces: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    # How the maps were made (source form, flow settings, versions): text, shown in reports.
    provenance: dict[str, str] = dataclasses.field(default_factory=dict)
    class_names: tuple[str, ...] = CLASS_NAMES
    # Whether any of it was made up by this program; every report and picture says so.
    pretend: bool = False
    # Whether all clips of the databases were stored, so that any class set can be chosen.
    every_clip: bool = False

    def __len__(self) -> int:
        return len(self.label_N)

    @classmethod
    def of_columns(cls, columns: dict[str, np.ndarray], **facts: Any) -> "Clips":
        """Clips from stored columns (COLUMNS, and extras), and the other fields by name."""
        fields: dict[str, Any] = {field: columns[name] for name, field in COLUMNS.items()}
        faces = {name: columns[name] for name in face_frames.COLUMNS if name in columns}
        others = columns.keys() - COLUMNS.keys() - faces.keys()
        extras = {name: column for name, column in columns.items() if name in others}
        return cls(**fields, extras=extras, faces=faces, **facts)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns that every data set stores, by their stored names."""
        return {name: getattr(self, field) for name, field in COLUMNS.items()}

    @property
    def subject_key_N(self) -> list[str]:
        """`database/subject` of each clip."""
        return ["/".join(names) for names in zip(self.database_N, self.subject_N, strict=True)]

    @property
    def clip_key_N(self) -> list[str]:
        """`database/subject/clip` of each clip."""
        return ["/".join(names) for names in zip(self.subject_key_N, self.clip_N, strict=True)]

    def class_of(self, index: int) -> str:
        """The class of one clip in words; empty where it has none."""
        label = int(self.label_N[index])
        return self.class_names[label] if label >= 0 else ""

    def rows(self, index_N: np.ndarray) -> "Clips":
        """The clips at these places, in this order."""
        return dataclasses.replace(
            self,
            extras={name: column[index_N] for name, column in self.extras.items()},
            faces={name: column[index_N] for name, column in self.faces.items()},
            **{COLUMNS[name]: column[index_N] for name, column in self.columns.items()},
        )

    def whole_hash(self) -> str:
        """SHA-256 over content_hash, class names and every label column that a task may read."""
        digest = hashlib.sha256(self.content_hash().encode())
        digest.update("\n".join(self.class_names).encode())
        for name, unknown in LABEL_COLUMNS.items():
            column = self.extras.get(name, np.full(len(self), unknown))
            digest.update(f"\n{name}\n".encode() + "\n".join(map(str, column)).encode())
        return digest.hexdigest()

    def content_hash(self) -> str:
        """SHA-256 over keys, labels and maps: equal hashes mean equal input to training.

        Of a data set of faces over what is stored, not over the maps made of it.
        """
        digest = hashlib.sha256(self.layout.encode())
        maps = (self.flow_NxHxWxC, self.flow_whole_NxHxWxC)
        hashed = [(column, np.dtype("<f4")) for column in maps]
        if self.faces:
            kinds = {name: np.dtype(kind) for name, (_, kind) in face_frames.COLUMNS.items()}
            hashed = [(self.faces[name], kind.newbyteorder("<")) for name, kind in kinds.items()]
        for index, key in enumerate(self.clip_key_N):
            digest.update(f"\n{key} {int(self.label_N[index])} ".encode())
            for column, kind in hashed:
                digest.update(np.ascontiguousarray(column[index], kind).tobytes())
        return digest.hexdigest()


def sorted_and_checked(clips: Clips, *, where: str, stored: bool = False) -> Clips:
    """The same clips in key order, after refusing what would poison training silently.

    `where` names the origin in messages; `stored` clips may have the label -1, none of the classes.
    Raises InputError on no clips, wrong shapes, non-finite or out-of-range values, a label without
    a class, or a key that stands twice.
    """
    count = len(clips.label_N)
    if count == 0:
        raise InputError(f"{where} holds no clips; at least one is needed.")
    for name in ("flow_NxHxWxC", "flow_whole_NxHxWxC"):
        maps = getattr(clips, name)
        channels = FORMS[clips.layout].channels if clips.layout in FORMS else len(FLOW_CHANNELS)
        if maps.ndim != 4 or maps.shape[0] != count or maps.shape[3] != channels:
            raise InputError(
                f"{where}: {name} has the shape {maps.shape}; "
                f"expected ({count}, height, width, {channels})."
            )
        if not np.all(np.isfinite(maps)):
            worst = int(np.argmin(np.isfinite(maps).all(axis=(1, 2, 3))))
            raise InputError(
                f"{where}: the {name.split('_NxH')[0]} map of {clips.clip_key_N[worst]} holds "
                "NaN or infinity; every value must lie in 0..255: rebuild the data set."
            )
        if maps.min() < 0 or maps.max() > 255:
            raise InputError(
                f"{where}: {name.split('_NxH')[0]} spans {maps.min():g}..{maps.max():g}; "
                "every value must lie in 0..255: rebuild the data set."
            )
    _check_faces(clips, where)
    allowed = range(-1 if stored else 0, len(clips.class_names))
    bad_labels = sorted({int(label) for label in clips.label_N} - set(allowed))
    if bad_labels:
        named = ", ".join(f"{label} {name}" for label, name in enumerate(clips.class_names))
        raise InputError(f"{where} holds the label {bad_labels[0]}; allowed are {named}.")
    for what in ("database", "subject", "clip"):
        for text in sorted(set(getattr(clips, f"{what}_N").tolist())):
            with at(where):
                identifiers.checked(str(text), what)
    keys = clips.clip_key_N
    if len(set(keys)) != count:
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"{where} holds the clip {twice} twice; every key must be unique.")
    columns = zip(clips.database_N, clips.subject_N, clips.clip_N, range(count), strict=True)
    order = np.array([index for *_, index in sorted(columns)], dtype=np.int64)
    types = {"flow": np.float32, "flow_whole": np.float32, "label": np.int32}
    typed: dict[str, Any] = {
        COLUMNS[name]: np.ascontiguousarray(column, types.get(name, np.str_))
        for name, column in clips.columns.items()
    }
    return dataclasses.replace(clips, **typed).rows(order)


def _check_faces(clips: Clips, where: str) -> None:
    for name, column in clips.faces.items():
        shape, kind = face_frames.COLUMNS[name]
        if column.shape != (len(clips), *shape) or column.dtype != kind:
            raise InputError(
                f"{where}: {name} is {column.dtype} of the shape {column.shape}; expected is "
                f"{kind} of {(len(clips), *shape)}."
            )
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise InputError(f"{where}: {name} holds NaN or infinity: rebuild the data set.")


def shuffle_labels(clips: Clips, seed: int) -> Clips:
    """The same clips with their labels permuted: a classifier must fall to chance on them."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return dataclasses.replace(
        clips,
        label_N=rng.permutation(clips.label_N),
        # The emotion as written, for one, would still tell the true class.
        extras={name: c for name, c in clips.extras.items() if name not in LABEL_COLUMNS},
        provenance={**clips.provenance, "labels": f"shuffled, seed {seed}"},
    )

"""The models that a build of data sets computes with, each checked by its SHA-256."""

import hashlib
from typing import NamedTuple

from experiments.health.libraries import command_in
from experiments.health.lines import Line, State, install
from input_pipeline.core import extras
from input_pipeline.core.errors import InputError
from input_pipeline.faces import detection


class ModelFile(NamedTuple):
    """A model: the library that carries it, its place there, its bytes' SHA-256."""

    library: str
    place: str
    sha256: str


# MediaPipe's are those of 0.10.21, which the preprocess extra asks for.
MODEL_FILES = (
    ModelFile(
        "face_recognition_models",
        f"models/{detection.LANDMARK_MODEL}",
        detection.LANDMARK_MODEL_SHA256,
    ),
    ModelFile(
        "mediapipe",
        "modules/face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    ),
    ModelFile(
        "mediapipe",
        "modules/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    ),
)


def check() -> list[Line]:
    """A line for each model: FAILED where its library is installed and its bytes are not there."""
    return [_line(model) for model in MODEL_FILES]


def _line(model: ModelFile) -> Line:
    name = model.place.rpartition("/")[2]
    again = f"{install('preprocess')} --force-reinstall"
    try:
        path = extras.folder_of(model.library) / model.place
    except InputError as error:
        return Line(State.MISSING, f"{name}: {model.library} is not installed", command_in(error))
    if not path.is_file():
        return Line(State.FAILED, f"{name}: {model.library} lacks it", again)
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return Line(State.FAILED, f"{name}: '{path}' cannot be read ({error.strerror})", again)
    if found != model.sha256:
        return Line(State.FAILED, f"{name}: SHA-256 {found}, which should be {model.sha256}", again)
    return Line(State.OK, f"{name}: SHA-256 {found}")

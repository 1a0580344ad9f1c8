"""Loads the libraries of the `preprocess` extra, and says in one line what to do without them."""

import functools
import importlib
import importlib.util
import pathlib
import sys
import types

from input_pipeline.core.errors import InputError

# As README has it: the project is installed from a checkout, it is in no package index.
INSTALL = "python -m pip install -c constraints.txt -e '.[preprocess]'"
# What a build loads, in the order of use.
_LIBRARIES = (
    *("openpyxl", "xlrd", "defusedxml"),
    *("cv2", "dlib", "face_recognition_models", "mediapipe"),
)
# The last Python for which mediapipe 0.10.21 has wheels; later ones lack the face-mesh models.
_LAST_PYTHON = (3, 12)
_NOT_LATER = ("cv2", "mediapipe")


def require() -> None:
    """Raise InputError unless every library of a build is installed; loads none of them."""
    for name in _LIBRARIES:
        folder_of(name)


def folder_of(name: str) -> pathlib.Path:
    """Where a library lies, which is not loaded; raises InputError if it is missing."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin:
        raise _missing(name)
    return pathlib.Path(spec.origin).parent


def library(name: str) -> types.ModuleType:
    """Import a library of the extra; raises InputError with the install command if it is missing.

    A library that is installed but cannot be loaded (OpenCV without libGL on a slim server) is
    told apart from one that is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(error.name or name) from error
    except ImportError as error:
        raise InputError(
            f"the library {name} is installed but cannot be loaded ({error}); from the checkout "
            f"run {INSTALL} again, and on a server without a desktop install the system "
            "libraries that OpenCV needs (libGL and glib)."
        ) from error


def _missing(name: str) -> InputError:
    if sys.version_info[:2] > _LAST_PYTHON and name.split(".")[0] in _NOT_LATER:
        last, here = (".".join(map(str, v[:2])) for v in (_LAST_PYTHON, sys.version_info))
        return InputError(
            f"preprocessing needs Python 3.11 or {last}, for {name} has no release that fits "
            f"Python {here}; build the data set with one of them; training runs on this one too."
        )
    return InputError(
        f"preprocessing needs the library {name}, which is not installed; from the checkout run: "
        f"{INSTALL}"
    )


@functools.cache
def opencv() -> types.ModuleType:
    """OpenCV on one thread: the workers of a build share the cores already."""
    cv2 = library("cv2")
    cv2.setNumThreads(1)
    return cv2

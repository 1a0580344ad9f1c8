"""Loads the libraries of the `preprocess` extra, and says in one line what to do without them."""

import functools
import importlib
import types

from input_pipeline.errors import InputError


def load(name: str) -> types.ModuleType:
    """Import a library of the extra; raises InputError with the install command if it is missing.

    A library that is installed but cannot be loaded (OpenCV without libGL on a slim server) is
    told apart from one that is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"preprocessing needs the library {error.name or name}, which is not installed; "
            "run: pip install 'ahmsa-jax[preprocess]'."
        ) from error
    except ImportError as error:
        raise InputError(
            f"the library {name} is installed but cannot be loaded ({error}); run "
            "pip install 'ahmsa-jax[preprocess]' again, and on a server without a desktop "
            "install the system libraries that OpenCV needs (libGL and glib)."
        ) from error


@functools.cache
def opencv() -> types.ModuleType:
    """OpenCV on one thread: the workers of a build share the cores already."""
    cv2 = load("cv2")
    cv2.setNumThreads(1)
    return cv2

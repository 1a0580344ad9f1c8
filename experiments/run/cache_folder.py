"""Where compiled programs are kept unless a flag names another folder."""

import os
import pathlib


def users_folder() -> pathlib.Path:
    """The folder below the user's cache folder; it need not be there."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The standard asks that a relative path be ignored.
    folder = pathlib.Path(base) if os.path.isabs(base) else pathlib.Path("~/.cache").expanduser()
    return folder / "ahmsa-jax" / "programs"

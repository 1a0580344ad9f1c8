"""Says what is installed here, what works, and the command that mends what does not.

python -m experiments.doctor
"""

import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Callable

# Everything of the project is imported where it is used: what cannot be loaded becomes a line.
_NAME = "experiments.doctor"
_PURPOSE = (
    "Say what is installed here, whether it works, and what to do where it does not: one text to "
    "paste into an issue. Nothing is written or sent."
)
_CANNOT_START = 3


def main() -> int:
    """Print the block; 3 where something that is installed does not work, else 0."""
    from experiments.health import apart, block
    from experiments.health.lines import INSTALL, Line, State
    from input_pipeline.core import invocation

    data_dir = _data_dir()
    checks: dict[str, Callable[[], list[Line]]] = {
        "versions": _versions,
        "names": _names,
        "libraries": _libraries,
        "model files of a build": _model_files,
        "folders": lambda: _folders(data_dir),
        "devices and a trial": _trial,
    }
    parts = {}
    for part, check in checks.items():
        print(f"looking at {part}", file=sys.stderr, flush=True)
        try:
            parts[part] = check()
        # A broken library may raise anything as it is imported; the other parts still answer.
        except Exception as error:
            parts[part] = [Line(State.FAILED, f"cannot be looked at: {apart.said(error)}", INSTALL)]
    print(block.text(f"{_NAME}, {invocation.now()}", parts))
    return 3 if block.failed(parts) else 0


def _data_dir() -> pathlib.Path:
    from input_pipeline.core import command
    from input_pipeline.core.errors import InputError

    if not (named := command.values().data_dir):
        raise InputError("--data_dir is empty; name a folder, such as ~/tensorflow_datasets.")
    return pathlib.Path(named).expanduser()


def _versions():
    from experiments.health import versions

    return versions.check()


def _names():
    from experiments.health import names_on_path

    return names_on_path.check()


def _libraries():
    from experiments.health import libraries

    return libraries.check()


def _model_files():
    from experiments.health import model_files

    return model_files.check()


def _folders(data_dir: pathlib.Path):
    from experiments.health import folders
    from experiments.run import cache_folder

    return folders.check(
        {
            "runs": pathlib.Path("runs").absolute(),
            "data sets": data_dir,
            "compiled programs": cache_folder.users_folder(),
            "temporary files": pathlib.Path(tempfile.gettempdir()),
        }
    )


def _trial():
    from experiments.health import trial

    return trial.check()


def start() -> None:
    """Define the flag and run the command."""
    try:
        # A folder of the user's called input_pipeline would be imported instead. Without NumPy
        # ahmsa_jax cannot be loaded; the block says so.
        with contextlib.suppress(ImportError):
            from ahmsa_jax import console

            try:
                console.prefer_own()
            except console.ShadowedError as error:
                print(f"{_NAME}: note: {error}", file=sys.stderr)
        from absl import flags

        from input_pipeline.core import command
        from input_pipeline.core.errors import InputError
    except ImportError as error:
        print(
            f"{_NAME}: error: this command cannot start ({error}); from the checkout run: "
            "python -m pip install -c constraints.txt -e .",
            file=sys.stderr,
        )
        sys.exit(_CANNOT_START)
    flags.DEFINE_string("data_dir", "~/tensorflow_datasets", "Folder of the stored data sets.")
    command.run(main, name=_NAME, purpose=_PURPOSE, mistakes=(InputError,))


if __name__ == "__main__":
    start()

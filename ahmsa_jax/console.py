"""Console scripts, which start the project's commands whatever a user's own folders are called.

`experiments` and `input_pipeline` are words that a user's folder may be called by too, and Python
takes the first one on its path. This package's name is nobody else's: the two are to lie beside it.
"""

import importlib.machinery
import os
import pathlib
import runpy
import sys
from collections.abc import Iterable, Sequence

ROOT = pathlib.Path(__file__).absolute().parents[1]
NAMES = ("experiments", "input_pipeline")
# The module that each script runs as `python -m` does.
SCRIPTS = {
    "ahmsa-ablation": "experiments.ablation",
    "ahmsa-benchmark": "experiments.benchmark",
    "ahmsa-benchmark-flow": "input_pipeline.benchmark",
    "ahmsa-build": "input_pipeline.build",
    "ahmsa-classical": "experiments.classical",
    "ahmsa-compare": "experiments.compare",
    "ahmsa-compare-maps": "input_pipeline.compare",
    "ahmsa-convert-weights": "experiments.convert_weights",
    "ahmsa-doctor": "experiments.doctor",
    "ahmsa-evaluate": "experiments.evaluate",
    "ahmsa-export": "input_pipeline.export",
    "ahmsa-fake-database": "input_pipeline.fake_database",
    "ahmsa-import-maps": "input_pipeline.import_maps",
    "ahmsa-jitter": "experiments.jitter",
    "ahmsa-loso": "experiments.loso",
    "ahmsa-lost-motion": "experiments.lost_motion",
    "ahmsa-measure": "experiments.measure",
    "ahmsa-record": "experiments.record",
    "ahmsa-report": "experiments.report",
    "ahmsa-torch-loso": "experiments.torch_loso",
}


class ShadowedError(Exception):
    """Another package has the name of one of this project's: one sentence that says where."""


def main() -> None:
    """Run the command that the script's own name stands for; leaves with its exit status.

    One line on stderr names a folder that `python -m` would take for ours. Exit status 2 where the
    script has been renamed, or another package of the name is loaded already.
    """
    script = pathlib.Path(sys.argv[0]).stem
    try:
        if script not in SCRIPTS:
            raise ShadowedError(
                f"no command is called so; the scripts are {', '.join(sorted(SCRIPTS))}."
            )
        shadowing = prefer_own()
    except ShadowedError as error:
        print(f"{script}: error: {error}", file=sys.stderr)
        sys.exit(2)
    if shadowing:
        print(f"{script}: note: {warning(shadowing)}", file=sys.stderr)
    runpy.run_module(SCRIPTS[script], run_name="__main__", alter_sys=True)


def warning(shadowing: Sequence[pathlib.Path]) -> str:
    """What to say of the folders that shadowing() gave: one sentence, and what to do."""
    named = " and ".join(f"'{path}'" for path in shadowing)
    modules = " and ".join(dict.fromkeys(f"`python -m {path.stem}...`" for path in shadowing))
    return (
        f"{named} has the name of a package of this project, and {modules} from here finds it "
        f"instead of '{ROOT}'; rename it, start elsewhere, take it off PYTHONPATH, or keep to the "
        "ahmsa- scripts, which run this project's."
    )


def shadowing() -> list[pathlib.Path]:
    """Folders (or files) that `python -m` started here takes for NAMES instead of ours."""
    here = [] if sys.flags.safe_path else [_current_folder()]
    places = (_place(name, [*here, *sys.path]) for name in NAMES)
    return [place for place in places if place and _is_foreign(place)]


def prefer_own() -> list[pathlib.Path]:
    """Make NAMES those beside this package, for this process and its children; gives shadowing().

    Raises ShadowedError where another one is loaded already, or none lies beside this package.
    """
    for name in NAMES:
        module = sys.modules.get(name)
        place = _place_of(module.__spec__) if module and module.__spec__ else None
        if _is_foreign(place):
            raise ShadowedError(
                f"'{place}' is loaded already under the name {name}, which is a package of this "
                f"project too ('{ROOT / name}'); rename it, or take what loads it off PYTHONPATH."
            )
        if not (ROOT / name / "__init__.py").is_file():
            raise ShadowedError(
                f"the package {name} does not lie in '{ROOT}'; install the project again."
            )
    found = shadowing()
    if found:
        # Children started by `python -m` take no folder from where they are started.
        os.environ["PYTHONSAFEPATH"] = "1"
    if any(_is_foreign(_place(name, sys.path)) for name in NAMES):
        _put_before_others()
    return found


def _put_before_others() -> None:
    """Put ROOT on the path before the first entry that holds another package of the names.

    Not always in front: installed packages would then come before Python's own library.
    """
    index = next(
        index
        for index, entry in enumerate(sys.path)
        if any(_is_foreign(_place(name, [entry])) for name in NAMES)
    )
    sys.path.insert(index, str(ROOT))
    variable = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{variable}" if variable else str(ROOT)


def _place(name: str, path: Iterable[str]) -> pathlib.Path | None:
    return _place_of(importlib.machinery.PathFinder.find_spec(name, list(path)))


def _place_of(spec: importlib.machinery.ModuleSpec | None) -> pathlib.Path | None:
    """Where a package lies: its folder, also without __init__.py, or the file of a module."""
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    place = folders[0] if folders else spec.origin
    return pathlib.Path(place).absolute() if place else None


def _is_foreign(place: pathlib.Path | None) -> bool:
    if place is None or place.parent == ROOT:
        return False
    return place.resolve().parent != ROOT.resolve()


def _current_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        # The folder has been removed: nothing can lie in it.
        return os.devnull

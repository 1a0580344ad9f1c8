"""Console scripts, which start the project's commands whatever a user's own folders are called.

`experiments` and `input_pipeline` are words that a user's folder may be called by too, and Python
takes the first one on its path. This package's name is nobody else's: the two are to lie beside it.
"""

import importlib.machinery
import os
import pathlib
import runpy
import sys
from collections.abc import Sequence
from typing import Any

ROOT = pathlib.Path(__file__).absolute().parents[1]
# Each with a module that lies in it.
_INSIDE = {"experiments": "experiments.run", "input_pipeline": "input_pipeline.core"}
NAMES = tuple(_INSIDE)
# What prefer_own() found in this process; once it has mended the path, shadowing() may not.
NOTICED: list[pathlib.Path] = []
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
    "ahmsa-fit": "experiments.fit",
    "ahmsa-import-maps": "input_pipeline.import_maps",
    "ahmsa-jitter": "experiments.jitter",
    "ahmsa-look": "experiments.look",
    "ahmsa-loso": "experiments.loso",
    "ahmsa-lost-motion": "experiments.lost_motion",
    "ahmsa-measure": "experiments.measure",
    "ahmsa-predict": "experiments.predict",
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
        print(f"{script}: note: {warning(shadowing)}.", file=sys.stderr)
    runpy.run_module(SCRIPTS[script], run_name="__main__", alter_sys=True)


def warning(shadowing: Sequence[pathlib.Path]) -> str:
    """What to say of the folders that shadowing() gave: one sentence, and what to do."""
    named = " and ".join(f"`python -m {path.stem}...` finds '{path}'" for path in shadowing)
    return (
        f"started here, {named} instead of this project's in '{ROOT}'; rename that, start "
        "elsewhere, take it off PYTHONPATH, or keep to the ahmsa- scripts, which run this project's"
    )


def shadowing() -> list[pathlib.Path]:
    """Folders (or files) that `python -m` started here takes for NAMES instead of ours."""
    here = [] if sys.flags.safe_path else [_current_folder()]
    places = (_place(name, [*here, *sys.path], everywhere=True) for name in NAMES)
    return [place for place in places if place and _is_foreign(place)]


def prefer_own() -> list[pathlib.Path]:
    """Make NAMES those beside this package, for this process and its children; gives shadowing().

    Raises ShadowedError where another one is loaded already, or none lies beside this package.
    """
    for name in NAMES:
        module = sys.modules.get(name)
        spec = module.__spec__ if module else None
        place = _place_of(spec)
        # A folder without __init__.py says nothing of where its modules come from.
        if spec and spec.origin and _is_foreign(place):
            raise ShadowedError(
                f"'{place}' is loaded already under the name {name}, which is a package of this "
                f"project too ('{ROOT / name}'); rename it, or take what loads it off PYTHONPATH."
            )
        if not (ROOT / name / "__init__.py").is_file():
            raise ShadowedError(
                f"the package {name} does not lie in '{ROOT}'; install the project again."
            )
    found = shadowing()
    NOTICED.extend(found)
    if found:
        # Children started by `python -m` take no folder from where they are started.
        os.environ["PYTHONSAFEPATH"] = "1"
    if any(_is_foreign(_place(name, sys.path, everywhere=True)) for name in NAMES):
        _put_before_others()
    return found


def _put_before_others() -> None:
    """Put ROOT on the path before the first entry that holds another package of the names.

    Not always in front: installed packages would then come before Python's own library. Another
    project's editable install is asked after the whole path.
    """
    taken = (
        index
        for index, entry in enumerate(sys.path)
        if any(_is_foreign(_place(name, [entry])) for name in NAMES)
    )
    index = next(taken, len(sys.path))
    sys.path.insert(index, str(ROOT))
    variable = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{variable}" if variable else str(ROOT)


def _place(name: str, path: Sequence[str], *, everywhere: bool = False) -> pathlib.Path | None:
    """Where Python would find a name on a path; with `everywhere` by an editable install too."""
    finders = sys.meta_path if everywhere else [importlib.machinery.PathFinder]
    kept = sys.path
    # An editable install asks Python's path itself, or none.
    sys.path = list(path)
    try:
        spec = _asked(finders, name, None)
        if everywhere and spec and spec.origin is None:
            # What a folder without __init__.py lacks may still be found by an editable install.
            inside = _asked(finders, _INSIDE[name], list(spec.submodule_search_locations or ()))
            if inside and (place := _place_of(inside)):
                return place.parent
        return _place_of(spec)
    finally:
        sys.path = kept


def _asked(
    finders: Sequence[Any], name: str, path: list[str] | None
) -> importlib.machinery.ModuleSpec | None:
    found = (finder.find_spec(name, path) for finder in finders)
    return next((spec for spec in found if spec is not None), None)


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

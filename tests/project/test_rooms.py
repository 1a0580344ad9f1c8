"""The rules of the house: room order, imports, flags in two files, commands alone on top.

The source is read, not run: an import inside a function counts as well. The order of the rooms
stands in docs/draw_architecture.py, which draws it.
"""

import ast
import pathlib
import re

import draw_architecture
import pytest
from draw_architecture import MODULES, ORDER, SOURCES, dotted, imported, level_of, room_of

ROOT = draw_architecture.ROOT
COMMANDS = {
    "experiments": {
        "ablation",
        "benchmark",
        "classical",
        "compare",
        "convert_weights",
        "doctor",
        "evaluate",
        "fit",
        "jitter",
        "kill_test",
        "look",
        "loso",
        "lost_motion",
        "measure",
        "predict",
        "record",
        "report",
        "torch_loso",
    },
    "input_pipeline": {"benchmark", "build", "compare", "export", "fake_database", "import_maps"},
}
# Beside the commands: the same for Python.
FRONTS = {"experiments": {"api"}}
# Packages that a package must not import.
FORBIDDEN = {
    "ahmsa_jax": {
        *("cv2", "tensorflow", "tensorflow_datasets", "absl", "torch"),
        *("input_pipeline", "experiments"),
    },
    "input_pipeline": {"jax", "flax", "optax", "ahmsa_jax", "experiments", "tensorflow"},
    "experiments": {"cv2", "mediapipe", "dlib", "tensorflow"},
}
# Packages of extras, and TFDS: imported where they are used, since they may be missing or slow.
OPTIONAL = {
    *("tensorflow_datasets", "torch", "ray", "cv2", "dlib", "mediapipe"),
    *("skimage", "openpyxl", "xlrd", "defusedxml", "matplotlib", "pandas"),
    *("tensorboardX",),
}


# The two files whose purpose is to load something with the right settings, or a word of advice.
LOADERS = {
    ("experiments.run.jax_settings", "jax"),
    ("experiments.run.jax_settings", "experiments.run"),
    ("experiments.baselines.torch_extra", "experiments.baselines"),
}


def upward(path: pathlib.Path) -> set[tuple[str, str]]:
    """The imports of a file that lead to a room above its own or beside it."""
    module = dotted(path)
    package, own = module.split(".")[0], room_of(module)
    found = set()
    for name in imported(path):
        is_ours = name.split(".")[0] == package
        other = room_of(name) if is_ours else own
        if other != own and level_of(package, other) >= level_of(package, own):
            found.add((module, f"{package}.{other}"))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=dotted)
def test_imports(path):
    package = dotted(path).split(".")[0]
    assert not {name.split(".")[0] for name in imported(path)} & FORBIDDEN[package]
    assert not upward(path)


@pytest.mark.parametrize("package", ORDER)
def test_every_folder_is_a_room(package):
    rooms = {room for level in ORDER[package] for room in level}
    for module in MODULES:
        if module.startswith(f"{package}.") and module.count(".") > 1:
            assert room_of(module) in rooms - {""}, module


@pytest.mark.parametrize("package", COMMANDS)
def test_only_commands_stand_on_the_top_floor(package):
    found = {path.stem for path in (ROOT / package).glob("*.py")}
    assert found == COMMANDS[package] | FRONTS.get(package, set()) | {"__init__"}
    for name in COMMANDS[package]:
        assert "command.run(" in (ROOT / package / f"{name}.py").read_text(encoding="utf-8")


def test_an_upward_import_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(draw_architecture, "ROOT", tmp_path)
    path = tmp_path / "input_pipeline" / "core" / "files.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "def late():\n    from input_pipeline.storage import loader\n", encoding="utf-8"
    )
    assert upward(path) == {("input_pipeline.core.files", "input_pipeline.storage")}


def test_flags_are_read_in_two_files():
    readers = {dotted(path) for path in SOURCES if "flags.FLAGS" in path.read_text("utf-8")}
    assert readers == {"experiments.run.flags", "input_pipeline.core.command"}


def inner_imports(path: pathlib.Path) -> list[str]:
    """What a file imports inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and node.module:
                    found.append(node.module)
                elif isinstance(node, ast.Import):
                    found += [alias.name for alias in node.names]
    return found


def test_rooms_import_late_only_what_may_be_missing_or_slow():
    commands = {f"{package}.{name}" for package, names in COMMANDS.items() for name in names}
    late = {
        (dotted(path), name)
        for path in SOURCES
        if dotted(path) not in commands
        for name in inner_imports(path)
        if name.split(".")[0] not in OPTIONAL
    }
    assert late == LOADERS


def test_nothing_is_kept_from_the_formatter():
    everywhere = [*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").rglob("*.py")]
    mark = re.compile(r"#\s*fmt:")
    assert [path for path in everywhere if mark.search(path.read_text(encoding="utf-8"))] == []


def test_the_page_shows_the_imports_as_they_are():
    page = draw_architecture.PAGE.read_text(encoding="utf-8")
    shown = page.partition(draw_architecture.BEGIN)[2].partition(draw_architecture.END)[0]
    assert shown.strip() == draw_architecture.table(), "run python docs/draw_architecture.py"


def found_tests() -> dict[str, set[pathlib.Path]]:
    """The test files that import a module or name it in full."""
    found: dict[str, set[pathlib.Path]] = {module: set() for module in MODULES}
    for path in (ROOT / "tests").rglob("*.py"):
        named = imported(path) | set(re.findall(r"\w+(?:\.\w+)+", path.read_text("utf-8")))
        for module in named & MODULES:
            found[module].add(path)
    return found


def test_every_module_is_found_from_its_test_and_back():
    found = found_tests()
    packages = {dotted(path) for path in SOURCES if path.name == "__init__.py"}
    assert {module for module in MODULES - packages if not found[module]} == set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.parent.relative_to(ROOT / "tests")
        if folder.parts[0] != "project":
            room = ".".join(folder.parts)
            here = {module.rpartition(".")[0] for module, tests in found.items() if path in tests}
            assert room in here, f"{path} names no module of {room}"

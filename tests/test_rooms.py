"""Each package's rooms stand in an order, and a module imports from rooms below its own alone.

The source is read, not run: an import inside a function counts as well.
"""

import ast
import pathlib

import pytest
from command_runner import ROOT

# Rooms from the ground up; those of one line do not import each other. "" are the files that lie
# directly in the package: the commands, and what ahmsa_jax shows of itself.
ORDER = {
    "ahmsa_jax": (("config", "metrics"), ("networks.parts",), ("networks",), ("training",), ("",)),
    "input_pipeline": (
        ("core",),
        ("databases", "faces"),
        ("flow",),
        ("maps", "pretend"),
        ("storage", "reports"),
        ("",),
    ),
    "experiments": (
        ("run",),
        ("baselines",),
        ("files",),
        ("schedule", "scores"),
        ("cluster", "timing"),
        ("",),
    ),
}
COMMANDS = {
    "experiments": {
        "benchmark",
        "compare",
        "convert_weights",
        "evaluate",
        "kill_test",
        "loso",
        "report",
        "torch_loso",
    },
    "input_pipeline": {"benchmark", "build", "compare", "export", "fake_database", "import_maps"},
}
# Packages that a package must not import.
FORBIDDEN = {
    "ahmsa_jax": {
        "cv2",
        "tensorflow",
        "tensorflow_datasets",
        "absl",
        "input_pipeline",
        "experiments",
        "torch",
    },
    "input_pipeline": {"jax", "flax", "optax", "ahmsa_jax", "experiments", "tensorflow"},
    "experiments": {"cv2", "mediapipe", "dlib", "tensorflow"},
}
# To be emptied: (importing module, room above it).
STILL_UPWARDS: set[tuple[str, str]] = set()
SOURCES = sorted(path for name in ORDER for path in (ROOT / name).rglob("*.py"))


def dotted(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path) for path in SOURCES}


def imported(path: pathlib.Path) -> set[str]:
    """Every module that a file names in an import, wherever in the file that stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import name`: the module of that name, or something of the package.
            names |= inner & MODULES or {node.module}
    return names


def room_of(module: str) -> str:
    """The room of a module in ORDER's words, "" for one directly in its package."""
    package, _, inner = module.partition(".")
    rooms = [room for level in ORDER[package] for room in level if room]
    holding = [room for room in rooms if inner == room or inner.startswith(f"{room}.")]
    return max(holding, key=len, default="")


def level_of(package: str, room: str) -> int:
    return next(number for number, level in enumerate(ORDER[package]) if room in level)


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
def test_no_file_imports_what_its_package_must_not(path):
    package = dotted(path).split(".")[0]
    assert not {name.split(".")[0] for name in imported(path)} & FORBIDDEN[package]


@pytest.mark.parametrize("path", SOURCES, ids=dotted)
def test_imports_lead_downwards(path):
    assert upward(path) <= STILL_UPWARDS


def test_what_is_excused_still_stands():
    assert {one for path in SOURCES for one in upward(path)} == STILL_UPWARDS


@pytest.mark.parametrize("package", ORDER)
def test_every_folder_is_a_room(package):
    rooms = {room for level in ORDER[package] for room in level}
    for module in MODULES:
        if module.startswith(f"{package}.") and module.count(".") > 1:
            assert room_of(module) in rooms - {""}, module


@pytest.mark.parametrize("package", COMMANDS)
def test_only_commands_stand_on_the_top_floor(package):
    found = {path.stem for path in (ROOT / package).glob("*.py")}
    assert found == COMMANDS[package] | {"__init__"}
    for name in COMMANDS[package]:
        assert "command.run(" in (ROOT / package / f"{name}.py").read_text(encoding="utf-8")


def test_an_upward_import_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "input_pipeline" / "core" / "files.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "def late():\n    from input_pipeline.storage import loader\n", encoding="utf-8"
    )
    assert upward(path) == {("input_pipeline.core.files", "input_pipeline.storage")}

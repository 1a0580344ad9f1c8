"""Console scripts run this project's commands, whatever folders of the user's have their names."""

import importlib.machinery
import os
import pathlib
import subprocess
import sys
import tomllib

import pytest
from command_runner import ROOT

from ahmsa_jax import console

LEFT_OUT = {"experiments.kill_test"}
# As the file that pip writes: it calls the function named in pyproject.toml.
SCRIPT = "import sys\nfrom ahmsa_jax.console import main\nsys.exit(main())\n"
FOREIGN = "raise SystemExit('the foreign package was run')\n"


@pytest.fixture(autouse=True)
def _nothing_noticed_before(monkeypatch):
    monkeypatch.setattr(console, "NOTICED", [])


def run_script(name, *words, folder, cwd, path=()):
    """Run a script as installed in `folder`/bin, started in `cwd` with `path` on PYTHONPATH."""
    file = folder / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(SCRIPT)
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
    variables.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, file, *words]
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300
    )


def foreign(folder: pathlib.Path, *names: str) -> pathlib.Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(FOREIGN)
    return folder


def test_every_command_but_kill_test_has_one_script():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["scripts"]) == set(console.SCRIPTS)
    assert set(project["scripts"].values()) == {"ahmsa_jax.console:main"}
    # Beside the commands the top floors hold the Python front alone (test_rooms.py).
    floors = [path for package in console.NAMES for path in (ROOT / package).glob("*.py")]
    commands = {f"{path.parent.name}.{path.stem}" for path in floors}
    commands -= {f"{package}.__init__" for package in console.NAMES} | {"experiments.api"}
    assert sorted(console.SCRIPTS.values()) == sorted(commands - LEFT_OUT)


def test_a_script_says_nothing_where_no_name_is_taken(tmp_path):
    done = run_script("ahmsa-report", "--help", folder=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "usage: python -m experiments.report" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("on_path", [False, True], ids=["current_folder", "PYTHONPATH"])
def test_a_script_works_and_names_the_shadowing_folders(tmp_path, on_path):
    taken = foreign(tmp_path / "mine", "experiments", "input_pipeline")
    empty = tmp_path / "empty"
    empty.mkdir()
    cwd, path = (empty, [taken]) if on_path else (taken, [])
    done = run_script("ahmsa-report", "--workdir=", folder=tmp_path, cwd=cwd, path=path)
    note, error = done.stderr.splitlines()
    assert note.startswith("ahmsa-report: note: ")
    for name in console.NAMES:
        assert f"`python -m {name}...` finds '{taken / name}'" in note
    # The command itself was reached.
    assert error.startswith("experiments.report: error: --workdir is missing")
    assert done.returncode == 2
    # The control: `python -m` there runs the user's folder.
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
    module = subprocess.run(
        [sys.executable, "-m", "experiments.report"],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert "the foreign package was run" in module.stderr


CHILD = """
import subprocess, sys
from ahmsa_jax import console
found = console.prefer_own()
import experiments
child = [sys.executable, "-m", "experiments.report", "--help"]
print(len(found), experiments.__file__, subprocess.run(child, capture_output=True).returncode)
"""


@pytest.mark.parametrize("on_path", [False, True], ids=["current_folder", "PYTHONPATH"])
def test_children_of_a_script_find_ours_too(tmp_path, on_path):
    taken = foreign(tmp_path / "mine", "experiments")
    path = [taken, ROOT] if on_path else [ROOT]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    # As a script: its own folder is the first on the path, not the current one.
    file = tmp_path / "script.py"
    file.write_text(CHILD)
    done = subprocess.run(
        [sys.executable, file], cwd=taken, env=variables, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", str(ROOT / "experiments" / "__init__.py"), "0"], done


def test_names_that_lead_to_ours_shadow_nothing(tmp_path, monkeypatch):
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(ROOT)])
    monkeypatch.chdir(ROOT)
    assert console.shadowing() == []


class Editable:
    """A finder as an editable install brings one along."""

    @staticmethod
    def find_spec(name, path, target=None):
        inside = path is not None
        where = ROOT / name.partition(".")[0] if inside else ROOT
        return importlib.machinery.PathFinder.find_spec(name, [str(where)])


def test_a_file_and_a_folder_without_init_are_seen(tmp_path, monkeypatch):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "input_pipeline.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [importlib.machinery.PathFinder])
    assert console.shadowing() == [tmp_path / "experiments", tmp_path / "input_pipeline.py"]
    # An editable install that is asked first finds ours all the same.
    monkeypatch.setattr(sys, "meta_path", [Editable, importlib.machinery.PathFinder])
    assert console.shadowing() == []
    # Asked last, it finds what the folder without __init__.py lacks.
    monkeypatch.setattr(sys, "meta_path", [importlib.machinery.PathFinder, Editable])
    assert console.shadowing() == [tmp_path / "input_pipeline.py"]
    monkeypatch.setattr(sys, "meta_path", [importlib.machinery.PathFinder])
    # Python takes a whole package anywhere on the path before a folder without __init__.py.
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(ROOT)])
    assert console.shadowing() == [tmp_path / "input_pipeline.py"]


def test_ours_goes_before_the_foreign_entry_alone(tmp_path, monkeypatch):
    taken = str(foreign(tmp_path, "input_pipeline"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["first", taken, "last", str(ROOT)])
    monkeypatch.setenv("PYTHONPATH", taken)
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    assert console.prefer_own() == [tmp_path / "input_pipeline"]
    assert sys.path == ["first", str(ROOT), taken, "last", str(ROOT)]
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(ROOT), taken])


def test_ours_goes_before_another_project_s_editable_install(tmp_path, monkeypatch):
    taken = foreign(tmp_path / "theirs", "experiments")

    class Theirs:
        @staticmethod
        def find_spec(name, path, target=None):
            return importlib.machinery.PathFinder.find_spec(name, [str(taken)])

    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr(sys, "path", ["nothing"])
    monkeypatch.setattr(sys, "meta_path", [importlib.machinery.PathFinder, Theirs])
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    assert console.prefer_own() == [taken / "experiments"]
    assert sys.path == ["nothing", str(ROOT)]
    assert console.shadowing() == []
    assert [taken / "experiments"] == console.NOTICED


def test_what_is_loaded_already_or_not_there_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/anywhere/ahmsa-loso"])
    place = foreign(tmp_path, "experiments") / "experiments" / "__init__.py"
    spec = importlib.machinery.ModuleSpec("experiments", None, origin=str(place))
    spec.submodule_search_locations = [str(place.parent)]
    with monkeypatch.context() as inside:
        inside.setitem(sys.modules, "experiments", type(sys)("experiments"))
        sys.modules["experiments"].__spec__ = spec
        with pytest.raises(SystemExit) as left:
            console.main()
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"ahmsa-loso: error: '{place.parent}' is loaded already")
    assert told.count("\n") == 1
    monkeypatch.setattr(console, "ROOT", tmp_path / "nowhere")
    monkeypatch.setattr(console, "_is_foreign", lambda place: False)
    with pytest.raises(SystemExit) as left:
        console.main()
    assert left.value.code == 2
    assert "the package experiments does not lie in" in capsys.readouterr().err


def test_a_renamed_script_is_told_the_names(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/anywhere/train-it"])
    with pytest.raises(SystemExit) as left:
        console.main()
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("train-it: error: no command is called so; the scripts are ahmsa-abl")

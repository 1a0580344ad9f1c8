"""What the project promises of itself: README commands, file sizes, packaging."""

import ast
import re
import shlex
import tomllib

import injected_faults
import pytest
from command_runner import ROOT, assert_mistake, run_command
from small_runs import SHALLOW

PACKAGES = ("ahmsa_jax", "input_pipeline", "experiments")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    README,
    *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))),
]
BLOCKS = [
    block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
]
# One command a line; a backslash continues it.
LINES = dict.fromkeys(line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines())
COMMANDS = [shlex.split(line) for line in LINES if line.startswith("python -m ")]
OURS = [words[2:] for words in COMMANDS if words[2].split(".")[0] in PACKAGES]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_files_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 310
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 75, node.name


def test_the_walk_over_the_sources_found_them():
    names = {path.name for path in SOURCES}
    assert {"engine.py", "tfds_builder.py", "loso.py"} <= names
    assert "utils.py" not in names


def test_extras_are_those_of_the_documentation():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    assert set(extras) == {
        "preprocess",
        "baselines",
        "cuda12",
        "cluster",
        "notebook",
        "tensorboard",
        "test",
        "dev",
    }


@pytest.mark.parametrize(
    ("name", "python"), [("constraints.txt", "3.11"), ("constraints-newest.txt", "3.12")]
)
def test_constraints_pin_versions_and_nothing_else(name, python):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 50
    for line in pins:
        assert re.fullmatch(r"[\w.\-]+==[\w.+!]+ ; python_version == \"(3\.1[12])\"", line), line
        assert line.endswith(f'"{python}"')


def test_continuous_integration_calls_the_readmes_commands():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for name in re.findall(r"^  run_readme_command (\S+)$", script, flags=re.MULTILINE):
        command = README.split(f"<!-- {name} -->\n", 1)[1].split("```sh\n", 1)[1].split("\n", 1)[0]
        assert command.startswith("python -m pip install -c constraints.txt -e ")
    assert script.count("run_readme_command ") >= 2


def is_synthetic(words: list[str]) -> bool:
    text = " ".join(words)
    named = re.search(r"--dataset=(\w+)", text)
    if re.search(r"DIR|FILE", text):
        return False
    # A pretend database is made by an earlier command.
    return named is None or named[1] == "synthetic" or "runs/pretend" in text


# The full size on synthetic data is trained by other tests, the default flow is computed by
# test_golden: the programs of other small runs, and a third of the time.
SMALLER = {
    "experiments.loso": (*SHALLOW, "--folds_at_once=3"),
    "experiments.fit": SHALLOW,
    "input_pipeline.build": ("--flow=farneback",),
}
SYNTHETIC = [words for words in OURS if is_synthetic(words) and len(words) > 1]
OTHERS = [words for words in OURS if not is_synthetic(words)]


def test_readme_has_both_kinds_of_commands():
    assert len(SYNTHETIC) >= 3
    assert len(OTHERS) >= 5


def test_readmes_synthetic_commands_run(tmp_path):
    for words in SYNTHETIC:
        there = [word.replace("=runs/", f"={tmp_path}/") for word in words]
        there += SMALLER.get(words[0], ())
        finished = run_command(there[0], *there[1:], seconds=600)
        assert finished.status == 0, (words, finished.err)
    assert list(tmp_path.rglob("summary.json"))


@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_readmes_other_commands_parse(words):
    finished = run_command(*words, prepare=injected_faults.stop_after_parsing)
    assert finished.status == 0, finished.err
    # The control: the same command with a flag that does not exist.
    wrong = run_command(*words, "--no_such_flag", prepare=injected_faults.stop_after_parsing)
    assert_mistake(wrong, "no_such_flag")

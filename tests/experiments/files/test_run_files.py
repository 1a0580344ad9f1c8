"""The files of a run against damage: other scores never come out of a cut or edited file.

Modules tried here without being imported:
experiments.files.run_files.
"""

import os
import shutil
import subprocess
import sys

import injected_faults
import pytest
from command_runner import ROOT, Finished, assert_mistake, run_command
from small_runs import KEYS, SMALL, loso, rows, trained


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished") / "run"
    assert trained(workdir, "--eval_every=1").status == 0
    return workdir


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def first_lines(count):
    return lambda text: "".join(text.splitlines(keepends=True)[:count])


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("predictions.csv", first_lines(3), "says"),
        ("predictions.csv", first_lines(1), "holds 0 clips"),
        ("predictions.csv", lambda t: t.replace("\n0,", "\n7,", 1), "clips of"),
        ("predictions.csv", lambda t: t[: t.rindex(",")] + ",nan\n", "do not lie in 0..1"),
        ("metrics.jsonl", lambda t: "", "lacks epochs"),
        ("metrics.jsonl", first_lines(2), "lacks epochs"),
        ("metrics.jsonl", lambda t: t.replace("[[", "[[9, 9, 9], [", 1), "shape"),
        ("metrics.jsonl", lambda t: t.replace('"epoch": 1', '"epoch": Infinity', 1), "is damaged"),
        ("metrics.jsonl", lambda t: t.replace("{", "[]\n{", 1), "line 1: '[]' is no object"),
        ("metrics.jsonl", lambda t: t.replace("\n{", "\n{,", 1), "line 2: Expecting property"),
        ("metrics.jsonl", lambda t: t.replace("[[", "[[9], [", 1), "no counts, equally many"),
        ("predictions.csv", lambda t: t.replace(",negative,", ",sad,", 1), "'sad' is none of the"),
        ("folds.csv", lambda t: t.replace("finished", "broken", 1), "status"),
        ("config.json", lambda t: "[]", "it holds no object"),
        ("folds.csv", first_lines(3), "says nothing"),
        ("config.json", lambda t: t.replace('"folds":', '"fold":', 1), "is damaged"),
    ],
)
def test_a_cut_or_edited_file_is_refused_and_the_summary_kept(copy, name, edit, words):
    path = copy / name
    path.write_text(edit(path.read_text()))
    before = (copy / "summary.json").read_bytes()
    report = run_command("experiments.report", f"--workdir={copy}")
    assert_mistake(report, words)
    assert (copy / "summary.json").read_bytes() == before


def test_a_file_in_place_of_the_folder_is_named(copy):
    report = run_command("experiments.report", f"--workdir={copy / 'config.json'}")
    assert_mistake(report, "config.json' is a file; name the folder of a run")


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.replace('"size": 3', '"size": 0', 1),
        lambda t: t.replace('"size": 3', '"size": 2', 1),
        lambda t: t.replace(KEYS[0], KEYS[1], 1),
        lambda t: '{"chunks": []}',
    ],
)
def test_a_plan_that_does_not_fit_is_refused(copy, edit):
    path = copy / "plan.json"
    path.write_text(edit(path.read_text()))
    assert_mistake(loso(copy, "--eval_every=1"), "plan.json", "is damaged")


def test_a_finished_run_is_not_written_again(copy):
    names = ("predictions.csv", "folds.csv", "metrics.jsonl", "environment.json", "flags.txt")
    before = {name: (copy / name).stat().st_mtime_ns for name in names}
    assert loso(copy, "--eval_every=1").status == 0
    assert {name: (copy / name).stat().st_mtime_ns for name in names} == before


def test_files_of_a_first_start_that_died_are_made_good(copy, finished):
    for name in ("environment.json", "flags.txt", "predictions.csv"):
        (copy / name).unlink()
    assert loso(copy, "--eval_every=1").status == 0
    assert (copy / "flags.txt").read_bytes() == (finished / "flags.txt").read_bytes()
    assert (copy / "environment.json").exists()
    assert rows(copy / "predictions.csv") == rows(finished / "predictions.csv")


def test_a_report_never_lands_in_another_runs_workdir(copy, finished):
    before = (finished / "summary.json").read_bytes()
    report = run_command("experiments.report", f"--workdir={copy}", f"--output={finished}")
    assert_mistake(report, "is a run's workdir")
    assert (finished / "summary.json").read_bytes() == before


def test_a_part_of_the_data_set_is_called_a_part(finished):
    text = (finished / "summary.md").read_text()
    assert f"**A part only:** {len(KEYS)} of the data set's 24 subjects" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--arrays="], "--arrays is empty"),
        (["--shuffle_labels", "--seed=-1"], "--seed=-1"),
        (["--workdir", "--dry_run"], "--workdir has no value"),
        (["--workdir=~nobody-of-that-name/x", "--dry_run"], "home directory"),
    ],
)
def test_more_mistakes(arguments, words):
    assert_mistake(run_command("experiments.loso", *arguments), words)


def test_a_device_that_is_not_there_is_one_line(tmp_path):
    finished = loso(tmp_path / "run", prepare=injected_faults.ask_for_a_missing_device)
    assert_mistake(finished, "JAX finds no device", "JAX_PLATFORMS")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("variable", "words"),
    [("JAX_ENABLE_X64=maybe", "JAX cannot be loaded"), ("JAX_PLATFORMS= ", "finds no device")],
)
def test_a_variable_that_jax_refuses_is_one_line(tmp_path, variable, words):
    name, _, value = variable.partition("=")
    finished = subprocess.run(
        [sys.executable, "-m", "experiments.loso", *SMALL, f"--workdir={tmp_path / 'run'}"],
        cwd=ROOT,
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
    )
    assert_mistake(Finished(finished.returncode, finished.stdout, finished.stderr), words, "JAX_")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("experiments.benchmark", "--quick", "--output={}/new.json"),
        ("experiments.fit", *SMALL[:3], "--output={}/new"),
        ("experiments.predict", "--model_dir={}", "--clip={}", "--output={}/new"),
    ],
)
def test_no_command_loads_jax_before_its_variables_are_tried(tmp_path, words):
    finished = subprocess.run(
        [sys.executable, "-m", *(word.format(tmp_path) for word in words)],
        cwd=ROOT,
        env=os.environ | {"JAX_ENABLE_X64": "maybe"},
        capture_output=True,
        text=True,
    )
    found = Finished(finished.returncode, finished.stdout, finished.stderr)
    assert_mistake(found, "JAX cannot be loaded", "JAX_")
    assert not list(tmp_path.iterdir())


def test_a_chunk_copied_from_another_run_is_trained_again(finished, copy, tmp_path):
    other = tmp_path / "other"
    assert loso(other, "--eval_every=1", "--learning_rate=1e-3").status == 0
    for path in (other / "chunks").glob("chunk-0001.npz*"):
        shutil.copy(path, copy / "chunks")
    assert loso(copy, "--eval_every=1").status == 0
    for name in ("predictions.csv", "metrics.jsonl"):
        assert (copy / name).read_bytes() == (finished / name).read_bytes(), name


def report_from_a_shell(workdir, command, **variables):
    """Exit status and stderr of experiments.report under `command`, a line of a shell."""
    words = f"{sys.executable} -m experiments.report --workdir={workdir} {command}"
    finished = subprocess.run(
        words, shell=True, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True
    )
    return finished.returncode, finished.stderr


def test_a_notebooks_backend_and_closed_streams_harm_nothing(copy):
    (copy / "curves.png").unlink()
    shell = report_from_a_shell(copy, "", MPLBACKEND="module://matplotlib_inline.backend_inline")
    assert shell == (0, "")
    assert (copy / "curves.png").exists()
    assert report_from_a_shell(copy, ">&-") == (0, "")
    assert report_from_a_shell(copy, ">&- 2>&-") == (0, "")


def test_the_shells_jax_settings_change_no_byte(finished, tmp_path):
    disturbed = tmp_path / "run"
    run = loso(disturbed, "--eval_every=1", prepare=injected_faults.disturb_jax_settings)
    assert run.status == 0, run.err
    for name in ("predictions.csv", "metrics.jsonl"):
        assert (disturbed / name).read_bytes() == (finished / name).read_bytes(), name

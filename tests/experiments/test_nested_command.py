"""Inner selection by command: what it writes and reports, and the mistakes that it names."""

import dataclasses
import json

import pytest
from command_runner import assert_mistake, run_command
from nested_problem import clips_of, run_of
from small_runs import rows

from input_pipeline.storage import arrays_file


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "lab.npz"
    arrays_file.save_arrays(clips_of(), path)
    return path


def test_the_command_writes_and_reports_every_figure(arrays, tmp_path):
    candidates = tmp_path / "candidates.txt"
    candidates.write_text("# two lengths\n--epochs=3\n--epochs=2 --schedule=onecycle\n")
    workdir = tmp_path / "run"
    command = (
        "experiments.loso",
        f"--arrays={arrays}",
        "--model=small",
        "--base_dim=8",
        "--select=inner",
        "--inner_folds=2",
        f"--candidates={candidates}",
        "--subjects=lab/s1,lab/s4",
        f"--workdir={workdir}",
    )
    finished = run_command(*command)
    assert finished.status == 0, finished.err
    assert "2 candidate(s) x 2 inner folds x 2 folds = 8 trainings" in finished.out
    columns = (workdir / "folds.csv").read_text().splitlines()[0].split(",")
    assert columns[-3:] == ["epochs", "candidate", "inner_score"]
    lines = ["--epochs=3", "--epochs=2 --schedule=onecycle"]
    assert {row["candidate"] for row in rows(workdir / "folds.csv")} <= set(lines)
    summary = json.loads((workdir / "summary.json").read_text())
    best = summary["best_candidate_on_test"]
    assert best["candidate"] in lines
    assert best["inflation"]["uf1"] == pytest.approx(best["uf1"] - summary["pooled"]["uf1"])
    report = (workdir / "summary.md").read_text()
    for figure in ("nested", "last epoch: --epochs=3", "no result", "inflation", "choices.png"):
        assert figure in report, figure
    # Each candidate outside is a run that can be reported by itself.
    outer = run_command(
        "experiments.report", f"--workdir={workdir / 'outer' / '0'}", f"--output={tmp_path / 'one'}"
    )
    assert outer.status == 0, outer.err
    again = run_command(*command)
    assert again.status == 0, again.err
    assert "compiled" not in again.out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--epoch=3", "'--epoch=3' is no setting to choose"),
        ("--epochs=0", "--epochs=0 is out of range"),
        ("--dropout=0.2 --dropout=x", "'x' is no value of --dropout"),
        ("--pretrain=synthetic", None),
    ],
)
def test_mistakes_in_candidates_are_told_before_anything_is_trained(arrays, tmp_path, line, says):
    candidates = tmp_path / "candidates.txt"
    candidates.write_text(line + "\n")
    arguments = [
        "experiments.loso",
        f"--arrays={arrays}",
        "--model=small",
        "--select=inner",
        f"--candidates={candidates}",
        f"--workdir={tmp_path / 'run'}",
    ]
    if says is None:
        # The layout quad has no such start.
        quad = tmp_path / "quad.npz"
        arrays_file.save_arrays(dataclasses.replace(clips_of(), layout="quad"), quad)
        arguments[1] = f"--arrays={quad}"
        arguments.append("--layout=quad")
        says = "--pretrain=synthetic makes maps of the layout whole"
    assert_mistake(run_command(*arguments), says)
    assert not (tmp_path / "run").exists()


def test_a_report_says_what_our_recipe_was_developed_on():
    run = run_of(clips_of())
    ours = dataclasses.replace(run, recipe="ours")
    composite = dataclasses.replace(ours, spec=dataclasses.replace(run.spec, dataset="megc2019"))
    told = [
        any("developed on the 442 clips" in note for note in one.notes())
        for one in (run, ours, composite)
    ]
    assert told == [False, False, True]

"""A study from the command line to its table: repeat, add settings, kill and resume, refusals.

Modules tried here without being imported:
experiments.studies.setting_runs, experiments.studies.report, experiments.studies.picture.
"""

import json
import os
import shutil
import signal

import pytest
import restart_faults
from command_runner import assert_mistake, run_command
from small_runs import KEYS, rows

from experiments.scores.reporting import SUMMARY_FILE

TINY = ("--dataset=synthetic", "--base_dim=6", "--epochs=2", "--checkpoint_minutes=0")
PART = f"--subjects={','.join(KEYS[::2])}"
# Chunks of three folds everywhere: what one test compiles others find.
SHALLOW = ("--study=batch_size", "--settings=64,512", "--blocks=0", "--folds_at_once=3")
BATCHES = (*SHALLOW, "--num_seeds=2", PART)


def ablation(workdir, *arguments, **options):
    return run_command("experiments.ablation", *TINY, *arguments, f"--workdir={workdir}", **options)


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """Figure 4's study: two batch sizes, two seeds, three folds."""
    workdir = tmp_path_factory.mktemp("study") / "batches"
    finished = ablation(workdir, *BATCHES, "--eval_every=1", pictures=True)
    assert finished.status == 0, finished.err
    return workdir, finished


def test_every_setting_is_a_run_and_a_row(batches):
    workdir, finished = batches
    for number, size in enumerate(("64", "512"), start=1):
        assert f"setting {number} of 2: {size} (--batch_size={size})" in finished.out
        stored = json.loads((workdir / size / "config.json").read_text())["config"]
        assert stored["train_config"]["batch_size"] == int(size)
        assert stored["seeds"] == [0, 1]
    table = rows(workdir / "ablation.csv")
    assert [row["setting"] for row in table] == ["64", "512"]
    for row in table:
        summary = json.loads((workdir / row["setting"] / SUMMARY_FILE).read_text())
        pooled, deviation = summary["pooled"], summary["pooled_std"]
        best = summary["optimistic_best_epoch_on_test"]
        for score in ("uf1", "uar", "accuracy"):
            assert float(row[score]) == pytest.approx(pooled[score], abs=1e-6)
            assert float(row[f"{score}_std"]) == pytest.approx(deviation[score], abs=1e-6)
        for score in ("uf1", "uar"):
            assert float(row[f"optimistic_{score}"]) == pytest.approx(best[score], abs=1e-6)
        assert (row["seeds"], row["failed_folds"], row["data"]) == ("2", "0", "PRETEND")
    # Both networks are the same one.
    assert len({row["parameters"] for row in table}) == 1
    assert (workdir / "ablation.png").read_bytes().startswith(b"\x89PNG")
    page = (workdir / "ablation.md").read_text()
    assert page.startswith("# PRETEND data: Ablation, batch size: ahmsa on ")
    assert "Repeats Figure 4" in page
    assert "A part only:" in page
    # Neither the paper's words nor its figures stand beside pretend data.
    assert "says of it in words" not in page
    assert "0.8040" not in page


def test_a_settings_own_flags_repeat_it(batches, tmp_path):
    """Same bytes from experiments.loso with the flags that the setting's run noted."""
    workdir, _ = batches
    flagfile = workdir / "64" / "flags.txt"
    assert not {"--study", "--settings"} & {
        line.partition("=")[0] for line in flagfile.read_text().splitlines()
    }
    alone = run_command(
        "experiments.loso", f"--flagfile={flagfile}", f"--workdir={tmp_path / 'alone'}"
    )
    assert alone.status == 0, alone.err
    for name in ("predictions.csv", "metrics.jsonl", "config.json"):
        own = (workdir / "64" / name).read_bytes()
        assert (tmp_path / "alone" / name).read_bytes() == own


def test_a_finished_study_is_read_and_another_setting_joins_it(batches, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(batches[0], workdir)
    before = (workdir / "64" / "summary.md").stat().st_mtime_ns
    again = ablation(workdir, *BATCHES, "--eval_every=1")
    assert again.status == 0, again.err
    assert again.err == ""
    assert (workdir / "64" / "summary.md").stat().st_mtime_ns == before
    assert (workdir / "ablation.csv").read_bytes() == (batches[0] / "ablation.csv").read_bytes()
    more = ablation(workdir, *BATCHES, "--eval_every=1", "--settings=256")
    assert more.status == 0, more.err
    assert [row["setting"] for row in rows(workdir / "ablation.csv")] == ["64", "256", "512"]
    other = ablation(workdir, *BATCHES, "--eval_every=1", "--epochs=3")
    assert_mistake(other, "holds a run with other settings", "epochs: stored 2, now 3")
    blocks = ablation(workdir, "--study=blocks", PART)
    assert_mistake(blocks, 'study: stored "batch_size", now "blocks"')
    # What is finished may be shown by any version, more is trained by the study's own.
    options = {"prepare": restart_faults.other_version}
    newer = ablation(workdir, *BATCHES, "--eval_every=1", "--settings=32", **options)
    assert_mistake(newer, "another code version", "code.ahmsa_jax")
    assert ablation(workdir, *BATCHES, "--eval_every=1", **options).status == 0
    report = run_command("experiments.report", f"--workdir={workdir}")
    assert_mistake(report, "holds the study batch_size", "one of its settings")


def test_figure_5s_study_at_tiny_size(tmp_path):
    """Its first configuration, one fold and one epoch: ten blocks."""
    one_fold = ("--epochs=1", "--num_seeds=1", f"--subjects={KEYS[0]}")
    finished = ablation(tmp_path / "study", "--study=blocks", "--settings=1-1-8", *one_fold)
    assert finished.status == 0, finished.err
    (row,) = rows(tmp_path / "study" / "ablation.csv")
    assert (row["setting"], row["flags"], row["uf1_std"]) == ("1-1-8", "blocks=1,1,8", "")
    stored = json.loads((tmp_path / "study" / "1-1-8" / "config.json").read_text())["config"]
    assert stored["model_config"]["blocks"] == [1, 1, 8]
    assert "Repeats Figure 5" in (tmp_path / "study" / "ablation.md").read_text()


def killed_in_the_second_chunk_of_the_second_setting():
    """As by kill -9, in the fourth of the chunks that are trained."""
    from ahmsa_jax.training.engine import Engine

    honest_start, honest_run = Engine.start, Engine.run_epochs
    started = []

    def start(self, jobs, given=None):
        started.append(jobs)
        return honest_start(self, jobs, given)

    def run_epochs(self, *arguments):
        losses = honest_run(self, *arguments)
        if len(started) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return losses

    Engine.start, Engine.run_epochs = start, run_epochs


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(tmp_path):
    flags = (*SHALLOW, "--num_seeds=1", f"--subjects={','.join(KEYS)}")
    whole = ablation(tmp_path / "whole", *flags)
    assert whole.status == 0, whole.err
    fault = killed_in_the_second_chunk_of_the_second_setting
    killed = ablation(tmp_path / "killed", *flags, prepare=fault)
    assert killed.status == -signal.SIGKILL
    assert (tmp_path / "killed" / "64" / SUMMARY_FILE).exists()
    assert not (tmp_path / "killed" / "512" / SUMMARY_FILE).exists()
    assert not (tmp_path / "killed" / "ablation.csv").exists()
    resumed = ablation(tmp_path / "killed", *flags)
    assert resumed.status == 0, resumed.err
    assert "resuming: 3 folds are finished already" in resumed.out
    for size in ("64", "512"):
        for name in ("predictions.csv", "metrics.jsonl"):
            found = (tmp_path / "killed" / size / name).read_bytes()
            assert found == (tmp_path / "whole" / size / name).read_bytes()
    tables = [rows(tmp_path / name / "ablation.csv") for name in ("whole", "killed")]
    for table in tables:
        for row in table:
            # How long it took is its own.
            del row["seconds"]
    assert tables[0] == tables[1]


def second_fold_of_a_chunk_fails():
    from injected_faults import poison_second_fold

    poison_second_fold()


def test_a_failed_fold_leaves_3_and_the_others_go_on(tmp_path):
    flags = (*SHALLOW, "--num_seeds=1", PART)
    finished = ablation(tmp_path / "study", *flags, prepare=second_fold_of_a_chunk_fails)
    assert finished.status == 3, finished.err
    assert [row["failed_folds"] for row in rows(tmp_path / "study" / "ablation.csv")] == ["1", "1"]
    # Shown again, it says so again.
    assert ablation(tmp_path / "study", *flags).status == 3


def test_the_factors_of_maps_of_36_pixels(tmp_path):
    """9x9, 3x3 and 1x1 patches beside 4x4, 2x2 and 1x1, on maps made for it."""
    flags = ("--study=scale_factor", "--blocks=0,0,0", "--num_seeds=1", "--base_dim=6")
    flags += ("--epochs=1", f"--subjects={KEYS[0]}")
    workdir = tmp_path / "study"
    words = (*flags, f"--workdir={workdir}")
    finished = run_command("experiments.ablation", *words)
    assert finished.status == 0, finished.err
    for name, factor, patch in (("factor-2", 2, 9), ("factor-3", 3, 4)):
        stored = json.loads((workdir / name / "config.json").read_text())["config"]
        network = stored["model_config"]
        assert (network["image_size"], network["scale_factor"], network["patch_size"]) == (
            *(36, factor),
            patch,
        )
        assert (stored["train_config"]["batch_size"], stored["layout"]) == (32, "whole_36")
    first, second = rows(workdir / "ablation.csv")
    # The patches differ in size, and nothing else of the network does.
    assert int(first["parameters"]) - int(second["parameters"]) == 6 * 3 * (9**2 - 4**2)


def test_a_dry_run_prints_every_settings_plan_and_writes_nothing(tmp_path):
    finished = ablation(tmp_path / "study", *BATCHES, "--dry_run")
    assert finished.status == 0, finished.err
    assert "study: 2 settings x 2 seeds x 3 folds = 12 trainings" in finished.out
    assert finished.out.count("plan: ") >= 2
    assert finished.out.count("estimated training time") == 2
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["--study is missing", "batch_size|blocks|scale_factor|modules"]),
        (["--study=width"], ["--study=width", "batch_size|blocks"]),
        (["--study=blocks", "--settings=9-9"], ["--settings names '9-9'", "1-1-8, 2-2-8, 3-3-8"]),
        (["--study=blocks", "--settings="], ["--settings names ''"]),
        (["--study=blocks", "--blocks=1,1,8"], ["--blocks is what --study=blocks varies"]),
        (["--study=modules", "--pooling=average"], ["--pooling is what --study=modules varies"]),
        (["--study=blocks", "--model=htnet"], ["--model=htnet: the studies are of --model=ahmsa"]),
        (["--study=blocks", "--shard=0/2"], ["--shard is not for a study"]),
        (["--study=blocks", "--cluster=auto"], ["--cluster is not for a study"]),
        (["--study=blocks", "--select=inner"], ["--select=inner chooses settings"]),
        (["--study=blocks", "--candidates=x"], ["--candidates is not for a study"]),
        (["--study=blocks", "--workdir="], ["--workdir is empty"]),
        (["--study=blocks", "--train_share=0.5"], ["--num_seeds=3"]),
        (["--study=scale_factor", "--map_size=28"], ["--map_size is what"]),
        (["--study=scale_factor", "--dataset=samm"], ["whole_36", "input_pipeline.build"]),
        (["--study=batch_size", "--heads=500"], ["--heads=500"]),
    ],
)
def test_mistakes(arguments, parts):
    assert_mistake(run_command("experiments.ablation", *arguments), *parts)

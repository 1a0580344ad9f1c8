"""A run ended at any moment goes on to the same bytes; what cannot be trusted is not used.

Modules tried here without being imported:
experiments.schedule.trainer.
"""

import os
import re
import time

import blank_pictures
import pytest
import restart_faults
from command_runner import assert_mistake, run_command
from small_runs import loso, trained

from experiments.files import checkpoints

# A checkpoint after each dispatch; the faults make that each epoch.
LONG = ("--epochs=12", "--eval_every=1", "--checkpoint_minutes=0.00001")


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    """Predictions and curve of the undisturbed run."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    finished = loso(workdir, *LONG)
    assert finished.status == 0, finished.err
    return files_of(workdir)


def files_of(workdir):
    return [(workdir / name).read_bytes() for name in ("predictions.csv", "metrics.jsonl")]


def epochs_kept(workdir):
    folder = workdir / checkpoints.FOLDER / "chunk-0000"
    return sorted(int(item.name.removeprefix("epoch-")) for item in folder.iterdir())


def assert_one_line(finished, line):
    said = [words for words in finished.err.splitlines() if words.startswith("experiments.loso")]
    assert len(said) == 1, finished.err
    assert re.fullmatch(line, said[0]), said[0]
    assert "Traceback" not in finished.err


@pytest.mark.parametrize(
    ("fault", "status", "name"),
    [
        (restart_faults.sigterm_after_five_epochs, 143, "SIGTERM"),
        (restart_faults.ctrl_c_after_five_epochs, 130, "Ctrl-C"),
    ],
)
def test_a_signal_saves_and_leaves_and_the_run_goes_on(tmp_path, wanted, fault, status, name):
    # Only the signal saves.
    stopped = loso(tmp_path / "run", *LONG, "--checkpoint_minutes=60", prepare=fault)
    assert stopped.status == status, stopped.err
    assert_one_line(
        stopped,
        rf"experiments\.loso: stopped by {name}; 0 of 6 folds are finished; epoch [56] of 12 of "
        "chunk 0 is saved; the same command goes on from there.",
    )
    kept = epochs_kept(tmp_path / "run")
    assert kept in ([5], [6])
    resumed = loso(tmp_path / "run", *LONG)
    assert resumed.status == 0, resumed.err
    assert f"folds 0/6, epoch {kept[0]}/12: {round(100 * kept[0] / 24)}%" in resumed.err
    assert "cannot be trusted" not in resumed.err
    assert files_of(tmp_path / "run") == wanted
    assert not (tmp_path / "run" / checkpoints.FOLDER).exists()


@pytest.mark.parametrize(
    ("fault", "status", "seconds"),
    [
        (restart_faults.ctrl_c_twice_in_an_endless_dispatch, 130, 30),
        (restart_faults.sigterm_in_an_endless_dispatch, 143, 30),
    ],
)
def test_a_dispatch_without_end_is_left_with_the_checkpoint_before_it(
    tmp_path, wanted, fault, status, seconds
):
    began = time.monotonic()
    stopped = loso(tmp_path / "run", *LONG, prepare=fault)
    assert stopped.status == status, stopped.err
    # The dispatch would have taken 100 s.
    assert time.monotonic() - began < seconds + 60
    assert_one_line(stopped, r".*; epoch 4 of 12 of chunk 0 is saved; .*")
    assert epochs_kept(tmp_path / "run") == [3, 4]
    assert loso(tmp_path / "run", *LONG).status == 0
    assert files_of(tmp_path / "run") == wanted


def test_without_checkpoints_a_signal_leaves_the_finished_chunks(tmp_path):
    stopped = loso(
        tmp_path / "run",
        *LONG,
        "--checkpoint_minutes=0",
        prepare=restart_faults.sigterm_after_five_epochs,
    )
    assert stopped.status == 143, stopped.err
    assert_one_line(stopped, r".*; 0 of 6 folds are finished; the same command goes on.*")
    assert not (tmp_path / "run" / checkpoints.FOLDER).exists()


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def largest_file(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=os.path.getsize)


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_flipped_bit_leads_back_to_the_checkpoint_before_or_to_the_start(
    tmp_path, wanted, damaged
):
    stopped = trained(tmp_path / "run", *LONG, prepare=restart_faults.sigterm_after_five_epochs)
    assert stopped.status == 143, stopped.err
    folder = tmp_path / "run" / checkpoints.FOLDER / "chunk-0000"
    older, newest = epochs_kept(tmp_path / "run")
    for epoch in (newest, older)[:damaged]:
        flip(largest_file(folder / f"epoch-{epoch:06d}"))
    resumed = loso(tmp_path / "run", *LONG)
    assert resumed.status == 0, resumed.err
    lines = [line for line in resumed.err.splitlines() if "cannot be trusted" in line]
    start = f"goes on from epoch {older}" if damaged == 1 else "starts anew"
    assert len(lines) == 1
    assert lines[0].startswith(f"chunk 0 {start}: the checkpoint of epoch {newest} (state/")
    assert "another SHA-256 than when it was written" in lines[0]
    assert files_of(tmp_path / "run") == wanted


def test_kills_and_flips_in_short():
    """The whole of it is `python -m experiments.kill_test`."""
    words = ("--kills=1", "--flips=3", "--epochs=6")
    prepare = blank_pictures.draw_blank_in_children
    finished = run_command("experiments.kill_test", *words, prepare=prepare)
    assert finished.status == 0, (finished.out, finished.err)
    assert "1 SIGKILLs: 1 of 1 runs ended byte-equal" in finished.out
    assert re.search(
        r"3 bit flips and \d\d+ halved, .* files: \d+ refused, \d harmless, 0 ", finished.out
    )


def test_unfinished_run_of_other_code_is_refused_and_a_finished_one_is_shown(tmp_path):
    stopped = trained(tmp_path / "run", *LONG, prepare=restart_faults.sigterm_after_five_epochs)
    assert stopped.status == 143
    other = loso(tmp_path / "run", *LONG, prepare=restart_faults.other_version)
    assert_mistake(other, "another code version", "code.ahmsa_jax: stored", 'now "0.0.1"')
    assert_mistake(
        loso(tmp_path / "run", *LONG, "--folds_at_once=2"), "folds_at_once: stored 3, now 2"
    )
    assert loso(tmp_path / "run", *LONG).status == 0
    shown = loso(tmp_path / "run", *LONG, prepare=restart_faults.other_version)
    assert shown.status == 0, shown.err
    assert "6 of 6 folds finished" in shown.out


def test_a_full_disk_in_a_checkpoint_is_said_and_the_run_goes_on_afterwards(tmp_path, wanted):
    full = loso(tmp_path / "run", *LONG, prepare=restart_faults.files_of_12000_bytes_at_most)
    assert full.status == 2, full.err
    assert_one_line(full, r".*checkpoints/chunk-0000/epoch-000001/state.* bytes are needed .*")
    assert loso(tmp_path / "run", *LONG).status == 0
    assert files_of(tmp_path / "run") == wanted


def test_minutes_out_of_range_are_refused():
    for value in ("-1", "nan", "1e9"):
        finished = run_command("experiments.loso", f"--checkpoint_minutes={value}")
        assert_mistake(finished, "--checkpoint_minutes=", "0 (never)")

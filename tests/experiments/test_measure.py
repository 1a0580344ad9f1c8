"""The command that measures what waits for a GPU, rehearsed on the CPU at tiny sizes.

Modules tried here without being imported:
experiments.measuring.tables, experiments.measuring.timed.
"""

import json

import blank_pictures
import numpy as np
import pytest
from command_runner import assert_mistake, run_command

from experiments.measuring import entries
from experiments.measuring.store import FILE, MOST_BYTES, MOST_FILES, Store
from input_pipeline.maps import synthetic
from input_pipeline.storage import arrays_file

HASHES = {
    layout: synthetic.make(layout, "small").content_hash()
    for layout in ("five", "quad_htnet", "whole")
}
CUT = entries.RUNS["68 folds, tf32"]


def test_a_rehearsal_measures_every_entry(tmp_path):
    store = Store(tmp_path, rehearsal=True, data=HASHES | {entries.CASME3: HASHES["five"]})
    # One of the runs in two parts, as all are at full size.
    store.cut_finer(CUT.slug, 2)
    command = ("experiments.measure", "--rehearse", "--minutes=60", f"--output={tmp_path}")
    # Fourteen reports, which nobody looks at.
    finished = run_command(*command, prepare=blank_pictures.draw_blank_in_children)
    assert finished.status == 0, finished.err
    measured = json.loads((tmp_path / FILE).read_text())
    assert set(measured["parts"]) == {entry.name for entry in entries.ENTRIES}
    assert (measured["failed"], measured["overran"]) == ({}, {})
    assert "not measured" not in finished.out
    assert "REHEARSAL" in finished.out
    assert finished.err.count("synthetic data") == 1
    # The date by which fill_measured keeps the file, and the machine of each number.
    assert all(part["environment"]["started"] for part in measured["parts"].values())
    check_programs(measured["parts"])
    check_runs(measured["parts"])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) <= MOST_FILES
    assert all(path.stat().st_size < MOST_BYTES for path in files)

    # The same command again measures nothing, and another measurement leaves the folder alone.
    before = (tmp_path / FILE).read_bytes()
    again = run_command(*command)
    assert (again.status, again.out) == (0, finished.out)
    other = run_command("experiments.measure", f"--output={tmp_path}")
    assert_mistake(other, "was measured with rehearsal=True", "name another --output")
    assert (tmp_path / FILE).read_bytes() == before


def check_programs(parts):
    gaps = parts["correctness"]["gaps_nats"]
    # On a CPU tf32 is float32.
    assert gaps["torch"] < 1e-5
    assert gaps["tf32"] == 0
    assert 0 < gaps["bfloat16"] < 0.05
    assert len(parts["correctness"]["losses"]) == 5
    own = parts["correctness of own kernels"]["gaps_nats"]
    assert own.keys() == {"fused_update", "fused_layers"}
    assert max(own.values()) < 1e-6
    assert parts["checkpoint and resume"]["byte_equal"]
    for name in ("benchmark: tf32", "benchmark: PyTorch eager"):
        rounds = parts[name]["seconds_by_round"]
        assert parts[name]["seconds_per_fold_step"] == pytest.approx(np.median(rounds))


def check_runs(parts):
    cut, other = parts[CUT.name], parts["68 folds, tf32, seed 1"]
    assert (cut["shards"], other["shards"]) == (2, 1)
    for facts in (cut, other):
        assert (facts["folds"], facts["pooled"]["n"]) == (2, 39)
        # Two epochs of two folds; 160 clips are one batch.
        assert facts["fold_steps"] == 4
    assert cut["pooled"]["uf1"] != other["pooled"]["uf1"], "the seeds differ"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["--output is missing"]),
        (["--output=x", "--minutes=0"], ["--minutes"]),
        (["--output=x", "--arrays=/nonexistent.npz"], ["/nonexistent.npz"]),
        (["--output=x", "stray"], ["unexpected argument"]),
    ],
)
def test_mistakes_are_one_line(arguments, parts):
    assert_mistake(run_command("experiments.measure", *arguments), *parts)


def test_arrays_of_one_layout_are_not_enough(tmp_path):
    path, output = tmp_path / "five.npz", tmp_path / "output"
    arrays_file.save_arrays(synthetic.make("five", "small"), path)
    finished = run_command("experiments.measure", f"--output={output}", f"--arrays={path}")
    assert_mistake(finished, "holds the layouts five", "five, quad_htnet, whole")
    assert not output.exists()

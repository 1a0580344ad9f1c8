"""Methods without a network beside a run: on its own clips and folds, or a sentence why not."""

import csv
import dataclasses
import json

import pytest
import written_runs
from command_runner import assert_mistake, run_command
from small_runs import KEYS, rows, trained

from experiments.files.run_files import read_predictions
from experiments.scores import paired, without_network
from experiments.scores.summary import read_records

BOTH = ("majority", "svm_maps")


@pytest.fixture(scope="module")
def classical(tmp_path_factory):
    """Finished runs of three methods on the synthetic clips, with true and shuffled labels."""
    folder = tmp_path_factory.mktemp("classical")
    for name, method, *flags in (
        ("kernel", "kernel_flow"),
        ("svm", "svm_maps"),
        ("most", "majority"),
        ("parts", "kernel_flow", "--split=kfold", "--folds=3"),
        ("shuffled", "kernel_flow", "--shuffle_labels", "--seed=3"),
    ):
        finished = run_command(
            "experiments.classical", f"--method={method}", f"--workdir={folder / name}", *flags
        )
        assert finished.status == 0, finished.err
    return folder


def answers(records):
    return sorted((row.subject_key, row.clip, row.label, row.prediction) for row in records)


def test_they_say_what_their_own_runs_say(classical, tmp_path):
    runs = {"kernel": read_records([classical / "kernel"])}
    results, of_run, missing = without_network.beside(runs, tmp_path)
    assert tuple(results) == BOTH
    assert missing == []
    assert of_run["kernel"] == results
    for method, workdir in (("svm_maps", "svm"), ("majority", "most")):
        own = read_predictions(classical / workdir)[1]
        assert answers(results[method].predictions) == answers(own)
    sentence = without_network.added("kernel", runs["kernel"], of_run["kernel"])[1]
    found = paired.compare(runs["kernel"].predictions, results["svm_maps"].predictions, 3)
    assert f"adds {found.uf1_difference:+.4f} UF1 to svm_maps on the same 160 clips" in sentence
    assert f"({'95 % interval'} {found.interval[0]:+.4f} to {found.interval[1]:+.4f}" in sentence


def test_runs_of_the_same_folds_share_them_and_others_do_not(classical, tmp_path):
    names = ("kernel", "svm", "parts", "shuffled")
    runs = {name: read_records([classical / name]) for name in names}
    results, of_run, missing = without_network.beside(runs, tmp_path)
    assert missing == []
    assert of_run["kernel"]["majority"] is of_run["svm"]["majority"]
    # A run of a method is not set beside itself.
    assert set(of_run["svm"]) == {"majority"}
    assert len({id(by_method["majority"]) for by_method in of_run.values()}) == 3
    assert {
        f"{method} for {run}" for method in BOTH for run in ("kernel", "parts", "shuffled")
    } == (set(results))
    for name in names:
        sentences = without_network.added(name, runs[name], of_run[name])
        assert len(sentences) == len(of_run[name])


def test_a_network_and_a_part_of_its_folds(tmp_path):
    trained(tmp_path / "run")
    output = tmp_path / "out"
    finished = run_command(
        "experiments.compare", f"--workdirs={tmp_path / 'run'}", f"--output={output}"
    )
    assert finished.status == 0, finished.err
    assert "run (PRETEND) adds" in finished.out
    assert "UF1 to svm_maps on the same" in finished.out
    with (output / "paired.csv").open(encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file))
    assert [pair["second run"] for pair in pairs] == [f"{name} (PRETEND)" for name in BOTH]
    assert {int(pair["subjects"]) for pair in pairs} == {len(KEYS)}
    text = (output / "comparison.md").read_text()
    assert "svm_maps (PRETEND), computed here" in text
    sources = {row["source"] for row in rows(output / "comparison.csv")}
    assert {"majority (PRETEND), computed here", "run run (PRETEND)"} <= sources
    without = run_command(
        "experiments.compare",
        f"--workdirs={tmp_path / 'run'}",
        f"--output={output}",
        "--nobaselines",
    )
    assert without.status == 0, without.err
    assert "majority" not in without.out


def test_a_data_set_that_is_not_at_hand_is_one_sentence(tmp_path, classical):
    one = {"casme2/a": ((0, 1), (0, 1)), "samm/b": ((1, 2), (1, 2))}
    workdir = written_runs.write(tmp_path / "there", [one], dataset="megc2019")
    other = written_runs.write(tmp_path / "other", [one])
    runs = {"there": read_records([workdir]), "other": read_records([other])}
    results, of_run, missing = without_network.beside(runs, tmp_path)
    assert (results, of_run) == ({}, {})
    assert missing[0].startswith("there stands without majority and svm_maps: the data set")
    assert "is not built yet" in missing[0]
    assert missing[1] == (
        "other stands without majority and svm_maps: the data set synthetic/five made here holds "
        "other clips than the run had."
    )
    # A split of somebody's own.
    stored = json.loads((classical / "parts" / "config.json").read_text())
    records = read_records([classical / "parts"])
    assert stored["config"]["split"] == "kfold"
    own = dataclasses.replace(records, spec=dataclasses.replace(records.spec, split="odd"))
    *_, (sentence,) = without_network.beside({"own": own}, tmp_path)
    assert sentence.endswith("its split odd is not known here.")


def test_an_empty_folder_of_data_sets_is_a_mistake(classical):
    flags = (f"--workdirs={classical / 'svm'}", "--data_dir=")
    assert_mistake(run_command("experiments.compare", *flags), "--data_dir is empty")

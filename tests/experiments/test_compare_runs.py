"""experiments.compare: paired statistics by hand, the published rows, and what the command says.

Modules tried here without being imported:
experiments.scores.comparison.
"""

import csv
import json
import re

import numpy as np
import pytest
import written_runs
from command_runner import assert_mistake, run_command
from PIL import Image

from ahmsa_jax.metrics import f1_per_class, pooled_scores
from experiments.files.run_files import read_predictions
from experiments.run.spec import config_hash
from experiments.scores import comparison_rows, paired
from experiments.scores.published import rows as published_rows
from experiments.scores.summary import read_records

# Two clips each of three subjects, and answers of two runs.
TRUTH = {"casme2/a": (0, 1), "samm/b": (2, 0), "smic/c": (1, 2)}
GOOD = {key: (truth, truth) for key, truth in TRUTH.items()}
POOR = {key: (truth, (0, 0)) for key, truth in TRUTH.items()}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # 2 (1 + 9) / 2^9; 2 (1) / 2^5; an even split; nobody.
        (1, 8, 20 / 512),
        (8, 1, 20 / 512),
        (0, 5, 2 / 32),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_by_hand(first, second, expected):
    assert paired.mcnemar(first, second) == expected


def test_mcnemar_of_many_clips_does_not_overflow():
    # 2000 clips fall to one side: 2 / 2^2000 is below the smallest number, not an error.
    assert paired.mcnemar(0, 2000) == 0.0
    assert paired.mcnemar(1000, 1000) == 1.0


def test_uf1_of_many_is_that_of_each():
    counts = np.random.default_rng(0).integers(0, 5, (7, 2, 3, 3))
    counts[0, 0] = 0
    expected = [[pooled_scores(one).uf1 for one in row] for row in counts]
    np.testing.assert_allclose(f1_per_class(counts).mean(axis=-1), expected, rtol=1e-12)


def test_bootstrap_interval_is_that_of_all_draws():
    """Three subjects: all 27 equally likely draws can be listed."""
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 4, (2, 3, 1, 3, 3))
    draws = np.stack(np.meshgrid(*[range(3)] * 3), axis=-1).reshape(-1, 3)
    differences = [
        pooled_scores(first[draw].sum(axis=(0, 1))).uf1
        - pooled_scores(second[draw].sum(axis=(0, 1))).uf1
        for draw in draws
    ]
    low, high = paired.bootstrap_interval(first, second, draws=40_000)
    expected = np.percentile(np.repeat(differences, 1000), paired.INTERVAL)
    np.testing.assert_allclose((low, high), expected, atol=1e-9)
    assert paired.bootstrap_interval(first, first) == (0.0, 0.0)


def test_paired_by_hand(tmp_path):
    workdirs = [
        written_runs.write(tmp_path / "good", [GOOD, POOR]),
        written_runs.write(tmp_path / "poor", [POOR]),
    ]
    first, second = (read_predictions(workdir)[1] for workdir in workdirs)
    assert paired.difference_of_clips(first, second) is None
    found = paired.compare(first, second, 3)
    # The lowest seed of the first run is right everywhere, the second run twice of six.
    assert (found.clips, found.subjects) == (6, 3)
    assert (found.only_first_right, found.only_second_right) == (4, 0)
    assert found.p_value == 2 / 16
    # Always "negative": F1 2*2 / (2*2 + 4 + 0) = 1/2 of that class, 0 of the others.
    np.testing.assert_allclose(found.uf1_difference, (1 + 1 / 6) / 2 - 1 / 6)


def test_other_clips_and_other_labels_are_told_apart(tmp_path):
    fewer = {key: GOOD[key] for key in list(GOOD)[:2]}
    relabelled = GOOD | {"smic/c": ((1, 1), (1, 2))}
    rows = [
        read_predictions(written_runs.write(tmp_path / str(number), [answers]))[1]
        for number, answers in enumerate((GOOD, fewer, relabelled))
    ]
    assert "2 clips are in the first only" in paired.difference_of_clips(rows[0], rows[1])
    assert "1 clips have other labels" in paired.difference_of_clips(rows[0], rows[2])


def test_published_rows_are_those_of_the_papers():
    rows = published_rows()
    found = {(row["paper"], row["table"], row["method"], row["part"]): row for row in rows}
    for key, uf1, uar, rule in (
        (("AHMSA-Net", "4", "AHMSA-Net", "samm"), "0.8803", "0.8524", "not stated"),
        (("AHMSA-Net", "5", "AHMSA-Net", "pooled"), "0.8120", "0.7708", "not stated"),
        # The third database of HTNet's table is CASME II, not SAMM.
        (("HTNet", "2", "HTNet", "casme2"), "0.9532", "0.9516", "best epoch on test"),
        (("HTNet", "2", "HTNet", "samm"), "0.8131", "0.8124", "best epoch on test"),
        # Its authors' own list of predictions gives other figures than their paper.
        (
            ("HTNet code", "prediction list", "HTNet", "pooled"),
            "0.8313",
            "0.8175",
            "best epoch on test",
        ),
        (
            ("HTNet code", "prediction list", "HTNet", "samm"),
            "0.7870",
            "0.7590",
            "best epoch on test",
        ),
        (("HTNet", "3", "STSTNet", "pooled"), "0.3795", "0.3792", "not stated"),
        (("MFDAN", "III", "MFDAN", "casme2"), "0.9134", "0.9326", "not stated"),
        (("MFDAN", "IV", "FeatRef", "pooled"), "0.7838", "0.7824", "not stated"),
        (("HSTA", "5", "HSTA", "pooled"), "0.925", "0.922", "not stated"),
        (
            ("STSTNet code", "results", "STSTNet (PyTorch)", "pooled"),
            "0.7209",
            "0.7250",
            "last epoch",
        ),
    ):
        row = found[key]
        assert (row["uf1"], row["uar"], row["selection"]) == (uf1, uar, rule), key
    seven = [row for row in rows if row["classes"] == "7"]
    assert [(row["uf1"], row["uar"], row["dataset"]) for row in seven] == [
        ("0.341", "0.358", "casme3")
    ]
    for row in rows:
        assert row["row"].isdecimal()
        assert row["selection"] in ("last epoch", "best epoch on test", "not stated")
        assert all(value == "" or 0 < float(value) < 1 for value in (row["uf1"], row["uar"]))
    counts = {
        key: sum((row["paper"], row["table"]) == key for row in rows)
        for key in {(row["paper"], row["table"]) for row in rows}
    }
    assert counts["HTNet", "2"] == 13 * 4
    assert counts["AHMSA-Net", "4"] == 9 * 4
    assert (counts["MFDAN", "III"], counts["MFDAN", "IV"]) == (8 * 4 - 2, 9 * 4)
    assert counts["HSTA", "5"] == 11 * 3


def test_honest_rules_come_first():
    rows = comparison_rows.published_lines(["megc2019"])
    rules = [row.selection for row in rows if row.dataset == "megc2019"]
    assert rules == sorted(rules, key=["last epoch", "best epoch on test", "not stated"].index)
    assert rows[0].method == "SSSNet"


def test_the_command(tmp_path):
    good = written_runs.write(tmp_path / "good", [GOOD, POOR], dataset="megc2019", earlier=POOR)
    poor = written_runs.write(tmp_path / "poor", [POOR], dataset="megc2019", model="htnet")
    part = written_runs.write(tmp_path / "part", [{"samm/b": GOOD["samm/b"]}])
    output = tmp_path / "out"
    finished = run_command(
        "experiments.compare",
        f"--workdirs={good},{poor},{part}",
        f"--output={output}",
        pictures=True,
    )
    assert finished.status == 0, finished.err
    assert "good and part (PRETEND) are not compared clip by clip: one of them" in finished.out
    text = (output / "comparison.md").read_text(encoding="utf-8")
    with (output / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    mine = [row for row in rows if row["source"] == "run good" and row["part"] == "pooled"]
    # 1 and 1/6 over the seeds; picked on the test clips, both seeds' best epochs.
    assert [(row["uf1"], row["uf1_std"], row["selection"]) for row in mine] == [
        ("0.5833", "0.5893", "last epoch"),
        ("0.5833", "", "best epoch on test"),
    ]
    assert "0.5833 ± 0.5893" in text
    assert "| HTNet | MEGC 2019 | 442 | 0.8603 / 0.8475 | 0.9532 / 0.9516 |" in text
    assert "| OFF-ApexNet, epoch picked | MEGC 2019 |  | 0.8390 / - |" in text
    with (output / "paired.csv").open(encoding="utf-8", newline="") as file:
        (pair,) = csv.DictReader(file)
    assert (pair["first run"], pair["second run"], pair["McNemar p"]) == ("good", "poor", "0.125")
    assert pair["UF1 difference"] == "+0.4167"
    latex = (output / "comparison.tex").read_text(encoding="utf-8")
    assert r"\caption{Comparison on MEGC 2019}" in latex
    # Nine columns of paired statistics do not fit a page.
    widest = max(len(spec) for spec in re.findall(r"begin{tabular}{(l*r*)}", latex))
    assert widest == 5
    tables = latex.count(r"\begin{table}")
    assert latex.count(r"\midrule") == latex.count(r"needs \usepackage{booktabs}") == tables
    assert len(set(re.findall(r"\\label{.*}", latex))) == tables
    with Image.open(output / "comparison.png") as picture:
        assert picture.width > 900
    assert (output / "comparison.pdf").read_bytes().startswith(b"%PDF")
    assert "![comparison](comparison.png)" in text
    again = run_command(
        "experiments.compare",
        f"--workdirs={good},{poor},{part}",
        f"--output={tmp_path / 'two'}",
        pictures=True,
    )
    assert again.status == 0
    for name in sorted(path.name for path in output.iterdir()):
        assert (tmp_path / "two" / name).read_bytes() == (output / name).read_bytes()


def test_mistakes_of_the_command(tmp_path):
    good = written_runs.write(tmp_path / "good", [GOOD])
    for arguments, parts in (
        ((), ("--workdirs is missing",)),
        ((f"--workdirs={good},{good}",), ("names a folder twice",)),
        ((f"--workdirs={tmp_path}",), ("no run's workdir",)),
        ((f"--workdirs={good}", f"--output={good}"), ("is a run's workdir",)),
        ((f"--workdirs={good}", "--output="), ("--output is empty",)),
    ):
        assert_mistake(run_command("experiments.compare", *arguments), *parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good"]


def of_classes(workdir, dataset, task, names):
    """A run of one fold with these classes."""
    written_runs.write(
        workdir, [{"casme2/sub01": ([0, 1], [0, 1])}], dataset=dataset, pretend=False
    )
    path = workdir / "config.json"
    stored = json.loads(path.read_text())
    stored["config"] |= {"task": task} if task else {}
    stored["config_hash"] = config_hash(stored["config"])
    path.write_text(json.dumps(stored))
    words = dict(zip(("negative", "positive", "surprise"), names, strict=True))
    text = (workdir / "predictions.csv").read_text()
    for old, new in words.items():
        text = text.replace(old, new)
    (workdir / "predictions.csv").write_text(text)
    return workdir


def test_runs_of_other_class_sets_are_set_apart(tmp_path):
    """Both have as many classes, and yet no row of one stands in the table of the other."""
    runs = {
        "emotions": ("casme2", "5", ("disgust", "fear", "others")),
        "objective": ("casme2", "objective5", ("I", "II", "III")),
        "usual": ("casme2", None, ("negative", "positive", "surprise")),
    }
    rows = []
    for name, (dataset, task, names) in runs.items():
        records = read_records([of_classes(tmp_path / name, dataset, task, names)])
        rows.append(comparison_rows.our_row(name, records))
    groups = comparison_rows.by_data_set(rows)
    assert [len(group) for group in groups] == [1] * 3
    words = [comparison_rows.classes_in_words(group[0]) for group in groups]
    assert words == [", 5 classes", ", 5 objective classes", ""]
    # The clips of a release are those of the class set.
    assert [row.clips for row in rows] == ["2 of 246, part", "2 of 185, part", "2 of 145, part"]
    published = comparison_rows.published_lines(["casme3"])
    assert {row.classes for row in published} == {"3", "7"}

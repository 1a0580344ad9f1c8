"""The documentation's table of what was measured on a GPU follows from the kept file alone."""

import json

import fill_measured
import pytest

from experiments.measuring import entries, tables
from experiments.measuring.entries import OF_SEEDS
from experiments.measuring.sizes import PAPER


def test_the_page_shows_what_is_kept():
    page = fill_measured.PAGE.read_text(encoding="utf-8")
    assert page == fill_measured.filled(page, fill_measured.kept())


def test_without_a_measurement_every_row_says_so():
    text = tables.markdown({})
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row.split("|")[2].strip() for row in rows[1:]] == ["not measured"] * (
        len(entries.ENTRIES) + 1
    )


def facts_of_a_run(uf1):
    scores = {"uf1": uf1, "uar": 0.5}
    return {
        **{"pooled": scores, "optimistic": scores, "training_seconds": 218.0, "folds": 68},
        **{"shards": 2, "seconds_per_fold_step": 0.002, "environment": {"devices": ["gpu: H9"]}},
    }


def test_numbers_stand_in_their_rows(tmp_path, monkeypatch):
    parts = {name: facts_of_a_run(uf1) for name, uf1 in zip(OF_SEEDS, (0.6, 0.7, 0.8), strict=True)}
    engine = {
        **{"seconds_per_fold_step": 0.002, "compile_seconds": 61.4, "folds": PAPER.folds},
        **{"bytes_forecast": 63 * 2**30, "bytes_taken": 64 * 2**30},
        "environment": {"devices": ["gpu: H9"], "started": "2027-01-02 03:04:05"},
    }
    parts |= {
        "benchmark: PyTorch eager": {"seconds_per_fold_step": 0.05, "compile_seconds": 0.0},
        "benchmark: tf32": engine,
    }
    text = tables.markdown({"rehearsal": False, "parts": parts})
    assert "measured on gpu: H9" in text
    assert "2 ms per fold-step; 25.00 times as fast as (a); compiled in 61 s" in text
    assert "34 folds at once; 63.00 GiB forecast, 64.00 taken" in text
    assert "218 s of training for 68 folds in 2 part(s)" in text
    # The sample's deviation of three seeds.
    assert "pooled UF1 0.7000 ± 0.1000" in text


def test_a_measurement_is_kept_and_written_and_a_rehearsal_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fill_measured, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(fill_measured, "PAGE", tmp_path / "page.md")
    (tmp_path / "results").mkdir()
    (tmp_path / "page.md").write_text(f"a\n{fill_measured.BEGIN}of before{fill_measured.END}b\n")
    run = facts_of_a_run(0.6)
    run["environment"]["started"] = "2027-01-02 03:04:05"
    file = tmp_path / "measured.json"
    file.write_text(json.dumps({"rehearsal": False, "parts": {OF_SEEDS[0]: run}}))
    fill_measured.main(str(file))
    assert (tmp_path / "results" / "measured-2027-01-02.json").read_bytes() == file.read_bytes()
    page = (tmp_path / "page.md").read_text()
    assert page.startswith(f"a\n{fill_measured.BEGIN}")
    assert page.endswith(f"{fill_measured.END}b\n")
    assert "218 s of training" in page
    assert "of before" not in page
    file.write_text(json.dumps({"rehearsal": True, "parts": {}}))
    with pytest.raises(SystemExit, match="rehearsal"):
        fill_measured.main(str(file))

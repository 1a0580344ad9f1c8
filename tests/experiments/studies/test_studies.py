"""The registry of studies, their settings as flags, and tables and picture from written runs."""

import numpy as np
import pytest
import written_runs
from absl import flags
from matplotlib.colors import to_rgb

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import pooled_scores
from experiments.scores import drawing
from experiments.studies import picture, report, results, setting_runs
from experiments.studies.study import STUDIES, Setting, Study

# Two clips each of two subjects in two databases.
TRUTH = {"casme2/sub01": (0, 1), "samm/006": (2, 0)}
RIGHT = {key: (truth, truth) for key, truth in TRUTH.items()}
NEGATIVE = {key: (truth, (0, 0)) for key, truth in TRUTH.items()}
# All four clips predicted negative: F1 of that class is 2 * 2 / (2 * 2 + 2), of the others 0.
NEGATIVE_UF1, NEGATIVE_UAR = (4 / 6) / 3, 1 / 3
STUDY = STUDIES["blocks"]


def found_of(folder, dataset="megc2019", earlier=None):
    """Two settings of Figure 5's study: two seeds of one, one of the other."""
    first, second = STUDY.settings[:2]
    folder.mkdir(exist_ok=True)
    options = {"dataset": dataset, "earlier": earlier}
    return [
        results.read(
            first, written_runs.write(folder / first.name, [RIGHT, NEGATIVE], **options), 100
        ),
        results.read(second, written_runs.write(folder / second.name, [NEGATIVE], **options), 2000),
    ]


def test_the_papers_studies_are_the_papers():
    """Figure 5's configurations; Figure 4's sizes are not in the text, its best one is."""
    shown = [one.flags["blocks"] for one in STUDIES["blocks"].settings]
    assert shown == ["1,1,8", "2,2,8", "3,3,8", "4,4,8", "6,6,8", "8,8,8"]
    assert STUDIES["batch_size"].papers_setting == "256"
    for study in STUDIES.values():
        is_papers = study.name in ("batch_size", "blocks")
        assert study.origin.startswith("Repeats Figure" if is_papers else "Ours:")
        names = [one.name for one in study.settings]
        assert len(set(names)) == len(names)
        assert study.papers_setting in {"", *names}
        for name in names:
            # A folder's name, and one of a list with commas.
            assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_settings_are_chosen_by_name_in_the_studys_order():
    assert STUDY.chosen(None) == STUDY.settings
    assert [one.name for one in STUDY.chosen(["4-4-8", "1-1-8"])] == ["1-1-8", "4-4-8"]
    with pytest.raises(ConfigError, match="'1,1,8', which is no setting of --study=blocks"):
        STUDY.chosen(["1,1,8"])


def test_a_settings_flags_stand_while_it_is_trained_and_then_as_before():
    given = flags.FlagValues()
    flags.DEFINE_string("study", "blocks", "", flag_values=given)
    flags.DEFINE_list("settings", ["a"], "", flag_values=given)
    flags.DEFINE_integer("batch_size", 256, "", flag_values=given)
    flags.DEFINE_bool("feed_forward", True, "", flag_values=given)
    given(["command"])
    setting = Setting("tried", {"batch_size": "32", "feed_forward": "false"})
    with setting_runs.flags_of(given, setting) as own:
        assert (own.batch_size, own.feed_forward, own.study, own.settings) == (
            32,
            False,
            None,
            None,
        )
        assert own["batch_size"].present
    assert (given.batch_size, given.feed_forward, given.study) == (256, True, "blocks")
    assert given.settings == ["a"]
    assert not given["batch_size"].present
    assert given["batch_size"].using_default_value


def test_the_table_by_hand(tmp_path):
    first, second = results.csv_table(STUDY, found_of(tmp_path / "study")).rows
    row = dict(
        zip(results.csv_table(STUDY, found_of(tmp_path / "again")).columns, first, strict=True)
    )
    other = dict(zip(row, second, strict=True))
    # Seeds of 1 and of the always negative answer.
    assert float(row["uf1"]) == pytest.approx((1 + NEGATIVE_UF1) / 2, abs=1e-6)
    assert float(row["uf1_std"]) == pytest.approx((1 - NEGATIVE_UF1) / 2**0.5, abs=1e-6)
    assert float(row["uar"]) == pytest.approx((1 + NEGATIVE_UAR) / 2, abs=1e-6)
    assert float(row["accuracy"]) == pytest.approx(0.75)
    assert (row["setting"], row["flags"], row["seeds"]) == ("1-1-8", "blocks=1,1,8", "2")
    # One seed has no deviation; nothing was evaluated; one subject a database gives no interval.
    empty = ("uf1_std", "uar_std", "accuracy_std", "uf1_low", "uar_high", "optimistic_uf1")
    assert [other[name] for name in empty] == [""] * len(empty)
    assert float(other["uf1"]) == pytest.approx(NEGATIVE_UF1, abs=1e-6)
    # Two folds of one second each a seed.
    assert (row["parameters"], row["seconds"], other["seconds"]) == ("100", "4.000", "2.000")
    by_counts = pooled_scores(np.array([[2, 0, 0], [1, 0, 0], [1, 0, 0]]))
    assert by_counts.uf1 == pytest.approx(NEGATIVE_UF1)


def test_the_optimistic_figure_has_a_name_of_its_own(tmp_path):
    """All right after the first epoch, always negative after the last."""
    _, second = found_of(tmp_path / "study", earlier=RIGHT)
    table = results.scores_table(STUDY, [second])
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["UF1"] == f"{NEGATIVE_UF1:.4f}"
    (name,) = (name for name in table.columns if "optimistic" in name)
    assert name.startswith("optimistic (epoch picked on the held-out clips)")
    assert row[name] == "1.0000 / 1.0000"
    by_database = results.databases_table(STUDY, [second])
    assert by_database.columns == ["setting", "CASME II", "SAMM"]


def test_the_page_says_whose_study_it_is_and_what_the_paper_prints(tmp_path):
    page = results.page(STUDY, found_of(tmp_path / "study"))
    text = "\n".join(remark.plain() for remark in page.remarks)
    assert "Repeats Figure 5 of the AHMSA-Net paper" in text
    assert "2,2,8 is the best on the composite" in text
    assert "Table 4): UF1 0.8040 and UAR 0.7821" in text
    assert "how it chose the epoch is not stated" in text
    # What is of one setting alone names it.
    assert page.title.startswith("Ablation, attention blocks per level: ahmsa on MEGC 2019")
    ours = results.page(STUDIES["modules"], found_of(tmp_path / "ours"))
    assert ours.remarks[0].text.startswith("Ours:")


def test_pretend_data_stand_beside_nothing_published(tmp_path):
    folder = tmp_path / "study"
    found = found_of(folder, dataset="synthetic")
    assert report.write(STUDY, found, folder) == 0
    text = (folder / "ablation.md").read_text()
    assert text.startswith("# PRETEND data: Ablation")
    assert "0.8040" not in text
    assert "PRETEND" in (folder / "ablation.csv").read_text().splitlines()[1]
    drawn = picture.draw(STUDY, found)
    assert drawn.get_suptitle().startswith("PRETEND data:")


def test_the_picture_holds_every_seed_their_mean_and_their_deviation(tmp_path):
    figure = picture.draw(STUDY, found_of(tmp_path / "study"))
    for axis, score in zip(figure.axes, (NEGATIVE_UF1, NEGATIVE_UAR), strict=True):
        assert [text.get_text() for text in axis.get_xticklabels()] == ["1-1-8", "2-2-8"]
        grey = [line for line in axis.lines if to_rgb(line.get_color()) == to_rgb(drawing.GREY)]
        assert [list(line.get_ydata()) for line in grey] == [[1.0, score], [score]]
        means = [bars.lines[0].get_ydata()[0] for bars in axis.containers]
        assert means == pytest.approx([(1 + score) / 2, score])
        # One seed has no bar.
        (bar,), nothing = (bars.lines[2] for bars in axis.containers)
        assert nothing == ()
        low, high = bar.get_segments()[0][:, 1]
        assert high - low == pytest.approx(2 * (1 - score) / 2**0.5)


def test_a_studys_shared_settings_are_what_all_runs_have_in_common():
    common = setting_runs._in_common(
        {"model": "ahmsa", "train_config": {"epochs": 2, "batch_size": 32}, "seeds": [0]},
        {"model": "ahmsa", "train_config": {"epochs": 2, "batch_size": 64}, "seeds": [0]},
    )
    assert common == {"model": "ahmsa", "train_config": {"epochs": 2}, "seeds": [0]}


def test_a_study_of_ones_own_is_an_entry():
    mine = Study("rates", "learning rate", "Ours.", (Setting("fast", {"learning_rate": "1e-3"}),))
    assert mine.varied == ("learning_rate",)
    assert mine.settings[0].words == "--learning_rate=1e-3"

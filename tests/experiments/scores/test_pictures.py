"""Pictures fit for a paper: axes, bands, chance, colours, names, marks, and files."""

import dataclasses
import itertools

import numpy as np
import pytest
import written_runs
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from experiments.scores import (
    comparison_figure,
    comparison_rows,
    drawing,
    figures,
    tables,
)
from experiments.scores.comparison_rows import LAST, NOT_STATED, PICKED, POOLED, Row, Score
from experiments.scores.summary import read_records, summarise
from input_pipeline.core.map_form import NORMALISATIONS, MapForm
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow.clip_maps import ClipMaps, Quality
from input_pipeline.maps import layouts
from input_pipeline.reports import face_pages
from input_pipeline.reports.face_pages import signed_colours, zero_of

# Two clips each of three subjects.
TRUTH = {"casme2/sub01": (0, 1), "samm/006": (2, 0), "smic/s01": (1, 2)}
RIGHT = {key: (truth, truth) for key, truth in TRUTH.items()}
NEGATIVE = {key: (truth, (0, 0)) for key, truth in TRUTH.items()}


@pytest.fixture
def records(tmp_path):
    """Two seeds: all right and always negative; always negative after the first epoch."""
    seeds = [RIGHT, NEGATIVE]
    run = written_runs.write(tmp_path / "run", seeds, dataset="megc2019", earlier=NEGATIVE)
    return read_records([run])


def test_every_picture_comes_as_png_and_pdf_without_a_date(records, tmp_path):
    names = figures.draw_all(records, tmp_path)
    assert names == ["confusion_matrix", "curves", "subjects"]
    for name in names:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        pdf = (tmp_path / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"Date" not in pdf
        # Letters of a TrueType font; journals refuse Type 3.
        assert b"/Type3" not in pdf
        assert b"/TrueType" in pdf or b"/CIDFontType2" in pdf


def test_a_picture_drawn_twice_has_the_same_bytes(records):
    for form in ("png", "pdf"):
        once, again = (drawing.drawn(figures.draw_curves(records), form) for _ in range(2))
        assert once == again, form


def test_epochs_are_whole_numbers(records):
    figure = figures.draw_curves(records)
    drawing.drawn(figure, "png")
    for axis in figure.axes:
        assert all(tick == round(tick) for tick in axis.get_xticks())


def test_the_band_is_the_deviation_over_seeds_and_chance_has_a_line(records):
    axis = figures.draw_curves(records).axes[1]
    # Seed 0 scores 1, seed 1 answers negative: F1 2 * 2 / (2 + 6) of one class in three.
    last = [1.0, 1 / 6]
    bands = [found for found in axis.collections if isinstance(found, PolyCollection)]
    assert len(bands) == 2
    corners = bands[0].get_paths()[0].vertices
    at_end = corners[corners[:, 0] == 2][:, 1]
    np.testing.assert_allclose(at_end.min(), np.mean(last) - np.std(last, ddof=1))
    np.testing.assert_allclose(at_end.max(), np.mean(last) + np.std(last, ddof=1))
    uf1, uar = (line.get_ydata()[0] for line in axis.lines[2:])
    assert uar == pytest.approx(1 / 3)
    assert 0.25 < uf1 < 1 / 3
    shares = figures.draw_bars(records).axes[0].lines
    assert [line.get_ydata()[0] for line in shares] == [pytest.approx(1 / 3)]


def test_databases_are_named_and_ordered_as_in_papers(records):
    figure = figures.draw_confusion(records)
    titles = [axis.get_title().splitlines()[0] for axis in figure.axes]
    assert titles == ["all clips", "CASME II", "SAMM", "SMIC"]
    assert "summed over 2 seeds" in figure.get_supxlabel()
    title = tables.confusion_table(records, summarise(records)).title
    assert title == "Confusion matrix (clips, summed over 2 seeds)"
    legend = figures.draw_bars(records).legends[0]
    assert [text.get_text() for text in legend.get_texts()][:3] == ["CASME II", "SAMM", "SMIC"]


# Machado, Oliveira, Fernandes 2009: what protanopes and deuteranopes see of linear RGB.
_EYES = (
    np.eye(3),
    np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
)
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, eye):
    """CIELAB of a colour as an eye sees it (D65)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = _XYZ @ np.clip(eye @ linear, 0, 1) / _XYZ.sum(axis=1)
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least_difference(colours):
    return min(
        np.linalg.norm(lab(first, eye) - lab(second, eye))
        for first, second in itertools.combinations(colours, 2)
        for eye in _EYES
    )


def test_colour_blind_eyes_tell_the_databases_apart(records):
    # The control: orange and green of matplotlib's own palette.
    assert least_difference(["#ff7f0e", "#2ca02c"]) < 6
    bars = {to_hex(bar.get_facecolor()) for bar in figures.draw_bars(records).axes[0].patches}
    assert len(bars) == 3
    assert least_difference(bars) > 25
    for databases in (["casme3", *TRUTH], ["own1", "own2", "own3"], ["casme2", "own1", "own2"]):
        colours = drawing.of_databases(name.split("/")[0] for name in databases)
        assert len(set(colours.values())) == len(colours) == len(databases)
        assert least_difference(colours.values()) > 15


def test_names_with_dollar_signs_are_no_formulas(tmp_path):
    answers = {"$own/$\\frac": ((0, 1), (0, 1)), "$own/$x$": ((2,), (2,))}
    run = written_runs.write(tmp_path / "r$\\un$", [answers], dataset="$a", pretend=True)
    assert len(figures.draw_all(read_records([run]), tmp_path)) == 3
    rows = [comparison_rows.our_row("r$\\un$", read_records([run]))]
    assert drawing.drawn(comparison_figure.draw(rows), "png")


def row(method, uf1, selection=NOT_STATED, **changes):
    scores = {POOLED: Score(f"{uf1:.4f}", "")}
    return Row(
        changes.pop("is_ours", False),
        changes.pop("dataset", "casme3"),
        method,
        "source",
        scores,
        selection,
        name=method.partition(" (")[0],
        **changes,
    )


def test_a_panel_holds_our_runs_and_at_most_ten_published_rows():
    published = [row(f"method {n}", 0.5 + n / 100) for n in range(20)]
    honest = [row("honest", 0.1, LAST), row("AHMSA-Net (2024)", 0.2)]
    doubled = [row("method 19 (2024)", 0.69), row("seven", 0.9, classes="7")]
    ours = [row("ours", 0.3, LAST, is_ours=True), row("other", 0.4, PICKED, is_ours=True)]
    made_up = row("toy", 0.95, LAST, is_ours=True, pretend=True)
    alone = row("unseen", 0.99, dataset="samm")
    shown = comparison_figure.panels([*ours, made_up, *published, *honest, *doubled, alone])
    assert [len(panel) for panel in shown] == [12, 1]
    assert shown[1] == [made_up]
    names = [one.method for one in shown[0]]
    # Best first; of the published ones the honest, the paper's own, then the eight highest.
    assert names[:8] == [f"method {n}" for n in range(19, 11, -1)]
    assert names[8:] == ["other", "ours", "AHMSA-Net (2024)", "honest"]


def test_names_in_a_panel_tell_its_lines_apart():
    ours = row("ahmsa (five)", 0.3, LAST, is_ours=True, clips="6 of 442, part", is_part=True)
    ours = dataclasses.replace(ours, origin="run")
    paper = dataclasses.replace(row("HTNet", 0.2), origin="HTNet, Table 2")
    code = dataclasses.replace(row("HTNet", 0.1), origin="HTNet code, prediction list")
    shown = comparison_figure.names([ours, paper, code, row("HSTA", 0.1)])
    assert shown == [
        "run: ahmsa (five), 6 of 442, part",
        "HTNet (HTNet, Table 2)",
        "HTNet (HTNet code, prediction list)",
        "HSTA",
    ]


def test_the_comparison_has_a_panel_a_data_set_and_a_shape_a_rule():
    rows = [
        row("ours", 0.3, LAST, is_ours=True),
        row("a", 0.2, PICKED),
        row("b", 0.1),
        row("toy", 0.9, LAST, is_ours=True, dataset="megc2019", pretend=True),
    ]
    figure = comparison_figure.draw(rows)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["CAS(ME)$^3$", "PRETEND data: MEGC 2019"]
    shapes = [line.get_marker() for line in figure.axes[0].lines if line.get_marker() != "|"]
    assert shapes == [comparison_figure.MARKERS[rule] for rule in (LAST, PICKED, NOT_STATED)]
    assert len(set(shapes)) == 3
    assert {to_hex(line.get_color()).upper() for line in figure.axes[0].lines} <= {
        drawing.BLUE,
        drawing.GREY,
    }


def test_no_motion_is_white_and_signs_are_told_apart():
    # From -1 to 3 pixels: zero lies a quarter up the range.
    assert zero_of(np.array([-1.0, 3.0, 0.5])) == 63.75
    assert zero_of(np.zeros(3)) == 0
    none, right, left = signed_colours(np.array([[63.75, 255.0, 0.0]]), 63.75)[0].astype(int)
    assert none.tolist() == [255, 255, 255]
    assert right[0] > right[2] + 50
    assert left[2] > left[0] + 50
    # One scale for both: what lies three times as far is darker.
    assert right.sum() < left.sum()


@pytest.mark.parametrize("normalise", NORMALISATIONS)
def test_the_sheet_of_faces_shows_where_no_motion_is(tmp_path, normalise):
    flow_SxSxC = np.zeros((224, 224, 3), np.float32)
    flow_SxSxC[:112, :, 0], flow_SxSxC[112:, :, 0] = 3, -1
    flow_SxSxC[:, 100:120, :2] = 0
    grey_SxS = np.zeros((224, 224), np.uint8)
    maps = ClipMaps(
        flow_SxSxC,
        layouts.MEAN_LANDMARKS_5x2 * 8,
        np.full((68, 2), 112.0),
        grey_SxS,
        grey_SxS,
        Quality(1.0, 3.0, 0.0, 1, 2, ()),
    )
    record = ClipRecord(
        database="smic",
        subject="s01",
        clip="c",
        onset=1,
        apex=2,
        offset=3,
        emotion="x",
        label=0,
        frames=(),
    )
    form = MapForm("whole", normalise)
    (path,) = face_pages.write_pages(form, [record], lambda _: maps, tmp_path, pretend=False)
    with Image.open(path) as page:
        pixels = np.asarray(page.convert("RGB")).astype(int)
    top, left = face_pages.GRID.place(0, 4)
    shown = pixels[top : top + 168, left : left + 168]
    assert shown[20, 82].tolist() == [255, 255, 255]
    assert shown[20, 20, 0] > shown[20, 20, 2] + 50
    assert shown[150, 20, 2] > shown[150, 20, 0] + 20


def test_the_machines_summary_stays_as_it_was(records):
    summary = summarise(records)
    assert set(summary) == {
        "pooled",
        "pooled_std",
        "by_seed",
        "by_database",
        "confusion",
        "per_subject_mean",
        "optimistic_best_epoch_on_test",
        "average_seeds",
        "failed_folds",
        "missing_folds",
        "config_hash",
        "seconds",
    }
    assert list(summary["by_database"]) == ["casme2", "samm", "smic"]

"""Bounds of a composite UAR, and what a comparison says of rows beyond them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ahmsa_jax.metrics import pooled_scores
from experiments.scores import attainable, comparison_rows

CLIPS = attainable.clips_per_class(["casme2", "samm", "smic"])


def test_the_counts_are_the_composites():
    assert CLIPS == {"casme2": [88, 32, 25], "samm": [92, 26, 15], "smic": [70, 51, 43]}


def test_bounds_by_hand():
    # Two databases of two classes: shares 1/4, 3/4 of the first class, 1/2 and 1/2 of the second.
    clips = {"x": [1, 2], "y": [3, 2]}
    found = attainable.composite_uar({"x": (0.5, 0.5), "y": (0.5, 0.5)}, clips)
    # x adds at most 1/2 (its second class), at least 1/4; y at most 3/4, at least 1/2.
    assert found == pytest.approx((0.75 / 2, 1.25 / 2))


def by_linear_programming(uar_of, sign):
    totals = np.sum(list(CLIPS.values()), axis=0)
    cost = sign * np.concatenate([np.array(CLIPS[name]) / totals for name in uar_of]) / 3
    means = np.kron(np.eye(len(uar_of)), np.full(3, 1 / 3))
    solved = linprog(cost, A_eq=means, b_eq=list(uar_of.values()), bounds=(0, 1))
    assert solved.status == 0
    return sign * solved.fun


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_bounds_are_those_of_a_linear_program(uars):
    uar_of = dict(zip(CLIPS, uars, strict=True))
    found = attainable.composite_uar({name: (v, v) for name, v in uar_of.items()}, CLIPS)
    assert found.low == pytest.approx(by_linear_programming(uar_of, 1), abs=1e-7)
    assert found.high == pytest.approx(by_linear_programming(uar_of, -1), abs=1e-7)


@given(st.lists(st.floats(0, 1), min_size=9, max_size=9))
@settings(max_examples=60, deadline=None)
def test_no_set_of_predictions_lies_outside(shares):
    counts = {}
    for place, (name, clips) in enumerate(CLIPS.items()):
        right = [round(clip * shares[3 * place + k]) for k, clip in enumerate(clips)]
        matrix = np.diag(right)
        matrix[np.arange(3), [1, 2, 0]] = np.array(clips) - right
        counts[name] = matrix
    uar_of = {name: (s := pooled_scores(matrix).uar, s) for name, matrix in counts.items()}
    found = attainable.composite_uar(uar_of, CLIPS)
    uar = pooled_scores(sum(counts.values())).uar
    assert found.low - 1e-12 <= uar <= found.high + 1e-12


def test_rounding_of_print_is_allowed_for():
    uar_of = {"casme2": "0.9326", "samm": "0.8196", "smic": "0.7043"}
    assert attainable.beyond("0.8688", uar_of).high == pytest.approx(0.8649, abs=1e-4)
    # The bound itself, and what rounds to it, can be.
    assert attainable.beyond("0.865", uar_of) is None
    assert attainable.beyond("", uar_of) is None
    assert attainable.beyond("0.8688", uar_of | {"samm": ""}) is None


def test_a_comparison_notes_mfdans_two_rows_and_no_other():
    rows = comparison_rows.published_lines(["megc2019"])
    noted = [row for row in rows if row.note]
    assert {(row.paper, row.name) for row in noted} == {("MFDAN", "MFDAN")}
    assert len(noted) == 2
    table = comparison_rows.comparison_table(rows)
    cells = [row[-1] for row in table.rows if "cannot come from one set" in row[-1]]
    assert len(cells) == 2
    assert all(cell.startswith("MFDAN, Table") and "0.8649" in cell for cell in cells)

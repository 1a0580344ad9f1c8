"""Bounds of a composite UAR, and the published rows beyond them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ahmsa_jax.metrics import pooled_scores
from experiments.recording import impossible

CLIPS = impossible.clips_per_class()


def test_the_counts_are_the_composites():
    assert CLIPS == {"casme2": [88, 32, 25], "samm": [92, 26, 15], "smic": [70, 51, 43]}


def test_bounds_by_hand():
    # Two databases of two classes: shares 1/4, 3/4 of the first class, 1/2 and 1/2 of the second.
    clips = {"x": [1, 2], "y": [3, 2]}
    found = impossible.composite_uar({"x": (0.5, 0.5), "y": (0.5, 0.5)}, clips)
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
    found = impossible.composite_uar({name: (v, v) for name, v in uar_of.items()}, CLIPS)
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
    found = impossible.composite_uar(uar_of, CLIPS)
    uar = pooled_scores(sum(counts.values())).uar
    assert found.low - 1e-12 <= uar <= found.high + 1e-12


def test_mfdans_composite_cannot_be():
    table = impossible.impossible_rows()
    # Its row stands in two tables of its paper; no other published row is beyond the bound.
    assert {(row[0], row[1]) for row in table.rows} == {
        ("MFDAN, Table III", "MFDAN"),
        ("MFDAN, Table IV", "MFDAN"),
    }
    for row in table.rows:
        assert row[2:] == ("0.9326 / 0.8196 / 0.7043", "0.8688", "0.7566 to 0.8649")


def test_htnets_own_list_contradicts_its_paper():
    paper, own = impossible.contradicted_rows().rows
    assert paper[:2] == ("HTNet, its paper", "0.8603 / 0.8475")
    assert own[:2] == ("HTNet, its own list", "0.8313 / 0.8175")
    assert all("/" in cell for cell in (*paper[1:], *own[1:]))

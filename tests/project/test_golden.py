"""What the commands give does not drift: the same bytes on known machines, close values on all."""

import csv
import json

import golden
import numpy as np
import pytest

STORED = json.loads(golden.VALUES.read_text(encoding="utf-8"))
# The hashes of this very kind of machine, or nothing on one of another kind.
KNOWN = next((one for one in STORED if one["fingerprint"] == golden.fingerprint()), {})


def probabilities(path) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Names and labels of the rows, and their three probabilities."""
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return [tuple(row[:5]) for row in rows], np.array([row[6:] for row in rows], float)


def assert_same_bytes(name, found):
    # A dictionary of what differs says more than two of 64 digits.
    assert {key: found[key] for key in KNOWN.get(name, {})} == KNOWN.get(name, {})


@pytest.mark.parametrize("network", golden.NETWORKS)
def test_four_folds_of_each_network(network, tmp_path):
    found = golden.short_run(network, tmp_path / "run")
    keys, now_NxK = probabilities(tmp_path / "run" / "predictions.csv")
    stored_keys, stored_NxK = probabilities(golden.FOLDER / f"{network}.csv")
    assert keys == stored_keys
    np.testing.assert_allclose(now_NxK, stored_NxK, rtol=0, atol=1e-4)
    weights = golden.weights_after_two_steps(tmp_path / "run")
    with np.load(golden.FOLDER / f"{network}.npz") as stored:
        assert weights.keys() == set(stored)
        for name, leaf in weights.items():
            np.testing.assert_allclose(leaf, stored[name], rtol=1e-6, atol=1e-6, err_msg=name)
    assert_same_bytes(network, found)


def test_a_pretend_casme2(tmp_path):
    content_hash = golden.pretend_casme2(tmp_path)
    assert len(content_hash) == 64
    assert content_hash == KNOWN.get("pretend_casme2", content_hash)


def test_flow_of_a_known_motion():
    stored = np.load(golden.FOLDER / "flow.npy")
    assert np.abs(stored).max() > 1
    np.testing.assert_allclose(golden.flow_HxWx2(), stored, rtol=0, atol=0.01)

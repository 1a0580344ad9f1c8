"""One fold's batch spread over devices against the same fold on one device."""

import functools

import jax
import numpy as np
import pytest
import small_problem
from small_problem import MODEL, TRAINING, folds, inputs, trained

from ahmsa_jax.training.batch_parallel import BatchEngine
from ahmsa_jax.training.engine import Job
from ahmsa_jax.training.protocols import epoch_shapes

JOB = Job(0, folds()[1])
EPOCHS = 5  # of two steps


# Three devices divide neither a batch of 16 nor its last step: parts of 6, 6 and 4 clips.
DEVICES = 3


@functools.cache
def spread() -> BatchEngine:
    shape = epoch_shapes(folds(), TRAINING.batch_size)[JOB.fold.key]
    return BatchEngine(MODEL, TRAINING, shape, test_places=7, devices=jax.local_devices()[:DEVICES])


def spread_training():
    program = spread()
    placed = program.place_data(*inputs())
    chunk = program.start([JOB])
    losses = program.run_epochs(chunk, placed, 0, EPOCHS)
    return program, placed, chunk, losses


def test_spread_batch_equals_one_device_over_ten_steps():
    program, placed, chunk, losses = spread_training()
    assert losses.shape == (1, EPOCHS)
    assert program.size == 1
    parameters = program.parameters(chunk, [JOB])[0]
    alone, alone_losses, alone_probability = trained([JOB], EPOCHS, size=1)
    initial = program.parameters(program.start([JOB]), [JOB])[0]
    # The tolerances of test_engine: losses 1e-4, each leaf 2 % of the way it was moved.
    np.testing.assert_allclose(losses, alone_losses, rtol=1e-4)
    assert parameters.keys() == alone[0].keys()
    for name, value in alone[0].items():
        moved = np.linalg.norm(value - initial[name])
        assert np.linalg.norm(value - parameters[name]) <= 0.02 * moved, name
    (probability,) = program.predict(chunk, placed, [JOB])
    assert probability.shape == alone_probability[0].shape
    np.testing.assert_allclose(probability, alone_probability[0], atol=1e-4)


def test_all_devices_hold_the_same_bits():
    _, _, chunk, _ = spread_training()
    for leaf in jax.tree.leaves(chunk.state):
        copies = np.asarray(leaf)
        for copy in copies[1:]:
            np.testing.assert_array_equal(copy, copies[0])


def test_a_mean_of_means_would_be_another_result():
    """The control: the last step's real clips lie unevenly over the parts."""
    shape = spread().shape
    last = JOB.fold.n_train - (shape.steps - 1) * shape.batch_size
    part = -(-shape.last_size // DEVICES)
    real = [max(0, min(part, last - place * part)) for place in range(DEVICES)]
    assert len(set(real)) > 1


def test_stored_state_goes_on_as_if_never_stopped():
    program, placed, chunk, losses = spread_training()
    other = program.start([JOB])
    program.run_epochs(other, placed, 0, 2)
    stored = {name: np.array(array) for name, array in program.host_state(other).items()}
    assert all(array.shape[0] == 1 for array in stored.values())
    assert {name: array.shape for name, array in program.host_shapes(other).items()} == {
        name: array.shape for name, array in stored.items()
    }
    fresh = program.start([JOB])
    program.put_state(fresh, stored)
    np.testing.assert_array_equal(program.run_epochs(fresh, placed, 2, 3), losses[:, 2:])
    ours, whole = (program.parameters(state, [JOB])[0] for state in (fresh, chunk))
    assert all(np.array_equal(ours[name], whole[name]) for name in whole)


def test_only_one_fold_at_a_time():
    with pytest.raises(ValueError, match="one at a time"):
        spread().start([JOB, JOB])
    with pytest.raises(ValueError, match="2 folds"):
        BatchEngine(MODEL, TRAINING, spread().shape, size=2, test_places=7)
    assert small_problem.engine(1).size == spread().size

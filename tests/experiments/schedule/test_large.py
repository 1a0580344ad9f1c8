"""What a dry run says of a network that a CPU should not try."""

import dataclasses

import jax

from ahmsa_jax.networks.hsta import HSTAConfig
from experiments.schedule import large
from experiments.studies import lost_motion_scores
from input_pipeline.maps import synthetic


def run_of(config):
    run = lost_motion_scores.run_of(synthetic.make("whole", "small"), epochs=2)
    return dataclasses.replace(run, network_config=config)


def test_the_arithmetic_of_the_full_network():
    run = run_of(HSTAConfig())
    # 88.4 GFLOP forward for a clip, three times that for a step, 32 clips.
    assert abs(large.step_flop(run) / (3 * 88.4e9 * 32) - 1) < 0.01
    assert large.is_too_large(run, jax.local_devices()[0])
    said = "\n".join(large.describe(run, 2**34))
    assert "8.49 TFLOP" in said
    assert "16.0 GiB can be used here" in said
    assert "24 folds, 1 seed(s) and 2 epochs" in said


def test_small_networks_are_tried():
    run = lost_motion_scores.run_of(synthetic.make("whole", "small"), epochs=2)
    assert not large.is_too_large(run, jax.local_devices()[0])

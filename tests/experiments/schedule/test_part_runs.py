"""A run that is part of a larger command: from nothing, from its folder, with its own settings."""

import dataclasses

import numpy as np
import pytest

from ahmsa_jax.config import ConfigError
from experiments.run.spec import Execution
from experiments.schedule import part_runs
from experiments.schedule.interruption import Interruption
from experiments.studies import lost_motion_scores
from input_pipeline.maps import synthetic


def test_a_part_is_trained_once_and_read_afterwards(tmp_path, monkeypatch):
    clips = synthetic.make("whole", "small")
    clips = clips.rows(np.flatnonzero(np.isin(clips.subject_N, ["a06", "a07", "a08"])))
    run = lost_motion_scores.run_of(clips, epochs=1)
    small = dataclasses.replace(run.network_config, base_dim=6, blocks=(0,))
    run = dataclasses.replace(run, network_config=small)
    folder = tmp_path / "part"
    with Interruption("test") as interruption:
        arguments = (run, Execution(tmp_path), folder, interruption, tmp_path)
        first = part_runs.trained(*arguments)
        # Nothing is planned or compiled a second time.
        monkeypatch.setattr(part_runs.planning, "local_place", None)
        second = part_runs.trained(*arguments)
        for (chunk, result), (again, read) in zip(first, second, strict=True):
            assert chunk == again
            for one, other in zip(result.probability, read.probability, strict=True):
                np.testing.assert_array_equal(one, other)
        other = dataclasses.replace(run, spec=dataclasses.replace(run.spec, seeds=(3,)))
        with pytest.raises(ConfigError, match="seeds"):
            part_runs.trained(other, *arguments[1:])

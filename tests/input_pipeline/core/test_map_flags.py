"""The flags of the maps' form in every command that chooses among stored data sets.

Modules tried here without being imported: input_pipeline.core.map_flags.
"""

import pytest
from command_runner import assert_mistake, run_command

COMMANDS = (
    *("input_pipeline.build", "input_pipeline.export", "experiments.loso", "experiments.evaluate"),
    *("experiments.classical", "experiments.torch_loso"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_maps_knows_map_flags(command):
    finished = run_command(command, "--help")
    for flag in ("--normalise", "--phases", "--map_size"):
        assert flag in finished.out


def test_published_maps_are_of_the_plain_form(tmp_path):
    finished = run_command("input_pipeline.import_maps", "--normalise=symmetric")
    assert_mistake(finished, "normalise")

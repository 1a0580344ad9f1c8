"""The forms of maps: names of stored layouts, shapes, and the flags that ask for them."""

import pytest
from command_runner import assert_mistake, run_command

from input_pipeline.core.map_form import CUTS, FORMS, MapForm, exists


def test_suffixes_stand_in_one_order():
    assert MapForm("whole", "symmetric", 2, 36).layout == "whole_symmetric_phases2_36"
    assert MapForm("quad_htnet", phases=2).layout == "quad_htnet_phases2"
    assert MapForm("five", map_size=36).layout == "five_36"
    assert [MapForm(cut).layout for cut in CUTS] == list(CUTS)


def test_every_form_has_one_name_and_shape():
    # Four cuts, two rules, two counts of phases, two sizes; HTNet's cut knows one size.
    assert len(FORMS) == 4 * 2 * 2 * 2 - 4
    assert not exists(MapForm("quad_htnet", map_size=36))
    assert FORMS["five_phases2_36"].shape == (36, 36, 6)
    assert FORMS["whole"].channel_names == ("u", "v", "strain")
    assert FORMS["whole_phases2"].channel_names == ("u1", "v1", "strain1", "u2", "v2", "strain2")
    for name, form in FORMS.items():
        assert form.layout == name


def test_the_flags_of_a_form():
    assert MapForm("five").flags == "--layout=five"
    wanted = "--layout=whole --normalise=symmetric --phases=2 --map_size=36"
    assert MapForm("whole", "symmetric", 2, 36).flags == wanted


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--layout=quad_htnet", "--map_size=36"), ("--map_size=36", "quad_htnet", "28 pixels")),
        (("--map_size=32",), ("--map_size=32", "28|36")),
        (("--normalise=zscore",), ("--normalise=zscore", "minmax|symmetric")),
        (("--phases=3",), ("--phases=3", "1|2")),
    ],
)
def test_forms_that_do_not_exist_are_one_line(flags, words, tmp_path):
    finished = run_command("input_pipeline.export", *flags, f"--output={tmp_path}/x.npz")
    assert_mistake(finished, *words)


def test_a_data_set_that_is_not_built_in_a_form(tmp_path):
    flags = ("--dataset=samm", f"--data_dir={tmp_path}", "--layout=whole", "--normalise=symmetric")
    finished = run_command("input_pipeline.export", *flags, f"--output={tmp_path}/x.npz")
    assert_mistake(finished, "whole_symmetric", "input_pipeline.build", "--normalise=symmetric")
    # Published maps have min-max alone.
    assert "import_maps" not in finished.err

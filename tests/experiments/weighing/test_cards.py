"""GPUs by name and by file, and the command that weighs for them where no CUDA plugin is."""

import pytest
from command_runner import assert_mistake, run_command

from ahmsa_jax.config import ConfigError
from experiments.weighing import cards


def test_the_two_cards_have_their_declared_rates():
    h200, h100 = cards.load("h200"), cards.load("h100")
    assert (h200.memory_rate, h100.memory_rate) == (4.3e12, 3.0e12)
    assert h200.product_rate == h100.product_rate == {"tf32": 350e12, "bfloat16": 700e12}
    assert (h200.name, h200.memory) == ("NVIDIA H200 141GB HBM3e", 151_397_597_184)
    assert h100.memory == 84_942_979_072


def test_a_files_rates_are_shares_of_what_it_describes(tmp_path):
    path = tmp_path / "own.txtpb"
    path.write_text(cards.load("h200").description, encoding="utf-8")
    own = cards.load(str(path))
    assert own.memory_rate == pytest.approx(0.9 * 4.8e12)
    # 132 cores of 4 units: 256 multiply-adds a clock on float32, 512 on bfloat16, at 1.83 GHz.
    assert own.product_rate["tf32"] == pytest.approx(0.7 * 2 * 132 * 4 * 256 * 1.8295201e9)
    assert own.product_rate["bfloat16"] == pytest.approx(2 * own.product_rate["tf32"])


@pytest.mark.parametrize("lacking", ["memory_bandwidth", "device_memory_size", "core_count"])
def test_a_description_that_lacks_a_number_is_refused_with_its_name(tmp_path, lacking):
    path = tmp_path / "own.txtpb"
    text = cards.load("h100").description.replace(f"{lacking}:", "other:")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"does not hold {lacking}"):
        cards.load(str(path))


def test_a_description_without_matrix_units_is_refused(tmp_path):
    path = tmp_path / "own.txtpb"
    text = cards.load("h100").description.replace("matrix_unit_description", "other")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="matrix_unit_description"):
        cards.load(str(path))


@pytest.mark.parametrize("target", ["h300", "", "tests"])
def test_a_card_that_is_not_known_is_one_line(target):
    finished = run_command("experiments.benchmark", f"--target={target}")
    assert_mistake(finished, f"--target={target} cannot be read", "h200, h100 or a text file")


def test_without_the_cuda_plugin_the_extra_is_named():
    finished = run_command("experiments.benchmark", "--target=h200", "--json=runs/never.json")
    assert_mistake(finished, "needs JAX's CUDA plugin", "'.[cuda12]'")


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (("--quick",), ("--quick is for timing",)),
        (("--json=table.csv",), ("--json=table.csv must end in .json",)),
    ],
)
def test_flags_that_do_not_go_with_a_target_are_refused(flags, parts):
    assert_mistake(run_command("experiments.benchmark", "--target=h100", *flags), *parts)

"""The benchmark: floors against hand counts, refusals, and a tiny run of the whole command.

Modules tried here without being imported:
experiments.timing.precisions, experiments.timing.timed_networks.
"""

import json

import benchmark_faults
import numpy as np
import pytest
from command_runner import assert_mistake, run_command

from ahmsa_jax.config import TrainConfig
from ahmsa_jax.networks import arithmetic
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.ststnet import STSTNetConfig
from experiments.timing import figure, floors, rounds
from experiments.timing.contenders import EngineContender, TimedProblem, TorchContender

TINY = ("--quick", "--rounds=1", "--folds=1")


def test_forward_products_by_hand():
    config = ModelConfig(base_dim=8, blocks=(1, 1, 1), heads=3, reduction=4)
    # Widths 8, 16, 32; heads 3, 6, 12, so inner widths 6, 12, 24; 16, 4 and 1 patches.
    assert arithmetic.forward_products(config) == {
        "patch_embedding": 16 * 147 * 8,
        # Both poolings through 8 -> 2 -> 8; Q, K, V, output; QK^T and the weighted sum; 8 -> 32.
        "level_0": 2 * (8 * 2 + 2 * 8) + 16 * 4 * 8 * 6 + 2 * 16 * 16 * 6 + 16 * 2 * 8 * 32,
        "down_1": 100 * 8 * 16,  # a 4x4 grid has 100 taps inside
        "level_1": 2 * (16 * 4 + 4 * 16) + 4 * 4 * 16 * 12 + 2 * 4 * 4 * 12 + 4 * 2 * 16 * 64,
        "down_2": 16 * 16 * 32,  # a 2x2 grid has 16
        # One pooling; V and output alone.
        "level_2": (32 * 8 + 8 * 32) + 2 * 32 * 24 + 2 * 32 * 128,
        "head": 32 * 3,
    }


def test_forward_products_of_the_peers_by_hand():
    config = HTNetConfig(base_dim=8, blocks=(1, 2, 1), heads=3)
    # V and output of inner widths 6, 12, 24, and the feed-forward, for each of 16, 4, 1 patches.
    assert arithmetic.forward_products(config) == {
        "patch_embedding": 16 * 147 * 8,
        "level_0": 16 * (2 * 8 * 6 + 2 * 8 * 32),
        "down_1": 100 * 8 * 16,
        "level_1": 2 * 4 * (2 * 16 * 12 + 2 * 16 * 64),
        "down_2": 16 * 16 * 32,
        "level_2": 2 * 32 * 24 + 2 * 32 * 128,
        "head": 32 * 3,
    }
    # 100 pooling windows read 5x5 places of 3 channels and the bias's 1, for 9 x 16 outputs each.
    streams = 100 * (5 * 5 * 3 + 1) * 9 * 16
    assert arithmetic.forward_products(STSTNetConfig()) == {"streams": streams, "head": 1200}


def test_step_operations_are_six_per_product_less_the_maps_gradient():
    config = ModelConfig(base_dim=8, blocks=(0, 0, 0))
    embed, first, second, head = 16 * 147 * 8, 100 * 8 * 16, 16 * 16 * 32, 32 * 3
    assert floors.step_operations(config, 5) == 5 * (4 * embed + 6 * (first + second + head))


def test_products_of_the_papers_setting_are_near_the_notes():
    """About 190 million multiply-adds a clip, less Q and K of the top and the padding taps."""
    total = sum(arithmetic.forward_products(ModelConfig()).values())
    assert 150e6 < total < 165e6


def test_floor_adds_products_and_traffic():
    ceilings = floors.Ceilings({"float32": 1e9, "bfloat16": 2e9}, 1e8)
    assert floors.step_bytes(10, "float32") == 400
    assert floors.step_bytes(10, "bfloat16") == 340
    assert floors.floor_seconds(10**9, 10**8, ceilings, "float32") == pytest.approx(2)
    assert floors.floor_seconds(10**9, 10**8, ceilings, "bfloat16") == pytest.approx(1.5)


class Recorded:
    """A contender that takes the seconds it is given."""

    def __init__(self, name, losses, seconds):
        self.kind, self.name, self.precision, self.folds_at_once = "c", name, "float32", 1
        self.devices, self.compile_seconds = 1, 0.0
        self._losses, self._seconds = losses, list(seconds)

    def first_losses(self, epochs):
        return np.array(self._losses[:epochs])

    def round(self):
        return self._seconds.pop(0)


def timing(contenders):
    made = object.__new__(rounds.Timing)
    made._problem = TimedProblem(ModelConfig(base_dim=12, blocks=(1, 1, 1)), TrainConfig(), 1, 2)
    made._say = lambda text: None
    made.contenders = contenders
    return made


def test_ratios_are_medians_over_rounds_of_neighbours_in_time():
    # The machine was busy in the second round: the ratios of the rounds do not see it.
    made = timing(
        [
            Recorded("a", [1.0], [9, 4, 40, 4]),
            Recorded("b", [1.0], [9, 2, 20, 2]),
            Recorded("c", [1.0], [9, 1, 10, 1]),
        ]
    )
    rows = made.rows(3, floors.Ceilings({"float32": 1e12}, 1e12))
    assert [row["times_faster_than_a"] for row in rows] == [1, 2, 4]
    assert [row["times_faster_than_b"] for row in rows] == [0.5, 1, 2]
    assert [row["seconds_per_fold_step"] for row in rows] == [4, 2, 1]
    assert rows[2]["seconds_by_round"] == [1, 10, 1]
    assert rows[2]["share_of_floor"] == pytest.approx(rows[2]["floor_seconds"])


def test_only_float32_programs_must_agree():
    made = timing([])
    made.loss_gap, made._expected = 0.0, np.array([1.0, 2.0, 3.0])
    made._check(Recorded("near", [1.0, 2.00005, 3.0], []))
    assert made.loss_gap == pytest.approx(5e-5)
    rough = Recorded("rough", [1.1, 2.0, 3.0], [])
    rough.precision = "bfloat16"
    made._check(rough)
    for losses in ([1.0, 2.0, 3.0002], [1.0, float("nan"), 3.0]):
        with pytest.raises(rounds.DisagreementError, match="'far' and of PyTorch eager"):
            made._check(Recorded("far", losses, []))


@pytest.mark.parametrize(
    "config", [HTNetConfig(base_dim=12, blocks=(0, 0, 1)), STSTNetConfig(dropout=0.0)]
)
def test_the_peers_first_losses_agree_with_their_twins(config):
    problem = TimedProblem(config, TrainConfig(batch_size=16, precision="float32"), 1, 2)
    ours = EngineContender(problem, 1, "float32")
    theirs = TorchContender(problem, "eager", "float32", ours.initial())
    losses = ours.first_losses(3)
    assert np.abs(losses - theirs.first_losses(3)).max() < rounds.LOSS_TOLERANCE
    assert np.abs(np.diff(losses)).max() > 10 * rounds.LOSS_TOLERANCE, "nothing is learnt"
    assert (ours.round(), theirs.round()) > (0, 0)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    output = folder / "quick.json"
    finished = run_command("experiments.benchmark", *TINY, f"--output={output}", pictures=True)
    assert finished.status == 0, finished.err
    return finished, output


def test_quick_run_times_everything_and_stores_it(quick):
    finished, output = quick
    result = json.loads(output.read_text(encoding="utf-8"))
    names = [(row["name"], row["folds_at_once"]) for row in result["rows"]]
    assert names == [
        ("a: PyTorch eager", 1),
        ("b: PyTorch expert", 1),
        ("c: this engine", 1),
        ("c: evaluating each epoch", 1),
    ]
    plain, evaluating = (row["seconds_by_round"][0] for row in result["rows"][-2:])
    assert result["evaluation_cost"] == pytest.approx(evaluating / plain - 1)
    assert "after every epoch costs" in finished.out
    for row in result["rows"]:
        assert row["seconds_per_fold_step"] > 0
        assert row["floor_seconds"] > 0
        assert len(row["seconds_by_round"]) == 1
    assert result["rows"][0]["times_faster_than_a"] == 1
    assert result["loss_gap"] <= 1e-4
    assert {"torch", "date", "environment", "processor", "command", "ceilings"} <= result.keys()
    assert [row["precision"] for row in result["parity"]] == ["float32", "bfloat16"]
    assert result["parity"][0]["probability_gap_largest"] == 0
    assert result["parity"][1]["probability_gap_largest"] > 0
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "| c: this engine | float32 | 1 |" in finished.out
    assert "Precisions against float32" in finished.out
    # The plot is a function of the result.
    assert figure.draw(result) == output.with_suffix(".png").read_bytes()


def test_a_network_of_frames_is_timed_too(tmp_path):
    """The losses of all programs agree, or nothing would be printed."""
    output = tmp_path / "frames.json"
    finished = run_command(
        *("experiments.benchmark", "--model=hsta", *TINY, f"--output={output}"),
        pictures=True,
        prepare=benchmark_faults.torch_traces_alone,
    )
    assert finished.status == 0, finished.err
    result = json.loads(output.read_text(encoding="utf-8"))
    assert [row["kind"] for row in result["rows"]] == ["a", "b", "c", "c"]
    assert result["settings"]["size"] == "tiny"
    assert result["settings"]["dropout"] == result["settings"]["drop_path"] == 0
    assert result["loss_gap"] <= 1e-4
    # No synthetic data set has frames.
    assert result["parity"] == []
    assert "Precisions against float32" not in finished.out


def test_disagreement_is_one_line_and_no_figures(tmp_path):
    output = tmp_path / "wrong.json"
    finished = run_command(
        "experiments.benchmark",
        *TINY,
        f"--output={output}",
        prepare=benchmark_faults.wrong_torch_weights,
    )
    assert finished.status == 1
    assert "differ by" in finished.err.splitlines()[-1]
    assert "nats" in finished.err.splitlines()[-1]
    assert finished.out == ""
    assert not output.exists()


def test_without_torch_the_extra_is_named():
    finished = run_command("experiments.benchmark", prepare=benchmark_faults.without_torch)
    assert_mistake(finished, "baselines extra")


def test_without_a_compiler_it_says_so():
    finished = run_command("experiments.benchmark", prepare=benchmark_faults.without_compiler)
    assert_mistake(finished, "C++ compiler")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--steps=3", "--steps=3 is out of range; allowed are even numbers"),
        ("--folds=0", "--folds=0"),
        ("--rounds=0", "--rounds=0"),
        ("--base_dim=9000", "--base_dim=9000"),
        ("--output=result.txt", "must end in .json"),
        ("--json=result.json", "--json is for --target; --output names the file"),
        ("stray", "unexpected argument 'stray'"),
        ("--model=resnet", "--model=resnet"),
        ("--model=ststnet --base_dim=64", "--base_dim is no setting of ststnet"),
        ("--model=hsta --base_dim=64", "--base_dim is no setting of hsta"),
        ("--size=tiny", "--size is no setting of ahmsa"),
    ],
)
def test_mistakes_are_one_line(flag, words):
    assert_mistake(run_command("experiments.benchmark", *flag.split()), words)

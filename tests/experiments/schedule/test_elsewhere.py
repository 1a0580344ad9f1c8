"""A dry run for a GPU that is not here; compiling for it is replaced by a stored program.

Modules tried here without being imported:
experiments.schedule.elsewhere, experiments.weighing.deviceless, experiments.weighing.weigh.
"""

import absent_card
import pytest
from command_runner import assert_mistake, run_command
from small_runs import SMALL

from experiments.weighing import account, cards


def test_the_plan_and_the_least_time_follow_from_the_weighed_program(tmp_path):
    workdir = tmp_path / "run"
    finished = run_command(
        "experiments.loso",
        *SMALL[:-2],
        "--epochs=1000000",
        "--dry_run",
        "--target=h200",
        f"--workdir={workdir}",
        prepare=absent_card.compiles_to_the_stored_program,
    )
    assert finished.status == 0, finished.err
    assert "device: 1 x NVIDIA H200 141GB HBM3e, not here (gpu)" in finished.out
    # 3 GiB a fold of 84.6 usable ones.
    assert "plan: 1 chunk(s) of 24 folds at once, 1 step(s) per epoch" in finished.out
    assert "need 72 GiB of the 84.6 GiB per device" in finished.out
    h200 = cards.load("h200")
    weighed = account.account_of(absent_card.TEXT, h200, "tf32", folds=24, steps=1)
    seconds = 24 * 1_000_000 * weighed.training.ms / 1000
    assert 1 < seconds < 90
    assert f"at least {seconds:.0f} s, by the work of its kernels" in finished.out
    assert not workdir.exists()


def test_a_precision_that_is_not_weighed_is_refused():
    finished = run_command("experiments.loso", "--dry_run", "--target=h200", "--precision=float32")
    assert_mistake(finished, "--precision=float32 is not weighed", "tf32 and bfloat16")


def test_without_the_cuda_plugin_the_extra_is_named():
    finished = run_command("experiments.loso", "--dry_run", "--target=h200")
    assert_mistake(finished, "needs JAX's CUDA plugin", "'.[cuda12]'")


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--target=h200",), "give --dry_run too"),
        (("--target=h200", "--dry_run", "--parallel=batch"), "--parallel=batch"),
        (("--target=h200", "--dry_run", "--cluster=auto"), "leave out --cluster"),
        (("--target=nowhere", "--dry_run"), "--target=nowhere cannot be read"),
    ],
)
def test_a_target_is_for_dry_runs_on_one_card(flags, part):
    assert_mistake(run_command("experiments.loso", *flags), part)

"""Learning rates over the steps by the name after --schedule, as shares of the full one.

A schedule is a function of the step, counted from 0, or None where the rate stays the same.
"""

import optax

from ahmsa_jax.config import TrainConfig

# Share of the steps in which one cycle rises, where --warmup_epochs names none.
ONECYCLE_RISE = 0.15


def constant(config: TrainConfig, steps: int) -> optax.Schedule | None:
    """The full rate, after the warm-up."""
    rise = _rising(config, steps)
    return (
        optax.join_schedules([_ramp(rise), optax.constant_schedule(1.0)], [rise]) if rise else None
    )


def cosine(config: TrainConfig, steps: int) -> optax.Schedule:
    """Half a cosine from the full rate to 0 (Loshchilov and Hutter, arXiv 1608.03983)."""
    rise = _rising(config, steps)
    fall = optax.cosine_decay_schedule(1.0, max(1, steps - rise))
    return optax.join_schedules([_ramp(rise), fall], [rise]) if rise else fall


def onecycle(config: TrainConfig, steps: int) -> optax.Schedule:
    """One cycle (Smith and Topin, arXiv 1708.07120): from 1/25 of the rate up and down to 1e-4/25.

    Both ways along half a cosine, as in PyTorch; Adam's b1 stays what it is.
    """
    rise = _rising(config, steps) or max(1, round(ONECYCLE_RISE * steps))
    return optax.cosine_onecycle_schedule(max(2, steps), 1.0, pct_start=rise / max(2, steps))


def _rising(config: TrainConfig, steps: int) -> int:
    return config.warmup_epochs * steps // config.epochs


def _ramp(steps: int) -> optax.Schedule:
    # The first step is one of those that rise, not one of rate 0.
    return optax.linear_schedule(1 / (steps + 1), steps / (steps + 1), max(1, steps - 1))

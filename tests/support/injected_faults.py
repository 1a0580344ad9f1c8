"""Faults that tests put into a command's own process before it starts.

What they change is a module's attribute, looked up when the command calls it.
"""

import resource


def no_more_than_2000_bytes_a_file():
    """As on a full disk or a used-up quota: longer files cannot be written."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def poison_second_fold():
    """The second fold of every chunk has NaN parameters, as after a diverged step."""
    from ahmsa_jax.training.engine import Engine

    honest = Engine.run_epochs

    def poisoned(self, chunk, data, first_epoch, epochs):
        live = {path: leaf.at[:, 1].set(float("nan")) for path, leaf in chunk.state.live.items()}
        chunk.state = chunk.state._replace(live=live)
        return honest(self, chunk, data, first_epoch, epochs)

    Engine.run_epochs = poisoned


def ask_for_a_missing_device():
    """As JAX_PLATFORMS=cuda on a machine without one."""
    import jax

    # What JAX makes of the variable; it was imported before this process was forked.
    jax.config.update("jax_platforms", "nosuchdevice")


def disturb_jax_settings():
    """As JAX_ENABLE_X64=1 and the like in the shell; JAX read them before this process forked."""
    import jax

    disturbed = {
        "jax_enable_x64": True,
        "jax_default_matmul_precision": "bfloat16",
        "jax_default_prng_impl": "rbg",
        "jax_threefry_partitionable": False,
        "jax_random_seed_offset": 7,
        "jax_numpy_dtype_promotion": "strict",
        "jax_numpy_rank_promotion": "raise",
        "jax_transfer_guard": "disallow",
        "jax_disable_jit": True,
    }
    for name, value in disturbed.items():
        jax.config.update(name, value)


def call_every_run_long():
    """No fault: the warning of a long run on a CPU, without running long."""
    from experiments.schedule import forecast

    forecast.LONG_RUN_SECONDS = 0.0


def stop_after_parsing():
    """The command ends with 0 once its flags are understood, before it does anything."""
    from absl import app

    def parse_only(main, argv=None, flags_parser=None):
        import sys

        flags_parser(argv or sys.argv)
        sys.exit(0)

    app.run = parse_only

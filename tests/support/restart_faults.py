"""Signals, full memory and other code, put into a run's own process before it starts.

What they change is a module's attribute, looked up when the command calls it.
"""

import os
import signal
import time

import jax


def one_epoch_a_dispatch():
    from experiments.schedule import trainer

    trainer.DISPATCH_SECONDS = 0.0


def _after_epoch(number: int, act) -> None:
    """Call `act` once the first chunk's folds have trained `number` epochs, once."""
    from ahmsa_jax.training.engine import Engine

    one_epoch_a_dispatch()
    honest = Engine.run_epochs
    acted = []

    def disturbed(self, chunk, data, first_epoch, epochs):
        losses = honest(self, chunk, data, first_epoch, epochs)
        if first_epoch + epochs >= number and not acted:
            acted.append(True)
            act()
        return losses

    Engine.run_epochs = disturbed


def _send(number: int) -> None:
    os.kill(os.getpid(), number)
    # Until the main thread has seen it.
    time.sleep(0.3)


def sigterm_after_five_epochs():
    _after_epoch(5, lambda: _send(signal.SIGTERM))


def ctrl_c_after_five_epochs():
    _after_epoch(5, lambda: _send(signal.SIGINT))


def ctrl_c_twice_in_an_endless_dispatch():
    def act():
        _send(signal.SIGINT)
        _send(signal.SIGINT)
        time.sleep(100)

    _after_epoch(5, act)


def sigterm_in_an_endless_dispatch():
    from experiments.schedule import interruption

    interruption.LEAVE_SECONDS = 1.0

    def act():
        _send(signal.SIGTERM)
        time.sleep(100)

    _after_epoch(5, act)


def _told_at_once():
    from experiments.schedule import event_curves, progress_lines

    progress_lines.WRITE_SECONDS = event_curves.FLUSH_SECONDS = 0.0


def killed_in_the_second_epoch():
    # The checkpoint of the first is written by then.
    _after_epoch(2, lambda: os.kill(os.getpid(), signal.SIGKILL))


def killed_after_five_epochs():
    _told_at_once()
    _after_epoch(5, lambda: os.kill(os.getpid(), signal.SIGKILL))


def killed_after_five_epochs_of_the_second_chunk():
    """Chunks of three folds, of 12 epochs each."""
    from ahmsa_jax.training.engine import Engine

    _told_at_once()
    one_epoch_a_dispatch()
    honest = Engine.run_epochs
    ended = []

    def disturbed(self, chunk, data, first_epoch, epochs):
        losses = honest(self, chunk, data, first_epoch, epochs)
        ended.append(first_epoch + epochs)
        if 12 in ended and ended[-1] == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return losses

    Engine.run_epochs = disturbed


def other_version():
    import ahmsa_jax

    ahmsa_jax.__version__ = "0.0.1"


def files_of_12000_bytes_at_most():
    """The checkpoint's arrays do not fit, the run's other files do."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))


def _exhausted():
    import jax

    return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")


def no_memory_for_three_folds_in_the_second_chunk():
    from ahmsa_jax.training.engine import Engine

    honest_start, honest_run = Engine.start, Engine.run_epochs
    started = []

    def start(self, jobs, given=None):
        started.append(jobs)
        return honest_start(self, jobs, given)

    def run_epochs(self, chunk, data, first_epoch, epochs):
        if self.size > 2 and len(started) > 1 and first_epoch > 0:
            raise _exhausted()
        return honest_run(self, chunk, data, first_epoch, epochs)

    Engine.start, Engine.run_epochs = start, run_epochs


def no_memory_to_compile():
    from ahmsa_jax.training.engine import Engine

    def compile_nothing(self, chunk, data):
        raise _exhausted()

    Engine.compile = compile_nothing


def ten_mebibytes_a_fold_of_fifty():
    """Compiled programs tell a need of 10 MiB per fold, and 50 MiB can be used."""
    from ahmsa_jax.training.engine import Engine
    from experiments.schedule import programs

    honest = Engine.compile

    def compile_and_tell(self, chunk, data):
        honest(self, chunk, data)
        return self.size * 10 * 2**20

    programs.available_bytes = lambda devices: 50 * 2**20
    Engine.compile = compile_and_tell


def eight_devices():
    """No fault: as by JAX_NUM_CPU_DEVICES=8 in the shell."""
    jax.config.update("jax_num_cpu_devices", 8)


def two_devices():
    """No fault: as by JAX_NUM_CPU_DEVICES=2."""
    jax.config.update("jax_num_cpu_devices", 2)

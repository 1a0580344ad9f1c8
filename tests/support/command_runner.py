"""Runs a command of the project as its own process, without paying for its imports each time.

A fork server loads the slow libraries once; every command then runs in a fork of it as
`__main__`, with its own flags, streams and exit status.
"""

import gc
import io
import multiprocessing
import os
import pathlib
import runpy
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import blank_pictures

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _own_modules() -> list[str]:
    """Modules of the project that commands load; not the commands themselves, PyTorch or Ray.

    Nor what defines flags as it is imported, which every command would then list.
    """
    paths = [
        path.relative_to(ROOT).with_suffix("")
        for package, pattern in (
            ("ahmsa_jax", "**/*.py"),
            ("input_pipeline", "*/*.py"),
            ("experiments", "*/*.py"),
        )
        for path in sorted((ROOT / package).glob(pattern))
    ]
    names = [".".join(path.parts) for path in paths if path.name != "__init__"]
    left_out = ("torch", ".baselines.", ".timing.", ".cluster.")
    left_out += ("_flags", ".request", ".header", ".planning", ".elsewhere", ".nested", ".starts")
    left_out += (".part_runs", ".lost_motion_scores", ".setting_runs")
    left_out += (".all_clips", ".fitted", ".fitting.choice")
    return [name for name in names if not any(word in name for word in left_out)]


_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        *_own_modules(),
        "absl.app",
        "absl.logging",
        "flax.linen",
        "jax",
        "matplotlib.figure",
        "numpy",
        "openpyxl",
        "optax",
        "orbax.checkpoint",
        "PIL.Image",
        "pytest",
        "scipy.ndimage",
        "skimage.io",
        "tensorflow_datasets",
        "tqdm",
        # By its place: a fork server knows no folder but the one it was started in.
        "tests.support.drawn_before",
    ]
)


class Finished(NamedTuple):
    status: int
    out: str
    err: str


def collect_rarely() -> None:
    """Leave what is loaded to itself: collecting took a seventh of a small command's time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def run_command(
    module: str,
    *arguments: object,
    prepare: Callable[[], None] | None = None,
    pictures: bool = False,
    seconds: int = 600,
) -> Finished:
    """Run `python -m module arguments...` in the repository root.

    `prepare`, a function of a test module, is called in the command's process before it starts:
    it injects a fault. Pictures are blank unless `pictures`. A command that takes longer than
    `seconds` is taken to hang.
    """
    with tempfile.TemporaryDirectory() as name:
        streams = [os.path.join(name, stream) for stream in ("out", "err")]
        words = [str(argument) for argument in arguments]
        process = _SERVER.Process(
            target=_run_as_main, args=(module, words, *streams, prepare, pictures)
        )
        process.start()
        process.join(seconds)
        assert process.exitcode is not None, f"{module} did not end within {seconds} s"
        out, err = (pathlib.Path(stream).read_text(encoding="utf-8") for stream in streams)
    return Finished(process.exitcode, out, err)


def _run_as_main(
    module: str,
    words: list[str],
    out: str,
    err: str,
    prepare: Callable[[], None] | None,
    pictures: bool,
) -> None:
    for descriptor, stream in ((1, out), (2, err)):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), encoding="utf-8")
    # As from a terminal: what the tests were started to ignore (in the background, by nohup) would
    # stay ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.chdir(ROOT)
    sys.argv = [module, *words]
    collect_rarely()
    if not pictures:
        blank_pictures.draw_blank()
    if prepare:
        prepare()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def assert_mistake(finished: Finished, *parts: str) -> None:
    """A user's mistake: exit 2, one line on stderr that holds all parts, no traceback."""
    assert finished.status == 2, finished
    assert finished.err.count("\n") == 1, finished.err
    assert finished.err.startswith(("input_pipeline.", "experiments.")), finished.err
    assert "Traceback" not in finished.err
    for part in parts:
        assert part in finished.err

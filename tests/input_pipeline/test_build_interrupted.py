"""A build that is killed or interrupted: what it leaves behind, and how it goes on."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

from command_runner import ROOT
from native_builds import NAME, build, built_smic, clips, records

# Tests started in the background of a shell inherit that Ctrl-C is ignored, and pass it on. Undone
# in the new process, since Popen's preexec_fn would fork this one with JAX's threads in it.
HEED_CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def start(
    raw: pathlib.Path, data_dir: pathlib.Path, workers: int, **options: Any
) -> "subprocess.Popen[bytes]":
    words = [
        sys.executable,
        "-c",
        HEED_CTRL_C,
        "-m",
        NAME,
        "--dataset=smic",
        f"--raw_dir={raw}",
        f"--data_dir={data_dir}",
        f"--workers={workers}",
        "--flow=farneback",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    return subprocess.Popen(words, cwd=ROOT, **quiet)


def wait_for_maps(
    process: "subprocess.Popen[bytes]", data_dir: pathlib.Path, count: int
) -> pathlib.Path:
    """The cache of finished clips, once it holds `count` of them."""
    cache = data_dir / "map_cache"
    deadline = time.monotonic() + 60
    while len(list(cache.glob("*.npz"))) < count:
        assert process.poll() is None, "the build ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return cache


def test_a_killed_build_goes_on_to_the_same_content(pretend_smic, tmp_path):
    process = start(pretend_smic, tmp_path, 1)
    cache = wait_for_maps(process, tmp_path, 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "smic" / "five" / "1.0.0").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.npz")}
    assert len(kept) >= 3
    assert build(pretend_smic, tmp_path).status == 0
    whole = built_smic()
    assert clips(tmp_path).content_hash() == clips(whole).content_hash()
    assert records(tmp_path) == records(whole)
    # What was finished was not computed again.
    for name, changed in kept.items():
        assert (cache / name).stat().st_mtime_ns == changed


def test_ctrl_c_leaves_without_a_traceback(pretend_smic, tmp_path):
    process = start(
        pretend_smic,
        tmp_path,
        2,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_for_maps(process, tmp_path, 1)
    # As a terminal does: to the build and its workers alike.
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.decode().strip() == "input_pipeline.build: interrupted."


def test_a_worker_ends_with_its_build(pretend_smic, tmp_path):
    process = start(pretend_smic, tmp_path, 1)
    wait_for_maps(process, tmp_path, 1)
    tasks = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    children = [int(child) for child in tasks.split()]
    assert children
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(_alive(child) for child in children):
        assert time.monotonic() < deadline, "a worker outlives its killed build"
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False

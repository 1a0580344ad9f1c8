"""The commands whose results are kept, and where: what the project gives must not drift unseen.

On a machine whose fingerprint is known, results must be the same bytes; on every machine they must
lie close to the stored numbers. `python tests/support/write_golden.py` writes them anew; a commit
that does so says why.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform

import numpy as np
from command_runner import ROOT, run_command
from small_runs import KEYS

FOLDER = ROOT / "tests" / "golden"
VALUES = FOLDER / "values.json"
NETWORKS = ("ahmsa", "htnet", "ststnet")
# One step an epoch: the kept weights are those after two optimizer steps.
SHORT = ("--epochs=2", "--learning_rate=5e-6", "--save_weights", f"--subjects={','.join(KEYS[:4])}")
SMALL = ("--base_dim=6", "--blocks=1,1,1")
# Every eighth pixel of a side is kept.
FLOW_STRIDE = 8


def fingerprint() -> dict[str, str]:
    """What decides the last bits of a result: processor, cores, compiler and numeric libraries."""
    told = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    cpu = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in told)}
    flags = " ".join(sorted(cpu["flags"].split()))
    return {
        "processor": cpu["model name"],
        "flags": hashlib.sha256(flags.encode()).hexdigest()[:16],
        "cores": str(len(os.sched_getaffinity(0))),
        "system": platform.machine(),
        **{
            name: importlib.metadata.version(name)
            for name in ("jaxlib", "numpy", "opencv-contrib-python")
        },
    }


def main_job(workdir: pathlib.Path) -> dict[str, str]:
    """Run README's main job as users do, optimised; hashes of what it leaves."""
    finished = run_command(
        "experiments.loso", f"--workdir={workdir}", prepare=optimised, seconds=600
    )
    assert finished.status == 0, finished.err
    return hashes(workdir)


def optimised():
    """Compile as outside the tests; see conftest."""
    del os.environ["XLA_FLAGS"]


def short_run(network: str, workdir: pathlib.Path, *arguments: str) -> dict[str, str]:
    """Run four folds of a network for two steps; hashes of what they leave."""
    size = () if network == "ststnet" else SMALL
    finished = run_command(
        "experiments.loso", f"--model={network}", f"--workdir={workdir}", *SHORT, *size, *arguments
    )
    assert finished.status == 0, finished.err
    return hashes(workdir)


def hashes(workdir: pathlib.Path) -> dict[str, str]:
    """SHA-256 of the predictions, and of the summary without the seconds it took."""
    summary = json.loads((workdir / "summary.json").read_text(encoding="utf-8"))
    del summary["seconds"]
    told = json.dumps(summary, sort_keys=True).encode()
    return {
        "predictions": hashlib.sha256((workdir / "predictions.csv").read_bytes()).hexdigest(),
        "summary": hashlib.sha256(told).hexdigest(),
    }


def weights_after_two_steps(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    """At most 50 values of each parameter of the first fold, evenly spread."""
    from safetensors.numpy import load_file

    path = workdir / "weights" / "seed-0" / f"{KEYS[0].replace('/', '_')}.safetensors"
    found = load_file(path)
    return {
        name: leaf.ravel()[:: max(1, leaf.size // 50)][:50] for name, leaf in sorted(found.items())
    }


def pretend_casme2(folder: pathlib.Path) -> str:
    """Write a pretend CASME II below `folder`, build it there, and return its content hash."""
    from input_pipeline.storage import loader

    for name, *words in (
        ("fake_database", "--database=casme2", f"--output={folder / 'raw'}"),
        ("build", "--dataset=casme2", f"--raw_dir={folder / 'raw'}", f"--data_dir={folder}"),
    ):
        finished = run_command(f"input_pipeline.{name}", *words)
        assert finished.status == 0, finished.err
    return loader.load("casme2", "five", folder).content_hash()


@functools.cache
def flow_HxWx2() -> np.ndarray:
    """TV-L1 flow of a smile of 2 pixels on a pretend face, every eighth pixel."""
    from input_pipeline.pretend import accuracy

    found = accuracy.recover(0, "lip_corner_pull", 2.0, noise=0.0).found_SxSx2
    return found[::FLOW_STRIDE, ::FLOW_STRIDE]

"""Writes the golden values anew: python tests/support/write_golden.py. The commit says why."""

import json
import pathlib
import shutil
import tempfile

import conftest  # noqa: F401  (the tests' compiler flags, before JAX is loaded)
import golden
import numpy as np


def main() -> None:
    """Run every kept command and store hashes under this machine's fingerprint, and the values."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        found = {"main_job": golden.main_job(folder / "main")}
        shutil.copy(folder / "main" / "predictions.csv", golden.FOLDER / "main_job.csv")
        for network in golden.NETWORKS:
            workdir = folder / network
            found[network] = golden.short_run(network, workdir)
            shutil.copy(workdir / "predictions.csv", golden.FOLDER / f"{network}.csv")
            weights = golden.weights_after_two_steps(workdir)
            np.savez_compressed(golden.FOLDER / f"{network}.npz", **weights)
        found["pretend_casme2"] = golden.pretend_casme2(folder / "casme2")
        np.save(golden.FOLDER / "flow.npy", golden.flow_HxWx2())
    stored = json.loads(golden.VALUES.read_text()) if golden.VALUES.exists() else []
    mine = golden.fingerprint()
    stored = [one for one in stored if one["fingerprint"] != mine]
    stored.append({"fingerprint": mine, **found})
    golden.VALUES.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How far an unfinished run is, by its progress.jsonl: said before a report, never part of one."""

import datetime
import pathlib
import sys
import time
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from ahmsa_jax.config import ConfigError
from ahmsa_jax.metrics import pooled_scores
from experiments.files import progress_file, run_files
from experiments.files.progress_file import Unfinished
from experiments.run.workdir import read_config
from experiments.scores.summary import is_pretend

# A run that has said nothing for so long, seconds, and for so many times its longest silence, may
# have ended. While it waits for its compiler it says nothing for minutes.
SILENT_SECONDS, _SILENCES, _COMPILING_SECONDS = 60.0, 3.0, 3600.0
# With --select=inner the runs of the candidates.
_PARTS = ("inner/*", "outer/*")


def tell(workdirs: Sequence[pathlib.Path]) -> bool:
    """Print how far each unfinished run is; True where no run has finished folds to report on.

    A damaged progress.jsonl is a line on stderr; raises ConfigError where there is nothing else.
    """
    nothing_else = not any((w / run_files.PREDICTIONS_FILE).exists() for w in workdirs)
    told = 0
    for workdir in workdirs:
        folders = [workdir, *(path for part in _PARTS for path in sorted(workdir.glob(part)))]
        for folder in folders:
            try:
                found = progress_file.read(folder)
            except ConfigError as error:
                if nothing_else:
                    raise
                print(f"experiments.report: {error}", file=sys.stderr, flush=True)
                continue
            if found is not None:
                lines = described(found, time.time(), pretend=is_pretend(read_config(workdir)))
                print("\n".join([f"unfinished: {folder}", *lines]), flush=True)
                told += 1
    if told and not nothing_else:
        print()
    return told > 0 and nothing_else


def described(found: Unfinished, now: float, *, pretend: bool) -> list[str]:
    """The lines that say where a run stands at the time `now`, seconds since 1970."""
    whole = found.jobs * found.epochs
    lines = ["PRETEND data: this program made the clips up."] if pretend else []
    lines.append(
        f"{found.finished_jobs} of {found.jobs} folds finished, {found.trained:,} of {whole:,} "
        f"epochs of folds trained ({100 * found.trained // max(whole, 1)} %)"
    )
    for number, chunk in sorted(found.chunks.items()):
        if chunk.begun and not chunk.finished:
            loss = "" if chunk.loss is None else f", mean training loss {chunk.loss:.4f}"
            lines.append(
                f"in training: chunk {number} of {chunk.jobs} folds, epoch {chunk.epoch} of "
                f"{found.epochs}{loss}"
            )
    losses = [(chunk.jobs, chunk.loss) for chunk in found.chunks.values() if chunk.finished]
    known = [(jobs, loss) for jobs, loss in losses if loss is not None]
    if known:
        mean = sum(jobs * loss for jobs, loss in known) / sum(jobs for jobs, _ in known)
        lines.append(f"mean training loss of the finished folds, last epoch: {mean:.4f}")
    return [*lines, *_scores(found), *_times(found, now)]


def _scores(found: Unfinished) -> list[str]:
    counts = [(c.jobs, c.counts_KxK) for c in found.chunks.values() if c.counts_KxK is not None]
    if not counts:
        return []
    scores = pooled_scores(np.sum([counts_KxK for _, counts_KxK in counts], axis=0))
    return [
        f"held-out clips so far: UF1 {scores.uf1:.4f}, UAR {scores.uar:.4f}, from {scores.n} "
        f"predictions in {sum(jobs for jobs, _ in counts)} folds, each as last evaluated; "
        "of an unfinished run, and no result"
    ]


def _times(found: Unfinished, now: float) -> list[str]:
    began = datetime.datetime.fromtimestamp(found.started).strftime("%Y-%m-%d %H:%M:%S")
    so_far = tqdm.format_interval(max(0.0, found.last - found.started))
    left = "time left not known yet"
    if found.left is not None:
        left = f"about {tqdm.format_interval(found.left)} left to train"
    # Clocks of two machines differ.
    silent = max(0.0, now - found.last)
    ago = tqdm.format_interval(silent)
    patience = max(SILENT_SECONDS, _SILENCES * found.longest_gap)
    if found.waiting:
        patience = max(patience, _COMPILING_SECONDS)
    if found.stopped:
        life = f"it stopped {ago} ago"
    elif silent > patience:
        life = f"it has said nothing for {ago} and seems to have ended"
    else:
        waits = f" ({found.waiting})" if found.waiting else ""
        life = f"it seems to run: last heard of {ago} ago{waits}"
    if found.stopped or silent > patience:
        life += "; the command that started it goes on from what is saved"
    return [f"this start: {began}, {so_far} so far, {left}", life]

"""Makes the maps of many clips on all cores; one bad clip, or a dying worker, costs itself only."""

import concurrent.futures
import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

from input_pipeline.core import progress_lines
from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import face_film, second_phase
from input_pipeline.flow.cache import MapCache
from input_pipeline.flow.clip_maps import MapSettings, Quality, check_clip, make_maps

# How often a worker looks whether its build still lives; seconds.
_WATCH_SECONDS = 1.0


class Outcome(NamedTuple):
    """What became of one clip: its quality, or a reason code with one sentence."""

    key: str
    quality: Quality | None = None
    code: str = ""
    detail: str = ""


def run(
    records: Sequence[ClipRecord],
    settings: MapSettings,
    cache: MapCache | None,
    workers: int,
    phases: int = 1,
    *,
    faces: bool = False,
) -> list[Outcome]:
    """Process the clips in `workers` processes, with their progress shown; outcomes in their order.

    Finished maps are in the cache, so that an interrupted build goes on where it was; without a
    cache, clips are only checked.
    """
    work = functools.partial(process, settings=settings, cache=cache, phases=phases, faces=faces)
    outcomes: dict[str, Outcome] = {}
    with progress_lines.bar(len(records), "clips") as bar:
        for outcome in _together(records, work, workers):
            outcomes[outcome.key] = outcome
            bar.update()
        # Whoever was at work when a process died is tried again, alone with its process.
        for record in records:
            if record.key not in outcomes:
                alone = list(_together([record], work, 1))
                died = Outcome(record.key, code="worker_died", detail="its process was killed.")
                outcomes[record.key] = alone[0] if alone else died
                bar.update()
    return [outcomes[record.key] for record in records]


def _together(
    records: Sequence[ClipRecord], work: Callable[[ClipRecord], Outcome], workers: int
) -> Iterator[Outcome]:
    pool = concurrent.futures.ProcessPoolExecutor(
        max_workers=max(1, min(workers, len(records))),
        # A fork would copy the threads of libraries that are loaded already.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        waiting = {pool.submit(work, record) for record in records}
        for done in concurrent.futures.as_completed(waiting):
            try:
                yield done.result()
            except BrokenProcessPool:
                # All that were waiting end so; the caller sees who is missing.
                continue
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def process(
    record: ClipRecord,
    settings: MapSettings,
    cache: MapCache | None,
    phases: int = 1,
    *,
    faces: bool = False,
) -> Outcome:
    """One clip, in a worker: maps into the cache, or a check; faults become outcomes.

    With two `phases` the flow from apex to offset too, with `faces` frames in colour.
    """
    try:
        if cache is None:
            checked = check_clip(record, settings)
            rules = second_phase.check(record) if phases == 2 else ()
            return Outcome(record.key, checked._replace(rules=checked.rules + rules))
        maps = cache.load(record)
        if maps is None:
            maps = make_maps(record, settings)
            cache.save(record, maps)
        rules = maps.quality.rules
        if phases == 2:
            second = cache.load_second(record)
            if second is None:
                second = second_phase.make(record, settings, maps)
                cache.save_second(record, second)
            rules += second.rules
        if faces:
            frames = cache.load_film(record)
            if frames is None:
                frames = face_film.make(record, maps)
                cache.save_film(record, frames)
            rules += frames.rules
        return Outcome(record.key, maps.quality._replace(rules=rules))
    except ClipFault as fault:
        return Outcome(record.key, code=fault.code, detail=fault.detail)


def _start_worker() -> None:
    """End with the build, also where that is killed without a word."""
    # Ctrl-C reaches every process of the terminal; the build alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

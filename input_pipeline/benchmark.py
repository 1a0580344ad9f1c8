"""Times the way from frames to flow maps, and measures the flow against known motions.

    python -m input_pipeline.benchmark [--clips=N]

Pretend faces stand in for a database, so that it runs anywhere and shows no one.
"""

import functools
import multiprocessing
import multiprocessing.synchronize
import pathlib
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
from absl import flags

from input_pipeline.core import command, extras
from input_pipeline.core.errors import InputError
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow import clip_maps
from input_pipeline.flow.optical import METHODS
from input_pipeline.pretend import accuracy, portraits

_CLIPS = flags.DEFINE_integer(
    "clips", 24, "Pretend clips for the timing, at least 2.", lower_bound=2, upper_bound=10_000
)
_WORKERS = flags.DEFINE_integer(
    "workers", 2, "Largest number of workers that is timed.", lower_bound=1, upper_bound=1024
)
_FLOW = flags.DEFINE_enum("flow", "tvl1", METHODS, "Optical flow method, tvl1 or farneback.")
# A face of the accuracy table takes 64 flows.
_IDENTITIES = flags.DEFINE_integer(
    "identities",
    3,
    "Pretend faces behind the accuracy table; 0 leaves it out.",
    lower_bound=0,
    upper_bound=1000,
)
STAGES = ("reading", "detector", "landmarks", "flow", "regions")
STRENGTHS = (0.5, 1.0, 2.0, 3.0)
NOISES = (0.0, 2.0)
# Of a worker: what holds it until all have done their first clip.
_together: "multiprocessing.synchronize.Barrier"


def main() -> int:
    """Print the timing and the accuracy tables."""
    extras.require()
    settings = clip_maps.MapSettings(flow=_FLOW.value)
    for name, text in settings.provenance().items():
        print(f"{name}: {text}")
    with tempfile.TemporaryDirectory() as folder:
        records = pretend_clips(pathlib.Path(folder), _CLIPS.value)
        _print_timings(records, settings)
    if _IDENTITIES.value:
        _print_accuracy(_FLOW.value, _IDENTITIES.value)
    return 0


def pretend_clips(folder: pathlib.Path, count: int) -> list[ClipRecord]:
    """Clips of two frames each, written as JPEG of 640x480 pixels; identities and classes vary."""
    image = extras.library("PIL.Image")
    records = []
    for number in range(count):
        face_HxWx3 = portraits.identity(number)
        label = number % len(portraits.MOTIONS_OF)
        emotion = tuple(portraits.MOTIONS_OF)[label]
        motions = {name: 2.0 * share for name, share in portraits.MOTIONS_OF[emotion].items()}
        frames = []
        for index, frame_HxWx3 in enumerate((face_HxWx3, portraits.moved(face_HxWx3, motions)[0])):
            path = folder / f"{number}_img{index + 1}.jpg"
            noisy_HxWx3 = portraits.with_noise(frame_HxWx3, 1.0, 2 * number + index)
            image.fromarray(noisy_HxWx3).save(path, quality=95)
            frames.append((index + 1, path))
        records.append(
            ClipRecord(
                database="pretend",
                subject=f"p{number:02d}",
                clip="EP01",
                onset=1,
                apex=2,
                offset=2,
                emotion=emotion,
                label=label,
                frames=tuple(frames),
            )
        )
    return records


def timed(
    records: list[ClipRecord], settings: clip_maps.MapSettings, workers: int
) -> tuple[float, dict[str, float], float]:
    """Clips per second, seconds per stage over all clips, and MB of the largest worker.

    The start of the `workers` processes and their first clip are not counted.
    """
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(workers)
    work = functools.partial(_work, settings=settings)
    with ProcessPoolExecutor(workers, context, _start_worker, (together,)) as pool:
        try:
            # Every worker waits for the others with its first clip done: each takes one.
            list(pool.map(functools.partial(work, first=True), [records[0]] * workers))
            started = time.perf_counter()
            done = list(pool.map(work, records))
            elapsed = time.perf_counter() - started
        except BrokenProcessPool as error:
            raise InputError(
                "a worker of the benchmark ended early; its message stands above."
            ) from error
    total = {stage: sum(seconds.get(stage, 0.0) for seconds, _ in done) for stage in STAGES}
    return len(records) / elapsed, total, max(peak for _, peak in done)


def _start_worker(together: "multiprocessing.synchronize.Barrier") -> None:
    global _together
    _together = together


def _work(
    record: ClipRecord, settings: clip_maps.MapSettings, first: bool = False
) -> tuple[dict[str, float], float]:
    """Seconds by stage of one clip, and the worker's largest memory so far in MB."""
    seconds = clip_maps.make_maps(record, settings).seconds
    if first:
        _together.wait()
    return seconds, peak_memory_mb()


def peak_memory_mb() -> float:
    """The largest memory this process has held at once, in MB of 2^20 bytes."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    import resource

    # Elsewhere this also holds what the parent had used; macOS counts in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


def _print_timings(records: list[ClipRecord], settings: clip_maps.MapSettings) -> None:
    print(f"\n{len(records)} clips, 640x480 JPEG, OpenCV on one thread per worker")
    print(f"{'workers':>8}{'clips/s':>9}{'speed-up':>10}{'peak MB':>9}", end="")
    print("".join(f"{stage:>11}" for stage in STAGES), " (ms per clip)")
    single = None
    for workers in range(1, _WORKERS.value + 1):
        rate, seconds, peak_mb = timed(records, settings, workers)
        single = single or rate
        print(f"{workers:>8}{rate:>9.2f}{rate / single:>10.2f}{peak_mb:>9.0f}", end="")
        print("".join(f"{1000 * seconds[stage] / len(records):>11.1f}" for stage in STAGES))


def _print_accuracy(method: str, identities: int) -> None:
    print(f"\n{method} against known motions, {identities} faces, pixels of the 224x224 crop:")
    print("median end-point error where the motion is above half its strength, inside the face")
    print(f"{'noise':>6}{'motion':>8}{'all':>8}{'worst motion':>22}{'worst direction':>18}")
    for noise in NOISES:
        for strength in STRENGTHS:
            errors: dict[str, list[np.ndarray]] = {name: [] for name in portraits.MOTIONS}
            degrees = 0.0
            for name in portraits.MOTIONS:
                for number in range(identities):
                    found = accuracy.recover(number, name, strength, noise=noise, method=method)
                    errors[name].append(found.errors())
                    degrees = max(degrees, found.degrees_off())
            median = {name: float(np.median(np.concatenate(e))) for name, e in errors.items()}
            worst = max(median, key=lambda name: median[name])
            overall = np.median(np.concatenate([e for found in errors.values() for e in found]))
            print(
                f"{noise:>6g}{strength:>8g}{overall:>8.3f}{f'{median[worst]:.3f} {worst}':>22}"
                f"{f'{degrees:.0f} degrees off':>18}"
            )


if __name__ == "__main__":
    command.run(main, name="input_pipeline.benchmark", purpose="Times the preprocessing.")

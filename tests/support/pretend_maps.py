"""Made-up flow maps in the two published forms, for tests."""

import csv
import io
import pathlib

import numpy as np
from command_runner import run_command
from PIL import Image

COLUMNS = ["database", "subject", "sample", "label", "map"]
LANDMARK_COLUMNS = [
    f"{point}_{axis}"
    for point in ("eye_left", "eye_right", "nose", "lip_left", "lip_right")
    for axis in "xy"
]
LANDMARKS = [6.5, 8.0, 21.5, 8.5, 14.0, 15.0, 9.0, 21.0, 19.0, 20.0]
_CLIPS = [
    ("casme2", "sub01", "EP02_01f", "positive"),
    ("casme2", "sub01", "EP19_05f", "negative"),
    ("casme2", "sub17", "EP01_02", "surprise"),
    ("samm", "006", "006_1_2", "negative"),
    ("samm", "006", "006_1_3", "positive"),
    ("smic", "s03", "s03_ne_01", "negative"),
    ("smic", "s03", "s03_sur_02", "surprise"),
    ("smic", "s20", "s20_po_01", "positive"),
]


def values(seed: int) -> np.ndarray:
    """A 28x28x3 uint8 map; every seed gives another."""
    return np.random.default_rng(seed).integers(0, 256, (28, 28, 3), np.uint8)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def rows() -> list[dict[str, str]]:
    """The table's rows, without landmark columns."""
    return [
        dict(zip(COLUMNS, (*clip, f"maps/{clip[1]}_{clip[2]}.png"), strict=True)) for clip in _CLIPS
    ]


def rows_with_landmarks() -> list[dict[str, str]]:
    points = dict(zip(LANDMARK_COLUMNS, map(str, LANDMARKS), strict=True))
    return [row | points for row in rows()]


def write_table(source: pathlib.Path, table: list[dict[str, str]] | None = None) -> pathlib.Path:
    """A table-form source; the map of `rows()[i]` is `values(i)`."""
    table = rows() if table is None else table
    (source / "maps").mkdir(parents=True, exist_ok=True)
    for seed, row in enumerate(rows()):
        (source / row["map"]).write_bytes(png(values(seed)))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    (source / "samples.csv").write_text(buffer.getvalue(), encoding="utf-8")
    return source


def write_split(source: pathlib.Path, blank: str = " ") -> pathlib.Path:
    """The same clips in pre-split form, HTNet's blank before `.png` included by default."""
    labels = ("negative", "positive", "surprise")
    for held_out in sorted({row["subject"] for row in rows()}):
        for part in ("u_train", "u_test"):
            (source / held_out / part).mkdir(parents=True)
        for seed, row in enumerate(rows()):
            part = "u_test" if row["subject"] == held_out else "u_train"
            folder = source / held_out / part / str(labels.index(row["label"]))
            folder.mkdir(exist_ok=True)
            name = f"{row['subject']}_{row['sample']}{blank}.png"
            (folder / name).write_bytes(png(values(seed)))
    return source


def import_maps(source: pathlib.Path, dataset: str = "megc2019"):
    """The command on a source; a fault must show before anything is written."""
    data_dir = source.parent / "written"
    finished = run_command(
        "input_pipeline.import_maps",
        f"--source={source}",
        f"--dataset={dataset}",
        f"--data_dir={data_dir}",
    )
    assert (finished.status == 0) == data_dir.exists()
    return finished


def rewrite(source: pathlib.Path, old: str, new: str) -> None:
    path = source / "samples.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

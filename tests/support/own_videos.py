"""Videos and folders of pretend faces, as a user may have them, for tests."""

import functools
import pathlib

import cv2
import numpy as np
import pretend_clips


@functools.cache
def frames(count: int = 9, apex: int = 5, number: int = 0) -> tuple[np.ndarray, ...]:
    """A smile that rises to the apex and fades, a face each (480x640x3 RGB)."""
    found = []
    for place in range(count):
        share = place / apex if place <= apex else (count - place) / (count - apex)
        smile = round(3 * share, 2)
        found.append(pretend_clips.smiling(smile, number) if smile else pretend_clips.face(number))
    return tuple(found)


def write_video(path: pathlib.Path, shown, rate: float = 30.0, codec: str = "MJPG") -> pathlib.Path:
    height, width = shown[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (width, height))
    assert writer.isOpened(), codec
    for frame in shown:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def write_folder(folder: pathlib.Path, shown, first: int = 0) -> pathlib.Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(shown, start=first):
        pretend_clips.write(folder / f"img{number}.bmp", frame)
    return folder

"""Small made-up data sets of faces: noise with a patch whose place tells the class."""

import numpy as np

from input_pipeline.core import face_frames
from input_pipeline.core.clips import Clips, sorted_and_checked
from input_pipeline.maps import from_faces


def clips(counts: dict[str, int], seed: int = 0) -> Clips:
    """Clips of a database `samm`, so many of each subject, classes in turn."""
    rng = np.random.default_rng(seed)
    subject_N = [name for name, count in counts.items() for _ in range(count)]
    count = len(subject_N)
    label_N = np.arange(count) % 3
    side = face_frames.SIDE
    frames = rng.integers(60, 190, (count, 1, side, side, 3), np.uint8)
    frames = np.repeat(frames, face_frames.FRAMES, axis=1)
    flow = rng.normal(0, 0.05, (count, side, side, 3)).astype(np.float16)
    flow[..., 2] = np.abs(flow[..., 2])
    for place, label in enumerate(label_N):
        rows = slice(20 + 64 * label, 60 + 64 * label)
        flow[place, rows, 40:180, 1] -= 2
        frames[place, 2:, rows, 40:180] //= 2
    faces = {
        "frames": frames,
        "frame_numbers": np.tile(np.arange(face_frames.FRAMES), (count, 1)),
        "flow_px": flow,
    }
    columns = {
        **faces,
        **dict.fromkeys(("flow", "flow_whole"), from_faces.maps_of(faces)),
        "label": label_N,
        "database": np.full(count, "samm"),
        "subject": np.array(subject_N),
        "clip": np.array([f"{name}_{place}" for place, name in enumerate(subject_N)]),
    }
    made = Clips.of_columns(columns, dataset="samm", layout=face_frames.LAYOUT, pretend=True)
    return sorted_and_checked(made, where="made-up faces")

"""All frames of a clip from onset to offset, aligned as its build aligns onset and apex.

Letters in array names: F frames, S side of the face crop.
"""

import numpy as np

from input_pipeline.core.clip_faults import ClipFault
from input_pipeline.databases import apex
from input_pipeline.databases.rows import ClipRecord
from input_pipeline.faces import detection, frames


def aligned_film(record: ClipRecord) -> tuple[np.ndarray, list[str]]:
    """Grey crops uint8 (F, S, S) in the frames' order, and a sentence for each frame left out.

    The face is found in the onset, whose transform serves all frames; frames that are missing
    are not made up. Raises ClipFault where the onset cannot be used.
    """
    onset = apex.nearest_frame(record, record.onset, "onset")
    onset_HxW = frames.grey(frames.read_frame(onset.path))
    face = detection.find_face(onset_HxW)
    crops, left_out = [], []
    for number, path in record.frames:
        if onset.number <= number <= record.offset:
            try:
                crops.append(detection.crop(frames.grey(frames.read_frame(path)), face))
            except ClipFault as fault:
                left_out.append(f"{record.key}, frame {number}: {fault.detail}")
    return np.stack(crops), left_out

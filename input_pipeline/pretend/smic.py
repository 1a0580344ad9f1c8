"""A pretend SMIC-HS: no sheet, large bitmaps, classes in folder names, numbers of any width."""

import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from input_pipeline.pretend import film, regular
from input_pipeline.pretend.film import Film, PretendClip

DATABASE = "smic"
CLIPS = (
    PretendClip("s1", "s1_ne_01", "negative", 540010, 540013, 540015),
    PretendClip("s1", "s1_ne_02", "negative", 34310, 34313, 34315),
    PretendClip("s1", "s1_po_01", "positive", 540100, 540103, 540105),
    PretendClip("s3", "s3_po_01", "positive", 412310, 412313, 412315),
    # The width changes within the clip.
    PretendClip("s3", "s3_sur_01", "surprise", 999997, 1000000, 1000002),
    PretendClip("s18", "s18_sur_01", "surprise", 1642685, 1642688, 1642690),
    PretendClip("s18", "s18_sur_02", "surprise", 1643000, 1643003, 1643005),
    # Its cropped folder is empty.
    PretendClip("s18", "s18_sur_03", "surprise", 1644000, 1644003, 1644005),
    PretendClip("s20", "s20_ne_01", "negative", 17580123, 17580126, 17580128),
    PretendClip("s20", "s20_po_01", "positive", 17590000, 17590003, 17590005),
)
_EMPTY_WHEN_CROPPED = "s18_sur_03"


def names(clip: PretendClip) -> tuple[str, str]:
    """Subject and clip as in the composite list: `s1_ne_01` is s01, s01_ne_01."""
    subject = f"s{int(clip.subject[1:]):02d}"
    return subject, f"{subject}_{clip.clip.split('_', 1)[1]}"


def regular_clips(subjects: int) -> tuple[PretendClip, ...]:
    """Clips without dirt, each class once a subject."""
    short = {"negative": "ne", "positive": "po", "surprise": "sur"}
    return regular.clips(
        subjects,
        tuple(short),
        lambda subject, _, emotion: (f"s{subject}", f"s{subject}_{short[emotion]}_01"),
    )


def write(root: pathlib.Path, clips: Sequence[PretendClip] = CLIPS, first_face: int = 24) -> None:
    """Write the pretend database into `root`."""
    drawn = Film(DATABASE, clips, first_face)
    raw = root / "SMIC_all_raw" / "SMIC_all_raw" / "HS"
    cropped = root / "SMIC_all_cropped" / "HS"
    for clip in clips:
        # Three quarters of the size: bitmaps are large.
        full = list(drawn.frames(clip))
        frames = [(number, _smaller(picture)) for number, picture in full]
        inside = pathlib.Path(clip.subject, "micro", clip.emotion, clip.clip)
        film.write_frames(raw / inside, frames, "image{:06d}.bmp")
        faces = [(number, film.cropped(picture, clip)) for number, picture in full]
        faces = [] if clip.clip == _EMPTY_WHEN_CROPPED else faces
        film.write_frames(cropped / inside, faces, "reg_image{:06d}.bmp")
    # Neutral clips, and another camera's: both must be left alone.
    first = [(n, picture[::4, ::4]) for n, picture in list(drawn.frames(clips[0]))[:2]]
    neutral = raw / "s1" / "non_micro" / "s1_n1"
    film.write_frames(neutral, first, "image{:06d}.bmp")
    visible = raw.parent / "VIS" / "s1" / "micro" / "negative" / "s1_ne_01"
    film.write_frames(visible, first, "image{:06d}.bmp")
    drawn.write_tables(root, clips, names)


def _smaller(picture: np.ndarray) -> np.ndarray:
    size = (picture.shape[1] * 3 // 4, picture.shape[0] * 3 // 4)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))

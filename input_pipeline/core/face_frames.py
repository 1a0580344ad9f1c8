"""What a data set of faces holds beside the labels: each clip's frames and flow, not cut or scaled.

Faces are licensed material, as the database's frames are.
"""

# Its stored layout, and what the data set's folder is called behind the data set's name.
LAYOUT = "rgb224"
SUFFIX = "_faces"
SIDE = 224
# Frames of a clip: so many from onset to offset in equal steps, then onset and apex.
UNIFORM = 6
FRAMES = UNIFORM + 2
# A longer clip is looked at for so many frames after the onset (HSTA's public code).
MOST_SPAN = 50
# Its columns, with shape and type of a clip's entry.
COLUMNS: dict[str, tuple[tuple[int, ...], str]] = {
    "frames": ((FRAMES, SIDE, SIDE, 3), "uint8"),
    "frame_numbers": ((FRAMES,), "int64"),
    "flow_px": ((SIDE, SIDE, 3), "float16"),
}
LICENCE = "faces of a database are licensed material: keep them where its frames may be kept"

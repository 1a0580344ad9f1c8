"""The one exception for a clip that cannot be used, and every reason code with its meaning.

A reason code is what the build report counts and what a user searches for; a code that is not
listed here cannot be raised.
"""

# Code -> meaning in one line, in the order in which a clip meets them.
REASONS = {
    # The row of the annotation sheet, or the name of the clip's folder.
    "bad_name": "the subject or clip is not named as this database names them",
    "duplicate_key": "two rows of the sheet name the same clip",
    "unknown_emotion": "the emotion is blank or stands in no class map",
    "label_conflict": "two sources give the clip another class",
    "not_found": "the composite list names a clip that neither sheet nor folders hold",
    "annotation_number": "a frame number of the sheet is no whole number from 0",
    "apex_missing": "no apex is annotated in a database that annotates them",
    # The folder of one clip.
    "duplicate_frame": "two files of the clip bear the same frame number",
    "shared_frames": "two clips have the same onset and apex pictures",
    # The file of one frame.
    "frame_unreadable": "the frame's file cannot be opened or read",
    "frame_not_a_file": "the frame's path is a folder, a pipe or a device",
    "frame_timeout": "the frame's file did not deliver its bytes in time",
    "frame_empty": "the frame's file has no bytes",
    "frame_too_large": "the frame's file or its picture is larger than the limit",
    "frame_format": "the frame's file is no JPEG, PNG or BMP, whatever its name says",
    "frame_colour": "the frame's colours are none of grey, RGB and palette (CMYK, for example)",
    "frame_damaged": "the frame's file is cut off or damaged",
    # The frames of one clip.
    "no_frames": "the clip has no frames on disk",
    "frame_missing": "an annotated frame is missing and none stands near enough",
    "annotation_missing": "onset or offset is not annotated",
    "annotation_order": "onset, apex and offset are not in this order",
    "no_motion_annotated": "the apex is the onset, and such clips are dropped on request",
    "size_differs": "the clip's frames differ in size",
    "frame_small": "the frame is too small to hold a face",
    "frame_constant": "a frame is black or of one grey value",
    # The face.
    "no_face": "no face was found in the onset frame",
    "several_faces": "several faces were found and none is clearly the subject's",
    "face_at_border": "the face reaches beyond the border of the frame",
    "face_small": "the eyes are too near to each other for a sharp crop",
    "landmarks_implausible": "the landmarks do not lie as on a face",
    "apex_face_lost": "the apex frame shows no face where the onset frame does",
    "no_face_mesh": "the face mesh found no face in the aligned apex",
    "mesh_implausible": "the face mesh's points do not lie as on a face",
    # An own clip, of experiments.predict.
    "no_such_clip": "there is no video or folder of that name",
    "video_unreadable": "the file is no video that OpenCV can decode, or it is cut off or damaged",
    "too_long": "the clip is longer than a window, and nothing says where in it to look",
    "too_short": "the window has a single frame",
    # The process.
    "worker_died": "the process that worked on the clip was killed (memory, or a harmful file)",
    # The flow.
    "flow_not_finite": "the optical flow holds NaN or infinity",
    "flow_absurd": "the optical flow is larger than a micro-expression can be",
    "no_motion": "the two frames hold the same pixels, or no motion was found at all",
}

# What was done to a clip that stays usable; counted in the report as well.
RULES = {
    "found_enlarged": "the face was found only after doubling the frame",
    "weak_detection_ignored": "a second detection scored below a quarter of the best: background",
    "largest_face_taken": "of several faces the one at least twice as large as all others",
    "border_filled": "the crop reaches beyond the frame by up to a tenth of its side",
    "nearest_frame_onset": "the onset's file is missing; the nearest within 2 was taken",
    "nearest_frame_apex": "the apex's file is missing; the nearest within 2 was taken",
    "nearest_frame_offset": "the offset's file is missing; the nearest within 2 was taken",
    "frames_replaced": "a frame between onset and offset is missing; the nearest was taken",
    "frames_repeated": "the clip is short: a frame stands more than once among its six",
    "second_phase_still": "the offset is not after the apex or holds its pixels: no way back",
    "apex_is_offset": "SMIC: the last frame serves as apex",
    "apex_is_middle": "SMIC: the frame halfway between onset and offset serves as apex",
    "apex_spotted": "the apex is the frame with the largest mean flow against the onset",
    "spotting_capped": "the clip runs on after the time in which an apex is looked for",
    "spotted_coarsely": "a long clip was searched in steps before the frames around the best",
    "zero_motion": "the annotated apex is the onset or holds the same pixels",
    "zero_motion_kept": "a clip without motion was kept on request; its maps are 0",
}


class ClipFault(Exception):  # noqa: N818 - a fault of the data, as the field says
    """One clip cannot be used: `code` is a key of REASONS, `detail` one sentence with the value.

    The detail names a frame by its file name only: reports may be shown, folders are private.
    Raises ValueError on a code that is not listed.
    """

    def __init__(self, code: str, detail: str) -> None:
        if code not in REASONS:
            raise ValueError(f"unknown reason code {code!r}; list it in clip_faults.REASONS first")
        # Both arguments go to the base class: so the fault crosses between processes.
        super().__init__(code, detail)
        self.code = code
        self.detail = " ".join(detail.split())

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

"""Builds a region-flow data set for experiments.loso from a database as delivered.

python -m input_pipeline.build --dataset=casme3 --raw_dir=DIR
"""

import os
import pathlib
from typing import Any

from absl import flags

from input_pipeline.core import command, extras, face_frames, map_flags, store_flags, tasks
from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import MapForm
from input_pipeline.databases import frame_choice, known_defects, reading
from input_pipeline.databases.apex import SMIC_CHOICES, ZERO_MOTION_CHOICES
from input_pipeline.databases.registry import STORED_DATASETS
from input_pipeline.databases.rows import ReadResult
from input_pipeline.flow import second_phase, workers
from input_pipeline.flow.cache import FOLDER, MapCache
from input_pipeline.flow.clip_maps import MapSettings
from input_pipeline.flow.optical import METHODS
from input_pipeline.flow.workers import Outcome
from input_pipeline.maps import from_frames
from input_pipeline.reports import build_report, class_set_lines
from input_pipeline.storage import tfds_folder

flags.DEFINE_enum(
    "dataset", None, STORED_DATASETS, f"Data set to build, one of {', '.join(STORED_DATASETS)}."
)
flags.DEFINE_string(
    "raw_dir",
    None,
    "The database as unzipped; of a composite the folder of its databases (megc2019: casme2, samm "
    "and smic; megc2018: casme2 and samm).",
)
_ANNOTATIONS = flags.DEFINE_multi_string(
    "annotations", [], "An annotation sheet or composite list; by default found below --raw_dir."
)
_FRAMES = flags.DEFINE_string(
    "frames",
    frame_choice.DEFAULT,
    "Which pictures to start from: raw (or selected), cropped, or one of them for each database, "
    f"as {frame_choice.EXAMPLE}.",
)
_FACES = flags.DEFINE_bool(
    "faces",
    False,
    "Store the clips' frames and full-size flow too, for networks that see pictures; they are "
    "licensed material.",
)
_CHECK_ONLY = flags.DEFINE_bool(
    "check_only", False, "Everything but flow and writing the data set: sheets, frames, faces."
)
_SKIP_BAD = flags.DEFINE_bool(
    "skip_bad", False, "Leave clips that cannot be used out, and count them in the report."
)
_ACCEPT_COUNTS = flags.DEFINE_bool(
    "accept_counts", False, "Go on although the clips deviate from the published counts."
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace a stored data set that holds other maps."
)
_FLOW = flags.DEFINE_enum("flow", "tvl1", METHODS, "Optical flow.")
_STRAIN = flags.DEFINE_string("strain", "mfdan", "Formula of the optical strain (see strain.py).")
_SMIC_APEX = flags.DEFINE_enum(
    "smic_apex", "offset", SMIC_CHOICES, "SMIC annotates no apex: which frame is it."
)
_ZERO_MOTION = flags.DEFINE_enum(
    "zero_motion", "spot", ZERO_MOTION_CHOICES, "What to do where the apex is the onset."
)
_SPOT_SECONDS = flags.DEFINE_float(
    "spot_seconds", 1.0, "How long after the onset an apex is looked for, where it is spotted."
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Processes; 0: one for each processor.", lower_bound=0, upper_bound=1024
)


def main() -> int:
    """Build what the flags name; returns the exit status."""
    raw_dir, dataset = command.required(raw_dir="DIR", dataset="NAME")
    extras.require()
    settings = MapSettings(
        flow=_FLOW.value,
        strain=_STRAIN.value,
        smic_apex=_SMIC_APEX.value,
        zero_motion=_ZERO_MOTION.value,
        spot_seconds=_SPOT_SECONDS.value,
    )
    data_dir, form = store_flags.data_dir(), map_flags.form()
    reports = data_dir / dataset / "reports" / form.layout
    title = f"Build of {dataset}, layout {form.layout}"
    result = reading.read_databases(
        dataset,
        pathlib.Path(raw_dir),
        [pathlib.Path(name) for name in _ANNOTATIONS.value],
        _FRAMES.value,
    )
    if form.phases == 2:
        second_phase.refuse_offsets_as_apex(result.clips, _SMIC_APEX.value)
    for note in result.notes:
        print(note)
    outside = sum(1 for clip in result.clips if clip.label < 0)
    classes = f"the {len(result.class_names)} classes"
    print(f"{len(result.clips)} clips to process, {outside} of them outside {classes}")
    if result.deviations and not _ACCEPT_COUNTS.value:
        faults = build_report.all_faults(result, [])
        path = build_report.write_report(reports, title, result, [], faults, {})
        raise InputError(
            f"the clips deviate from the published counts: {' '.join(result.deviations[:3])} "
            f"({len(result.deviations)} deviations, listed in '{path}'); complete the database, "
            "or give --accept_counts to go on with these clips."
        )
    cache = None if _CHECK_ONLY.value else MapCache(data_dir / FOLDER, settings)
    for sentence in cache.unusable(result.clips) if cache else ():
        print(f"map cache: {sentence}", flush=True)
    processes = _WORKERS.value or os.cpu_count() or 1
    outcomes = workers.run(
        result.clips, settings, cache, processes, form.phases, faces=_FACES.value
    )
    provenance = {"source": "database frames", "frames": _FRAMES.value, **settings.provenance()}
    # What differs from the papers' form alone: plain data sets say what they always said.
    plain = MapForm(form.cut)._asdict()
    provenance |= {name: str(v) for name, v in form._asdict().items() if v != plain[name]}
    faults = build_report.all_faults(result, outcomes)
    worth = known_defects.worth(faults, result.frames)
    path = build_report.write_report(reports, title, result, outcomes, faults, provenance, worth)
    print(f"report: {path}")
    known = sum(1 for fault in faults if fault.known)
    outside = sum(1 for fault in faults if fault.outside and not fault.known)
    print(
        f"{len(faults)} clips cannot be used, {known} of them known defects of the release, "
        f"{outside} outside {classes}"
    )
    still = build_report.zero_motion(result.clips, outcomes)
    if still:
        print(f"the apex of {len(still)} clips is their onset; the report lists what was chosen")
    for sentence in worth:
        print(f"known defects of {sentence}")
    unknown = [fault for fault in faults if fault.stops_build]
    if unknown and not _SKIP_BAD.value:
        first = unknown[0]
        raise InputError(
            f"{len(unknown)} clips cannot be used, first {first.key} ({first.code}: "
            f"{first.detail}); all are listed in '{path}'; mend them, or give --skip_bad to "
            "leave them out."
        )
    if cache is None:
        print("checked only: no flow was computed and no data set written")
        return 0
    _write(dataset, form, result, outcomes, cache, provenance, reports)
    return 0


def _write(
    dataset: str,
    form: MapForm,
    result: ReadResult,
    outcomes: list[Outcome],
    cache: MapCache,
    provenance: dict[str, str],
    reports: pathlib.Path,
) -> None:
    # TensorFlow Datasets and matplotlib take a second to load; --help needs neither.
    from input_pipeline.reports import face_pages, pages

    usable = {outcome.key for outcome in outcomes if outcome.quality is not None}
    records = [record for record in result.clips if record.key in usable]
    if not records:
        raise InputError("no clip of the database can be used; see the report.")
    facts: dict[str, Any] = {
        **{"where": f"the build of {dataset}", "dataset": dataset, "provenance": provenance},
        **{"pretend": result.pretend, "every_clip": True, "class_names": result.class_names},
    }
    clips = from_frames.in_form(records, cache, form, **facts)
    _store(clips)
    in_classes = tasks.selected(clips)
    subjects = len(set(in_classes.subject_key_N))
    print(f"{len(in_classes)} clips of {subjects} subjects, {len(clips)} with those of no class")
    print(f"content hash {in_classes.content_hash()[:12]}")
    print("".join(f"{line}\n" for line in class_set_lines.lines(clips)), end="")
    if _FACES.value:
        _store(from_frames.as_faces(records, cache, **facts))
        print(f"licensed material: {face_frames.LICENCE}")
    pages.write_pages(clips, reports)
    face_sheets = face_pages.write_pages(
        form,
        records,
        lambda record: from_frames.cached(cache, record, form.phases),
        reports,
        pretend=result.pretend,
        class_names=result.class_names,
    )
    print(f"contact sheets in {reports}; {len(face_sheets)} show faces: licensed material")


def _store(clips: Clips) -> None:
    from input_pipeline.storage import tfds_builder

    written = tfds_builder.write_data_set(clips, store_flags.data_dir(), overwrite=_OVERWRITE.value)
    state = "written to" if written.is_new else "already there with the same content, left as is:"
    name = tfds_folder.folder_name(clips.dataset, clips.layout)
    print(f"data set {name}/{clips.layout} {state} {written.path}")


if __name__ == "__main__":
    command.run(main, name="input_pipeline.build", purpose=__doc__)

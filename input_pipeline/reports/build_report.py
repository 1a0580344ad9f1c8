"""The report of a build: one line per clip with reason code and quality, and the counts."""

import collections
import pathlib
from collections.abc import Sequence

from input_pipeline.core import escaping, invocation
from input_pipeline.core.clip_faults import REASONS, RULES
from input_pipeline.core.clips import entitled
from input_pipeline.core.files import write_whole
from input_pipeline.core.tables import Table
from input_pipeline.databases import known_defects
from input_pipeline.databases.rows import ClipRecord, FaultyClip, ReadResult
from input_pipeline.flow.workers import Outcome

_QUALITY = ("onset_frame", "apex_frame", "detector_score", "flow_max_px", "strain_mean")
COLUMNS = ("clip", "label", "status", "code", "detail", "rules", *_QUALITY)


def all_faults(result: ReadResult, outcomes: Sequence[Outcome]) -> list[FaultyClip]:
    """Faults of reading and of processing in key order, known defects of the release marked."""
    label_of = result.labels()
    faults = list(result.faults)
    for key, _, code, detail in outcomes:
        if code:
            label = label_of.get(key, -1)
            faults.append(FaultyClip(key, code, detail, label, outside=label < 0))
    everything = known_defects.marked(faults, result.frames)
    return sorted(everything, key=lambda fault: fault.key)


def write_report(
    folder: pathlib.Path,
    title: str,
    result: ReadResult,
    outcomes: Sequence[Outcome],
    faults: Sequence[FaultyClip],
    provenance: dict[str, str],
    worth: Sequence[str] = (),
) -> pathlib.Path:
    """Write build_report.md and clips.csv into `folder`; returns the former's path.

    `faults` as from all_faults, `worth` as from known_defects.worth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "clips.csv", _clips_csv(result, outcomes, faults))
    path = folder / "build_report.md"
    write_whole(path, _markdown(title, result, outcomes, faults, provenance, worth))
    return path


def zero_motion(clips: Sequence[ClipRecord], outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """One row for each clip whose apex is its onset, or holds the same pixels, in key order.

    `frames` is the length from onset to offset, both included. The last cell names the frame that
    spotting chose, or why the clip has none.
    """
    outcome_of = {outcome.key: outcome for outcome in outcomes}
    found: list[tuple[str, ...]] = []
    for clip in sorted(clips, key=lambda clip: clip.key):
        outcome = outcome_of.get(clip.key)
        rules = outcome.quality.rules if outcome and outcome.quality else ()
        if clip.apex == clip.onset or "zero_motion" in rules:
            numbers = (clip.onset, clip.apex, clip.offset, clip.offset - clip.onset + 1)
            found.append((clip.key, *map(str, numbers), _taken(outcome)))
    return found


def _taken(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not looked at"
    if outcome.quality is None:
        return f"none: {outcome.code}"
    if "zero_motion" not in outcome.quality.rules:
        return "not looked for (check only)"
    if "zero_motion_kept" in outcome.quality.rules:
        return "none: kept without motion"
    capped = ", the search capped" if "spotting_capped" in outcome.quality.rules else ""
    return f"{outcome.quality.apex_frame} by spotting{capped}"


def _clips_csv(
    result: ReadResult, outcomes: Sequence[Outcome], faults: Sequence[FaultyClip]
) -> str:
    label_of = result.labels()
    rows: list[tuple[str, ...]] = []
    for outcome, quality in ((each, each.quality) for each in outcomes):
        if quality is None:
            continue
        flow, strain = f"{quality.flow_max_px:.3f}", f"{quality.strain_mean:.5f}"
        numbers = (f"{quality.detector_score:.4f}", flow, strain)
        word = _word(result, label_of.get(outcome.key, -1))
        frames = (str(quality.onset_frame), str(quality.apex_frame))
        rows.append((outcome.key, word, "used", "", "", " ".join(quality.rules), *frames, *numbers))
    for fault in faults:
        outside = f"left out (outside the {len(result.class_names)} classes)"
        status = outside if fault.outside else "bad"
        status = "left out (known defect)" if fault.known else status
        detail = f"{fault.detail} {fault.known}".strip()
        empty = [""] * (1 + len(_QUALITY))
        rows.append((fault.key, _word(result, fault.label), status, fault.code, detail, *empty))
    return Table("", COLUMNS, sorted(rows)).csv()


def _word(result: ReadResult, label: int) -> str:
    return result.class_names[label] if label >= 0 else ""


def _markdown(
    title: str,
    result: ReadResult,
    outcomes: Sequence[Outcome],
    faults: Sequence[FaultyClip],
    provenance: dict[str, str],
    worth: Sequence[str],
) -> str:
    label_of = result.labels()
    used = [outcome for outcome in outcomes if outcome.quality is not None]
    per_class = collections.Counter(label_of.get(outcome.key, -1) for outcome in used)
    classes = len(result.class_names)
    without = f", {per_class[-1]} outside the {classes} classes" if per_class[-1] else ""
    subjects = {outcome.key.rsplit("/", 1)[0] for outcome in used}
    rules = collections.Counter(rule for o in used if o.quality for rule in o.quality.rules)
    codes = collections.Counter((fault.code, bool(fault.known)) for fault in faults)
    parts = [
        f"# {escaping.markdown(entitled(title, pretend=result.pretend))}\n",
        f"{len(used)} clips of {len(subjects)} subjects are usable ("
        + ", ".join(f"{per_class[label]} {name}" for label, name in enumerate(result.class_names))
        + f"{without}); {len(faults)} are not. One line per clip stands in `clips.csv`.\n",
        _list("Read from", result.notes),
        _list("Counts that deviate from the published ones", result.deviations),
        _table(
            "Clips that cannot be used, by reason",
            ("reason", "known defect", "clips", "meaning"),
            [
                (code, "yes" if known else "no", str(count), REASONS.get(code, ""))
                for (code, known), count in sorted(codes.items())
            ],
        ),
        _list("What known defects without a clip's name are worth", worth),
        _table(
            "Rules applied to usable clips",
            ("rule", "clips", "meaning"),
            [(name, str(count), RULES[name]) for name, count in sorted(rules.items())],
        ),
        _table(
            "Clips whose apex is their onset",
            ("clip", "onset", "apex in the sheet", "offset", "frames", "apex taken"),
            zero_motion(result.clips, outcomes),
        ),
        _table(
            "Corrections of the annotation",
            ("clip", "field", "old", "new", "reason", "source"),
            [(c.key, c.field, c.old, c.new, c.reason, c.source) for c in result.corrections],
        ),
        _table(
            f"Rows outside the {classes}-class protocol",
            ("reason", "rows"),
            [(reason, str(count)) for reason, count in sorted(result.outside_protocol.items())],
        ),
        _table(
            "Settings and versions",
            ("what", "value"),
            [
                ("command", invocation.command_line()),
                ("date", invocation.now()),
                *sorted(provenance.items()),
            ],
        ),
    ]
    return "\n".join(part for part in parts if part)


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"## {title}\n\n" + "".join(f"- {escaping.markdown_line(line)}\n" for line in lines)


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    return Table(title, columns, rows).markdown()

"""Clips without motion between onset and apex as annotated, and what became of each."""

from collections.abc import Sequence

from input_pipeline.databases.rows import ClipRecord
from input_pipeline.flow.workers import Outcome

COLUMNS = ("clip", "onset", "apex in the sheet", "offset", "frames", "apex taken")
_RULE = "zero_motion"


def rows(clips: Sequence[ClipRecord], outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """One row for each clip whose apex is its onset, or holds the same pixels, in key order.

    `frames` is the length from onset to offset, both included. The last cell names the frame that
    spotting chose, or why the clip has none.
    """
    outcome_of = {outcome.key: outcome for outcome in outcomes}
    found: list[tuple[str, ...]] = []
    for clip in sorted(clips, key=lambda clip: clip.key):
        outcome = outcome_of.get(clip.key)
        rules = outcome.quality.rules if outcome and outcome.quality else ()
        if clip.apex == clip.onset or _RULE in rules:
            numbers = (clip.onset, clip.apex, clip.offset, clip.offset - clip.onset + 1)
            found.append((clip.key, *map(str, numbers), _taken(outcome)))
    return found


def _taken(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not looked at"
    if outcome.quality is None:
        return f"none: {outcome.code}"
    if _RULE not in outcome.quality.rules:
        return "not looked for (check only)"
    if "zero_motion_kept" in outcome.quality.rules:
        return "none: kept without motion"
    capped = ", the search capped" if "spotting_capped" in outcome.quality.rules else ""
    return f"{outcome.quality.apex_frame} by spotting{capped}"

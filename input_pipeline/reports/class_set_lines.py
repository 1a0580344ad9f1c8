"""Clips and subjects of each class set of a built data set, beside the published counts."""

from input_pipeline.core import tasks
from input_pipeline.core.clips import Clips
from input_pipeline.core.errors import InputError
from input_pipeline.databases import expected_counts
from input_pipeline.databases.registry import DATABASES_OF


def lines(clips: Clips) -> list[str]:
    """A sentence for each class set but the data set's own; of pretend clips nothing is published.

    A set that no clip has a class of, for want of a sheet, has a sentence too.
    """
    found = []
    for name, task in tasks.of_data_set(clips.dataset).items():
        if name == tasks.default_name(clips.dataset):
            continue
        try:
            chosen = task.of(clips)
            count = f"{len(chosen)} clips of {len(set(chosen.subject_key_N))} subjects"
        except InputError:
            count = "no clips: the sheet with its classes was not found"
        found.append(f"--classes={name}: {count}{_published(clips, name)}")
    return found


def _published(clips: Clips, name: str) -> str:
    counts = [expected_counts.of_class_set(each, name) for each in DATABASES_OF[clips.dataset]]
    known = [one for one in counts if one is not None]
    if clips.pretend or len(known) < len(counts):
        return ""
    total = sum(sum(map(sum, one.per_subject.values())) for one in known)
    return f" (published: {total} of {sum(one.subjects for one in known)})"

"""The files of a study: ablation.csv, ablation.md and the picture, from its settings' runs."""

import pathlib
from collections.abc import Sequence

from experiments.scores import drawing
from experiments.scores.reporting import print_tables
from experiments.studies import picture, results
from experiments.studies.results import Result
from experiments.studies.study import Study
from input_pipeline.core import escaping
from input_pipeline.core.clips import entitled
from input_pipeline.core.files import write_whole

NAME = "ablation"
_PICTURE = (
    f"![{NAME}]({NAME}.png)\n\nSmall grey points are seeds, diamonds their mean, bars their "
    "deviation, the broad pale lines 95 % intervals over subjects. "
    f"[It as PDF]({NAME}.pdf)\n"
)
_FILES = (
    "Each setting is a run of `experiments.loso` in the folder of its name; its `flags.txt` "
    "repeats it. Intervals are over subjects, as in its `summary.md`.\n"
)


def write(study: Study, found: Sequence[Result], folder: pathlib.Path) -> int:
    """Write the study's files and print its table; 3 where folds failed, else 0."""
    page = results.page(study, found)
    pretend = found[0].records.pretend
    write_whole(folder / f"{NAME}.csv", results.csv_table(study, found).csv())
    parts = [f"# {escaping.markdown(entitled(page.title, pretend=pretend))}\n"]
    parts += [f"{remark.markdown()}\n" for remark in page.remarks]
    parts += [table.markdown() for table in page.tables]
    parts += [_PICTURE, _FILES]
    write_whole(folder / f"{NAME}.md", "\n".join(parts))
    drawing.write(picture.draw(study, found), folder, NAME)
    print_tables([remark.plain() for remark in page.remarks], page.tables, folder)
    return 3 if any(one.records.failed for one in found) else 0

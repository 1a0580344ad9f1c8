"""docs/record.md: everything that the kept runs say, on one page."""

import pathlib
from collections.abc import Mapping

from experiments.recording import hard_clips, impossible, jitter, pictures, scored_runs, tables
from experiments.recording.kept import KeptRun, read_all
from experiments.recording.rows import DEVELOPED_HERE, HARD, ROWS
from experiments.scores import drawing
from input_pipeline.core.files import write_whole
from input_pipeline.databases.names import in_words

PAGE, FOLDER = "record.md", "record"
_ABOUT = f"""# Record

Every figure of this project on the 442 published maps of the MEGC 2019 composite (68 subjects),
made by `python -m experiments.record` from the kept runs in `experiments/results/record`:
`predictions.csv`, `summary.json` and `config.json` of each. A row without a kept run reads "not
measured". Runs are kept by

```sh
python -m experiments.record --keep=DIR --name=svm_maps
```

Scores are those of the last epoch, from counts pooled over all held-out clips, means over seeds
± their deviation. Intervals are 95 % intervals over subjects (2,000 draws within each
database). Time is the folds' own, all seeds together, on 2 CPU cores beside other jobs; compiling
and pretraining, once a seed, come on top.
*{DEVELOPED_HERE.capitalize()}* means that settings were tried on these same clips before: such
a figure flatters, and only a nested figure, whose settings are chosen in each fold by its
training subjects, is free of that choice. Even there the candidates were written by people who
had seen these clips.
"""
_MAIN = """
Full sizes wait for `experiments.measure` on a GPU. `bi_woof`, `mdmo` and `lbp_top` read flow or
frames that the published maps do not hold.

![UF1 of each row](record/overview.png)
"""
_CURVE = """
The subjects are put in one order by a seed, and each fold trains on the first of those it may
train on; a smaller share is a part of a larger one. A network draws its weights from the same seed.

![Learning curve](record/learning_curve.png)
"""
_HARD = """
Clips that {runs} all get wrong, each by the majority of its seeds. Their maps belong to the
databases' owners and are not kept here; this draws them into a folder of one's own:

```sh
python -m experiments.record --hard_maps=DIR --dataset=megc2019
```
"""
_JITTER = """
{clips}: {facts}.
Trained as annotated, one subject left out; the held-out clips' maps are made anew with their apex,
or their onset, so many frames later, yet never beyond each other or the clip's frames.
{remark}
```sh
python -m experiments.jitter --dataset=megc2019 --raw_dir=DIR --output=DIR2
```

![Moved frames](record/jitter.png)
"""
_OF_PRETEND = """
It shows that the path works and says nothing of people, whose motions are harder to tell apart: the
score is full as annotated. An apex moved shows the same motion weaker, and maps are scaled clip by
clip; an onset moved into so short a motion leaves little of it. With a real database in DIR the
same command measures that.
""".strip()
_IMPOSSIBLE = """
The UAR over all clips is the mean over classes of recalls that the databases' recalls
determine, weighed by their clips of the class; with a database's UAR given, the largest share
it can add puts its recalls where it has most of a class
(`experiments/scores/attainable.py`). A composite figure beyond the bound was not computed
from the predictions that gave the three columns.
"""
_CONTRADICTED = """
More on it in [why our numbers differ](why-our-numbers-differ.md).
"""
_SCORED = """
Failed ones, calibrations and controls too; a figure that is the best of many tries is worth
less than it looks.
"""


def write(root: pathlib.Path, docs: pathlib.Path) -> pathlib.Path:
    """Write the page and its pictures from the runs kept in `root`; returns the page's path."""
    kept, lines = read_all(ROWS, root), jitter.read(root)
    folder = docs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "overview": pictures.overview(kept),
        "learning_curve": pictures.learning_curve(kept),
    }
    if lines:
        figures["jitter"] = jitter.draw(lines)
    for name, figure in figures.items():
        write_whole(folder / f"{name}.png", drawing.drawn(figure, "png"))
    write_whole(docs / PAGE, text(kept, lines, root))
    return docs / PAGE


def text(kept: Mapping[str, KeptRun], lines: list[jitter.Line], root: pathlib.Path) -> str:
    """The page."""
    parts = [_ABOUT, tables.methods_table(kept).markdown(), _MAIN.lstrip()]
    parts.append(tables.nested_table(kept).markdown())
    parts.append(tables.databases_table(kept).markdown())
    parts += [tables.curve_table(kept).markdown(), _CURVE.lstrip()]
    parts.append(tables.controls_table(kept).markdown())
    parts += _hard(kept)
    parts += _moved(lines)
    parts += [impossible.impossible_rows().markdown(), _IMPOSSIBLE.lstrip()]
    parts += [impossible.contradicted_rows().markdown(), _CONTRADICTED.lstrip()]
    parts.append(tables.commands_table().markdown())
    parts += [scored_runs.table(root).markdown(), _SCORED.lstrip()]
    return "\n".join(parts)


def _hard(kept: Mapping[str, KeptRun]) -> list[str]:
    runs = ", ".join(HARD)
    about = _HARD.lstrip().format(runs=runs)
    if absent := hard_clips.missing(kept):
        return ["## Hard clips: not counted yet\n", f"Not kept yet: {', '.join(absent)}.\n", about]
    hard = hard_clips.found(kept)
    counts = hard_clips.counts_table(hard, kept).markdown()
    return [counts, about, hard_clips.by_subject(hard, kept).markdown()]


def _moved(lines: list[jitter.Line]) -> list[str]:
    if not lines:
        return ["## Moved frames of held-out clips: not measured\n"]
    one = lines[0]
    facts = f"{one.clips} of {one.subjects} subjects, {one.apart:g} frames from onset to apex"
    clips = f"Clips of {in_words(one.dataset)}"
    if one.data:
        clips = "Clips that this program made up (`input_pipeline.fake_database`)"
    remark = _OF_PRETEND if one.data else ""
    about = _JITTER.lstrip().format(clips=clips, facts=facts, remark=remark)
    return [jitter.table(lines).markdown(), about]

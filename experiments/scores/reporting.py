"""Summary, tables and pictures of a run, written and printed from its records."""

import contextlib
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ahmsa_jax.config import ConfigError
from experiments.run.inner_selection import INNER
from experiments.run.recipes import size_in_words
from experiments.run.workdir import (
    CONFIG_FILE,
    canonical_json,
    claimed,
    refuse_other_code,
    refuse_unfit,
)
from experiments.scores import candidates, figures, paired, tables
from experiments.scores.published import clips_of, published_table
from experiments.scores.summary import Records, read_records, summarise
from input_pipeline.core import escaping, tasks
from input_pipeline.core.clips import entitled
from input_pipeline.core.files import write_whole
from input_pipeline.core.tables import Table
from input_pipeline.databases.names import in_words

SUMMARY_FILE = "summary.json"
# Folds named one by one in a sentence; the rest are counted.
NAMED_FOLDS = 20
_ABOUT_SCORES = (
    f"Intervals: {paired.OWN_DRAWS:,} draws of subjects with replacement within each database, the "
    "scores of each draw from its pooled counts. Guessing: each class with the same chance, scores "
    "on average.\n"
)
# Whose scores the headline holds, by the kind of run.
_WHOSE = {
    **dict.fromkeys(("jax", "pytorch"), "of the last epoch"),
    "given": "of the weights given, however they were chosen",
    "classical": "of a method without a network, learnt anew in each fold",
}
_NESTED = "of inner selection (nested), each fold's settings chosen by its training subjects"
_ABOUT_PROBABILITIES = (
    "AUC: each class against the rest, mean over classes, clips of all folds ordered together. "
    "Pooled over left-out subjects it can lie far below 0.5 without any skill, since a fold that "
    "holds a class out has seen less of it: the class shares of the training folds alone give 0.19 "
    "on the 442 clips of MEGC 2019. Log-loss: of the true class, probabilities clipped at 1e-7.\n"
)
_PRETEND = (
    "this program made the clips up. Their scores say nothing of people, so the published rows "
    "are left out."
)


def summary_of(records: Records) -> dict[str, Any]:
    """The content of summary.json."""
    summary = summarise(records)
    if best := candidates.best_on_test(records):
        summary["best_candidate_on_test"] = best
    return summary


def write_report(records: Records, output: pathlib.Path) -> list[Table]:
    """Write summary.json, tables and pictures into `output`; returns the tables to print."""
    summary = summary_of(records)
    # What others compute with comes first: pictures need memory that may be short.
    write_whole(output / SUMMARY_FILE, canonical_json(summary))
    # Programs read the names as stored, readers as papers write them.
    write_whole(output / "scores.csv", tables.scores_table(records, summary, str).csv())
    write_whole(output / "subjects.csv", tables.subjects_table(records, str).csv())
    scores = tables.scores_table(records, summary)
    confusion = tables.confusion_table(records, summary)
    published = published_table(records, summary)
    beside = [published] if published else []
    in_latex = [table.latex() for table in (scores, confusion, *beside)]
    write_whole(output / "scores.tex", "".join(in_latex))
    pictures = figures.draw_all(records, output)
    parts = [f"# {escaping.markdown(title(records))}\n"]
    parts += [f"{remark.markdown()}\n" for remark in remarks(records)]
    parts += [scores.markdown(), _ABOUT_SCORES, *(table.markdown() for table in beside)]
    parts += [confusion.markdown(), _link("confusion_matrix")]
    parts += [_link("curves")] if "curves" in pictures else []
    worth = candidates.table(records)
    for choices in filter(None, (worth, tables.choices_table(records))):
        parts.append(choices.markdown())
    parts += [_link("choices")] if "choices" in pictures else []
    parts += [tables.probabilities_table(records, summary).markdown(), _ABOUT_PROBABILITIES]
    parts += [tables.clips_table(records).markdown()]
    parts += [tables.subjects_table(records).markdown(), _link("subjects")]
    parts += [tables.facts_table(records).markdown()]
    write_whole(output / "summary.md", "\n".join(parts))
    return [scores, *([worth] if worth else []), *beside]


def _link(picture: str) -> str:
    words = picture.replace("_", " ")
    return f"![{words}]({picture}.png)\n\n[{words} as PDF]({picture}.pdf)\n"


def title(records: Records) -> str:
    """The heading of a run's report, marked for pretend data."""
    return entitled(in_one_line(records), pretend=records.pretend)


def in_one_line(records: Records) -> str:
    """One line that names network, data set, classes, split, width and training."""
    spec, how = records.spec, "given weights"
    named = records.class_set
    classes = "" if named == "3" else f", {tasks.in_words(spec.dataset, named)}"
    if spec.is_trained:
        rate = f"learning rate {spec.training['learning_rate']:g}"
        how = f"{spec.epochs} epochs, {rate}, {len(records.seeds)} seed(s)"
    elif spec.kind == "classical":
        settings = [f"{name} {value}" for name, value in spec.network.items()]
        how = ", ".join(["no network", *settings])
    framework = ", in PyTorch" if spec.kind == "pytorch" else ""
    return (
        f"{spec.model} on {in_words(spec.dataset)} ({spec.layout}){classes}, "
        f"{spec.split_words.title}: {size_in_words(spec.network)}{how}{framework}"
    )


class Remark(NamedTuple):
    """One sentence of a report, with a lead in bold where it is a warning."""

    text: str
    lead: str = ""

    def plain(self) -> str:
        """For a terminal."""
        return f"{self.lead} {self.text}" if self.lead else self.text

    def markdown(self) -> str:
        """For summary.md; names in it take no effect there."""
        if not self.lead:
            return escaping.markdown_line(self.text)
        return f"**{self.lead}** {escaping.markdown(self.text)}"


def remarks(records: Records) -> list[Remark]:
    """Sentences that a reader must not miss: what the headline is, and what is not whole."""
    ended = len(records.folds) - len(records.failed)
    nested = records.spec.select == INNER
    whose = _NESTED if nested else _WHOSE[records.spec.kind]
    lines = [Remark(_PRETEND, "PRETEND data:")] if records.pretend else []
    headline = (
        f"{ended} of {len(records.expected)} folds finished. Headline scores are those {whose}, "
        "from counts pooled over all held-out clips (mean over seeds)."
    )
    lines.append(Remark(headline))
    if warning := records.spec.split_words.warning:
        leak = (
            "what a fold is tested on looks like what it was trained on, so these scores are no "
            "measure of unknown people."
        )
        lines.append(Remark(leak, f"{warning.capitalize()}:"))
    asked = len({key for _, key in records.expected})
    if asked < records.subjects_in_data_set:
        part = (
            f"{asked} of the data set's {records.subjects_in_data_set} {records.fold_words} were "
            "asked for; these are not the scores of the data set."
        )
        lines.append(Remark(part, "A part only:"))
    elif (count := clips_of(records)).is_part:
        part = f"{count.clips} of {count.whole} clips of the release; published scores are of more."
        lines.append(Remark(part, "A part only:"))
    if records.failed:
        lines.append(Remark(f"{_named(records.failed)}.", "Failed (the loss is NaN or infinite):"))
    if records.missing:
        lines.append(Remark(f"{_named(records.missing)}.", "Missing:"))
    return lines + [Remark(f"Note: {note}") for note in records.notes]


def _named(folds: list[tuple[int, str]]) -> str:
    names = [f"{key} (seed {seed})" for seed, key in folds[:NAMED_FOLDS]]
    rest = len(folds) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


def report_if_finished(workdir: pathlib.Path, config: dict[str, Any]) -> int | None:
    """Report a finished run of these settings; None where it is not made yet, or damaged.

    Raises ConfigError as workdir.claimed does, and where other code began an unfinished run.
    """
    refuse_unfit(workdir, config)
    if not (workdir / CONFIG_FILE).exists():
        return None
    with claimed(workdir, config, {}), contextlib.suppress(ConfigError):
        return report([workdir], workdir)
    refuse_other_code(workdir)
    return None


def report(workdirs: Sequence[pathlib.Path], output: pathlib.Path) -> int:
    """Write tables and pictures of a run, or of its parts, and print; 3 where folds failed."""
    records = read_records(workdirs)
    output.mkdir(parents=True, exist_ok=True)
    shown = write_report(records, output)
    print_tables([remark.plain() for remark in remarks(records)], shown, output)
    return 3 if records.failed else 0


def print_tables(remarks: Sequence[str], tables: Sequence[Table], output: pathlib.Path) -> None:
    """Print sentences, tables with their columns under each other, and where the files lie."""
    print("\n".join(remarks))
    for table in tables:
        print(f"\n{table.heading}\n{aligned([table.columns, *table.rows])}")
    print(f"\nfiles: {output}", flush=True)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other, numbers to the right and words to the left; a header comes first.

    The first column names the rows; others that hold nothing are left out.
    """
    first, *others = zip(*rows, strict=True)
    columns = [first, *(cells for cells in others if any(cells[1:]))]
    widths = [max(map(len, cells)) for cells in columns]
    is_right = [number > 0 and _are_numbers(cells[1:]) for number, cells in enumerate(columns)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_right, strict=True)
        ).rstrip()
        for row in zip(*columns, strict=True)
    )


def _are_numbers(cells: Sequence[str]) -> bool:
    """Whether each cell begins with a number, or is empty or a dash."""
    return all(re.match(r"[-+]?\.?\d|-?$", cell) for cell in cells)

"""Runs set beside each other and beside published rows: the table, paired statistics, files."""

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence

from ahmsa_jax.config import ConfigError
from experiments.scores import (
    comparison_figure,
    comparison_rows,
    drawing,
    paired,
    without_network,
)
from experiments.scores.published import PAPER
from experiments.scores.reporting import print_tables
from experiments.scores.summary import Records, read_records
from input_pipeline.core import escaping
from input_pipeline.core.files import write_whole
from input_pipeline.core.tables import Table

_ABSTRACT = (
    "AHMSA-Net's abstract calls its UARs (0.7821 and 0.7708) accuracy; its tables call them UAR."
)

_PICTURE = (
    "![comparison](comparison.png)\n\nThe picture holds all runs and, for each data set, at most "
    "ten of the published rows above. [It as PDF](comparison.pdf)\n"
)
# Ends the name of a run on pretend data, so that no file shows it without the mark.
_PRETEND = " (PRETEND)"


def compare_runs(
    workdirs: Sequence[pathlib.Path], output: pathlib.Path, data_dir: pathlib.Path | None = None
) -> None:
    """Write comparison.md, .csv, .tex, .png and .pdf, and paired.csv into `output`, and print them.

    With `data_dir`, methods without a network stand beside the runs whose data set lies there.
    Raises ConfigError where a workdir is no run's, or a run has no finished fold.
    """
    runs = {}
    for workdir in workdirs:
        records = read_records([workdir])
        runs[_marked(_name(workdir, workdirs), records)] = records
    for name, records in runs.items():
        if not records.predictions:
            raise ConfigError(f"{name} has no finished fold, so there is nothing to compare.")
    simple, of_run, missing = without_network.beside(runs, data_dir) if data_dir else ({}, {}, [])
    simple = {_marked(name, records): records for name, records in simple.items()}
    rows = [comparison_rows.our_row(name, records) for name, records in runs.items()]
    for name, records in simple.items():
        row = comparison_rows.our_row(name, records)
        rows.append(dataclasses.replace(row, source=f"{name}, computed here"))
    # Made-up clips stand beside nothing that was measured on people.
    real = dict.fromkeys(row.dataset for row in rows if not row.pretend)
    rows += comparison_rows.published_lines(list(real))
    table = comparison_rows.comparison_table(rows)
    couples = list(itertools.combinations(runs.items(), 2))
    for name, records in simple.items():
        fitting = [run for run, own in of_run.items() if any(o is records for o in own.values())]
        couples += [((run, runs[run]), (name, records)) for run in fitting]
    pairs, refusals = _pairs(couples)
    remarks = [*_remarks(runs, rows), *missing]
    for name, by_method in of_run.items():
        remarks += without_network.added(name, runs[name], by_method)
    remarks += refusals
    shown = [table, pairs] if pairs.rows else [table]
    _write(output, rows, shown, pairs, remarks)
    print_tables(remarks, shown, output)


def _marked(name: str, records: Records) -> str:
    return name.removesuffix(_PRETEND) + _PRETEND * records.pretend


def _name(workdir: pathlib.Path, workdirs: Sequence[pathlib.Path]) -> str:
    """A run's folder name, or its path where two folders share the name."""
    names = [other.resolve().name for other in workdirs]
    name = workdir.resolve().name
    return name if names.count(name) == 1 else str(workdir)


def _pairs(
    couples: Sequence[tuple[tuple[str, Records], tuple[str, Records]]],
) -> tuple[Table, list[str]]:
    """Paired statistics of two runs on the same clips each; a sentence for every two others."""
    cells, refusals = [], []
    for (first, mine), (second, theirs) in couples:
        reason = paired.difference_of_clips(mine.predictions, theirs.predictions)
        if mine.class_names != theirs.class_names:
            reason = "they have other classes"
        if mine.pretend != theirs.pretend:
            reason = "one of them is on PRETEND data"
        if reason:
            refusals.append(f"{first} and {second} are not compared clip by clip: {reason}.")
            continue
        found = paired.compare(mine.predictions, theirs.predictions, len(mine.class_names))
        low, high = found.interval
        right_only = (found.only_first_right, found.only_second_right)
        counts = map(str, (found.clips, found.subjects, *right_only))
        difference = (f"{found.uf1_difference:+.4f}", f"{low:+.4f} to {high:+.4f}")
        cells.append((first, second, *counts, f"{found.p_value:.3g}", *difference))
    right = ("only first right", "only second right")
    statistics = ("McNemar p", "UF1 difference", "95 % interval")
    columns = ("first run", "second run", "clips", "subjects", *right, *statistics)
    pretend = all(mine.pretend and theirs.pretend for (_, mine), (_, theirs) in couples)
    return Table("Paired statistics", columns, cells, pretend, "paired"), refusals


def _remarks(runs: dict[str, Records], rows: Sequence[comparison_rows.Row]) -> list[str]:
    lines = [
        "Our scores are those of the last epoch, from counts pooled over all held-out clips (mean "
        "± deviation over seeds). Figures with the epoch picked on the held-out clips stand apart: "
        "they are no measure of unseen subjects.",
        "McNemar's exact test reads each run's lowest seed; the interval is a bootstrap over "
        f"subjects ({paired.DRAWS:,} draws) of the difference in UF1, means over seeds.",
    ]
    if made_up := [name for name, records in runs.items() if records.pretend]:
        lines.insert(
            0,
            f"{' and '.join(made_up)}: this program made the clips up. Published rows are left out "
            "for such runs, and these scores are to be set beside no others.",
        )
    for name, records in runs.items():
        if not records.is_whole:
            lines.append(f"{name} holds a part of its data set's {records.fold_words} only.")
        if warning := records.spec.split_words.warning:
            lines.append(f"{name}: {warning}, so its scores are no measure of unknown people.")
        if records.spec.shuffled_labels:
            lines.append(f"{name} is a control run with shuffled labels.")
    if any(row.paper == PAPER for row in rows):
        lines.append(_ABSTRACT)
    return lines


def _write(
    output: pathlib.Path,
    rows: Sequence[comparison_rows.Row],
    shown: Sequence[Table],
    pairs: Table,
    remarks: Sequence[str],
) -> None:
    text = [
        *(f"{escaping.markdown_line(line)}\n" for line in remarks),
        *(one.markdown() for one in shown),
        _PICTURE,
    ]
    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / "comparison.md", "\n".join(text))
    write_whole(output / "comparison.csv", comparison_rows.as_csv(rows))
    in_latex = comparison_rows.latex_tables(rows)
    if pairs.rows:
        # A wide table is cut after its first column, which then has to name both runs.
        both = [(f"{first}, {second}", *rest) for first, second, *rest in pairs.rows]
        columns = ("runs, first and second", *pairs.columns[2:])
        in_latex.append(dataclasses.replace(pairs, columns=columns, rows=both))
    write_whole(output / "comparison.tex", "".join(one.latex() for one in in_latex))
    write_whole(output / "paired.csv", pairs.csv())
    drawing.write(comparison_figure.draw(rows), output, "comparison")

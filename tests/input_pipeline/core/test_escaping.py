"""Names in reports show as they are: no markup, formula or command of theirs takes effect."""

import csv
import io
import json

import pytest
import written_runs
from command_runner import run_command

from input_pipeline.core import escaping
from input_pipeline.core.tables import Table
from input_pipeline.databases.rows import FaultyClip, ReadResult
from input_pipeline.reports import build_report

# Legal as a subject: printable, no slash.
IMAGE = "<img src=x onerror=alert(1)>"
LINK = "[click](javascript:x)"
FORMULA = '=HYPERLINK("www.x.org")'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (IMAGE, "&lt;img src=x onerror=alert(1)&gt;"),
        (LINK, r"\[click\](javascript:x)"),
        ("a|b", r"a\|b"),
        ("a`b*c~d", r"a\`b\*c\~d"),
        ("&amp; \\|", r"&amp;amp; \\\|"),
        ("https://x.org www.x.org", "https&#58;//x.org www&#46;x.org"),
        ("one\ntwo\x1b", "one two "),
        # Names that nearly all have stay readable.
        ("sub01/EP02_01f", "sub01/EP02_01f"),
        ("_emphasis_", r"\_emphasis\_"),
        ("+0.4167", "+0.4167"),
        ("0.5 ± 0.1, CAS(ME)^3", "0.5 ± 0.1, CAS(ME)^3"),
    ],
)
def test_markdown(text, shown):
    assert escaping.markdown(text) == shown


@pytest.mark.parametrize("text", ["# heading", "- item", "+ item", "  - item", "==="])
def test_no_block_of_markdown_begins_with_a_name(text):
    assert escaping.markdown_line(text) == "\\" + text.strip()


@pytest.mark.parametrize(
    ("text", "is_changed"),
    [
        (FORMULA, True),
        ("+1+1", True),
        ("-2+3+cmd|' /C calc'!A0", True),
        ("@SUM(A1)", True),
        ("\t=1", True),
        ("\r=1", True),
        ("＝1", True),
        (" =1", True),
        ("-", True),
        ("+0.4167", False),
        ("-1.5e-05", False),
        ("-0.1000 to +0.2000", False),
        ("0.5 ± 0.1", False),
        ("casme2/sub01", False),
        ("", False),
    ],
)
def test_spreadsheets(text, is_changed):
    assert escaping.csv_cell(text) == ("'" + text if is_changed else text)


def test_latex():
    assert escaping.latex("50% of a_b <c> x^y, CAS(ME)^3 | #1 \\d {e} ~ &") == (
        r"50\% of a\_b \textless{}c\textgreater{} x\textasciicircum{}y, CAS(ME)$^3$ \textbar{} \#1 "
        r"\textbackslash{}d \{e\} \textasciitilde{} \&"
    )
    # `\\` above such a row, or a rule, would read it as a length or a star.
    assert escaping.latex_row(["[1cm] x", "2"]) == r"{}[1cm] x & 2 \\"
    assert escaping.latex_row(["*", "2"]) == r"{}* & 2 \\"
    assert escaping.latex_row(["x", "[2]"]) == r"x & [2] \\"


def test_a_table_escapes_all_three():
    table = Table("Of <b>", ("part", "gain"), [("[a|b]", "+0.1"), ("=1", "-0.1")])
    assert "## Of &lt;b&gt;" in table.markdown()
    assert r"| \[a\|b\] | +0.1 |" in table.markdown()
    assert table.csv() == "part,gain\n[a|b],+0.1\n'=1,-0.1\n"
    assert "{}[a\\textbar{}b] & +0.1 \\\\" in table.latex()


def test_names_in_a_runs_reports(tmp_path):
    subject = f"{IMAGE}{LINK}"
    answers = {f"=cmd/{subject}": ((0, 1), (0, 1)), "smic/s01": ((2, 0), (2, 1))}
    run = written_runs.write(tmp_path / "=run [x](y) <b>", [answers], pretend=False)
    stored = json.loads((run / "config.json").read_text())
    stored["notes"] = [f"the fold of {subject} has no clip"]
    (run / "config.json").write_text(json.dumps(stored))
    assert run_command("experiments.report", f"--workdir={run}").status == 0
    text = (run / "summary.md").read_text()
    assert subject in stored["notes"][0]
    assert "<img" not in text
    assert "[click](" not in text.replace(r"\[click\](", "")
    with (run / "subjects.csv").open(encoding="utf-8", newline="") as file:
        assert f"'=cmd/{subject}" in [row["held-out subject"] for row in csv.DictReader(file)]
    # The machine's files keep the names.
    assert f"\n0,=cmd,{subject}," in (run / "predictions.csv").read_text()
    output = tmp_path / "out"
    compared = run_command("experiments.compare", f"--workdirs={run}", f"--output={output}")
    assert compared.status == 0, compared.err
    assert r"run =run \[x\](y) &lt;b&gt;" in (output / "comparison.md").read_text()
    assert "<b>" not in (output / "comparison.md").read_text()


def test_names_in_a_builds_report(tmp_path):
    fault = FaultyClip(f"=x/{IMAGE}/{LINK}", "no_frames", "in `a|b`", 0)
    result = ReadResult(faults=(fault,), notes=(f"sheet {IMAGE}", "# no heading"))
    path = build_report.write_report(tmp_path, f"Build of {LINK}", result, [], [fault], {"a": "|"})
    text = path.read_text()
    assert "<img" not in text
    assert text.startswith(r"# Build of \[click\](javascript:x)")
    assert "- \\# no heading\n" in text
    assert r"| a | \| |" in text
    (row,) = csv.DictReader(io.StringIO((tmp_path / "clips.csv").read_text()))
    assert row["clip"] == f"'=x/{IMAGE}/{LINK}"

"""Writes what was measured on a GPU into the documentation: python docs/fill_measured.py [FILE]

FILE is the measured.json of experiments.measure; it is kept below experiments/results. Without it
the newest kept one is written, or that nothing is measured yet.
"""

import json
import pathlib
import shutil
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from experiments.measuring import tables  # noqa: E402

RESULTS = ROOT / "experiments" / "results"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured on a GPU -->\n", "<!-- end of what was measured -->\n"


def kept() -> dict[str, Any]:
    """The newest kept measurement; empty where there is none."""
    found = sorted(RESULTS.glob("measured-*.json"))
    if not found:
        return {}
    facts: dict[str, Any] = json.loads(found[-1].read_text(encoding="utf-8"))
    return facts


def filled(page: str, measured: dict[str, Any]) -> str:
    """The page with the table between its marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{_section(measured)}\n\n{END}{after}"


def _section(measured: dict[str, Any]) -> str:
    # Its title stands below one of the page's own.
    return f"#{tables.markdown(measured).strip()}"


def main(*files: str) -> None:
    """Keep the file and write the table."""
    for name in files:
        path = pathlib.Path(name)
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["rehearsal"]:
            sys.exit(f"{name} is a rehearsal's; its numbers belong in no table.")
        dates = [part["environment"]["started"] for part in facts["parts"].values()]
        shutil.copy(path, RESULTS / f"measured-{max(dates)[:10]}.json")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), kept()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Compares a program's weight with the stored one: weighed.py FILE.json NAME [--write].

NAME.json below tests/golden holds the stored counts.

The counts bind only where JAX, jaxlib and the compiler's flags are those of the stored file; CPU
seconds never do.
"""

import json
import pathlib
import sys

from experiments.run.spec import differences

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
# The program as it comes, and with kernels of our own.
PROGRAMS = ("weighed_h200", "weighed_h200_own_kernels")
COMPILER = ("jax", "jaxlib", "flags")
# Of the machine and the day.
LOOSE = {"compile_cpu_seconds", "command"}


def counts(weighed: dict) -> dict:
    """What must not change, with numbers of floating point as text of nine digits."""
    kept = {}
    for name, value in weighed.items():
        if isinstance(value, dict):
            kept[name] = counts(value)
        elif name not in LOOSE:
            kept[name] = f"{value:.9g}" if isinstance(value, float) else value
    return kept


def main(path: str, name: str, *options: str) -> int:
    """Compare, or store with --write; 1 where counts of the same compiler differ."""
    golden = GOLDEN / f"{name}.json"
    now = counts(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    if options == ("--write",):
        golden.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    stored = json.loads(golden.read_text(encoding="utf-8"))
    found = differences(stored, now)
    if any(stored[name] != now[name] for name in COMPILER):
        print("another compiler than the stored counts'; not compared:", *found, sep="\n")
        return 0
    print(*(found or ["the counts are the stored ones"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

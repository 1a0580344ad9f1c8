"""Reads the imports between the rooms and writes them into docs/architecture.md, with a picture.

python docs/draw_architecture.py
"""

import ast
import pathlib
from collections import Counter

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "architecture.png"
BEGIN, END = "<!-- imports -->", "<!-- end of imports -->"
# Rooms from the ground up; those of one line do not import each other. "" are the files that lie
# directly in a package: the commands, and what ahmsa_jax shows of itself.
ORDER: dict[str, tuple[tuple[str, ...], ...]] = {
    "ahmsa_jax": (
        ("choices", "inputs", "metrics", "settings"),
        ("config",),
        ("networks",),
        ("networks.parts",),
        ("networks.modules",),
        ("training",),
        ("",),
    ),
    "input_pipeline": (
        ("core",),
        ("databases", "faces"),
        ("flow",),
        ("maps", "pretend"),
        ("own_clips",),
        ("storage", "reports"),
        ("",),
    ),
    "experiments": (
        ("run",),
        ("baselines", "classical_methods", "weighing"),
        ("files", "health"),
        ("schedule", "scores"),
        ("cluster", "timing"),
        ("measuring", "recording", "fitting"),
        ("looking", "studies"),
        ("predicting",),
        ("",),
    ),
}
SOURCES = sorted(path for package in ORDER for path in (ROOT / package).rglob("*.py"))
# Width of a package's column of boxes, in the units of the picture.
_COLUMN = 5.0
_COLOURS = {"ahmsa_jax": "#0072B2", "input_pipeline": "#009E73", "experiments": "#D55E00"}


def dotted(path: pathlib.Path) -> str:
    """`package.room.module` of a source file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path) for path in SOURCES}


def imported(path: pathlib.Path) -> set[str]:
    """Every module that a file names in an import, wherever in the file that stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import name`: the module of that name, or something of the package.
            names |= inner & MODULES or {node.module}
    return names


def room_of(module: str) -> str:
    """The room of a module in ORDER's words, "" for one directly in its package."""
    package, _, inner = module.partition(".")
    rooms = [room for level in ORDER[package] for room in level if room]
    return max((r for r in rooms if inner == r or inner.startswith(f"{r}.")), key=len, default="")


def level_of(package: str, room: str) -> int:
    """Height of a room above the ground."""
    return next(number for number, level in enumerate(ORDER[package]) if room in level)


def edges() -> Counter[tuple[tuple[str, str], tuple[str, str]]]:
    """Number of imports from each (package, room) to each other one."""
    found: Counter[tuple[tuple[str, str], tuple[str, str]]] = Counter()
    for path in SOURCES:
        module = dotted(path)
        source = (module.partition(".")[0], room_of(module))
        for name in imported(path):
            if (package := name.partition(".")[0]) in ORDER:
                target = (package, room_of(name))
                if target != source:
                    found[source, target] += 1
    return found


def table() -> str:
    """The imports as a Markdown table: a room, and the rooms it imports from."""
    found = edges()
    lines = ["| room | files | imports from |", "| --- | --- | --- |"]
    for package, levels in ORDER.items():
        for room in (room for level in reversed(levels) for room in level):
            source = (package, room)
            files = sum(
                dotted(path).partition(".")[0] == package
                and room_of(dotted(path)) == room
                and path.name != "__init__.py"
                for path in SOURCES
            )
            targets = [target for origin, target in sorted(found) if origin == source]
            names = ", ".join(_label(*target) for target in targets)
            lines.append(f"| `{_label(*source)}` | {files} | {names or '-'} |")
    return "\n".join(lines)


def _label(package: str, room: str) -> str:
    return f"{package}.{room}" if room else package


def draw() -> None:
    """Draw the rooms as boxes, lowest at the bottom, and the imports as lines between them."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    figure = Figure(figsize=(15, 7.5))
    axis = figure.add_axes((0, 0, 1, 1))
    place, width_of = {}, {}
    for column, package in enumerate(("ahmsa_jax", "experiments", "input_pipeline")):
        levels = ORDER[package]
        for height, level in enumerate(levels):
            apart = min(2.0, (_COLUMN - 0.2) / len(level))
            for side, room in enumerate(level):
                x = _COLUMN * (column + 0.5) + (side - (len(level) - 1) / 2) * apart
                place[package, room] = (x, 1 + 6 * height / (len(levels) - 1))
                width_of[package, room] = min(1.6, apart - 0.15)
        middle = _COLUMN * (column + 0.5)
        axis.text(middle, 7.75, package, ha="center", fontsize=15, weight="bold")
    for (source, target), count in sorted(edges().items()):
        (x0, y0), (x1, y1) = place[source], place[target]
        same = source[0] == target[0]
        arrow = FancyArrowPatch(
            (x0, y0 - 0.2),
            (x1, y1 + 0.2 if y1 < y0 else y1),
            arrowstyle="-|>",
            mutation_scale=9,
            connectionstyle=f"arc3,rad={0.25 if same and x0 == x1 else 0.05}",
            linewidth=min(0.4 + 0.12 * count, 3),
            color=_COLOURS[target[0]],
            alpha=0.75 if same else 0.3,
            zorder=1,
        )
        axis.add_patch(arrow)
    for (package, room), (x, y) in place.items():
        width = width_of[package, room]
        box = FancyBboxPatch(
            (x - width / 2, y - 0.2),
            width,
            0.4,
            boxstyle="round,pad=0.02",
            facecolor="white",
            edgecolor=_COLOURS[package],
            linewidth=1.8,
            zorder=2,
        )
        axis.add_patch(box)
        name = room or ("public names" if package == "ahmsa_jax" else "commands")
        size = 11 if width == 1.6 else 9.5
        axis.text(x, y, name, ha="center", va="center", fontsize=size, zorder=3)
    axis.set_xlim(0, 3 * _COLUMN)
    axis.set_ylim(0.5, 8.2)
    axis.axis("off")
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})


def main() -> None:
    """Write the picture, and the table between its two marks on the page."""
    draw()
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Colours of all pictures: Okabe and Ito's palette, told apart by colour-blind eyes too.

Okabe and Ito, Color Universal Design, 2008 (https://jfly.uni-koeln.de/color/).
"""

import itertools
from collections.abc import Iterable

from input_pipeline.databases.names import in_order

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, BLACK = "#56B4E9", "#CC79A7", "#F0E442", "#000000"
ALL = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK, YELLOW)
GREY = "#767676"
# A published database keeps its colour from picture to picture.
_OF_DATABASE = {"casme2": BLUE, "samm": ORANGE, "smic": GREEN, "casme3": VERMILLION}


def of_databases(databases: Iterable[str]) -> dict[str, str]:
    """A colour for each database; those that the papers do not know take the rest in turn."""
    names = in_order(databases)
    known = {name: _OF_DATABASE[name] for name in names if name in _OF_DATABASE}
    rest = [colour for colour in ALL if colour not in known.values()]
    others = [name for name in names if name not in known]
    return known | dict(zip(others, itertools.cycle(rest), strict=False))

"""The synthetic data set, drawn once for all commands that tests run; each took half a second."""

import copy
import functools

from input_pipeline.maps import synthetic

_drawn = functools.cache(synthetic.make)


def _make(layout: str, size: str) -> object:
    return copy.deepcopy(_drawn(layout, size))


synthetic.make = _make
for _layout in ("five", "whole"):
    _drawn(_layout, "small")

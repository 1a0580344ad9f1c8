"""What maps are made of: the cut of the face, and how the flow becomes pixels.

A stored layout's name says all of it: the cut, then a suffix for each choice that is not the
papers', as in whole_symmetric or five_phases2_36.
"""

from typing import NamedTuple

CUTS = ("five", "quad", "quad_htnet", "whole")
NORMALISATIONS = ("minmax", "symmetric")
PHASES = (1, 2)
MAP_SIZES = (28, 36)
# HTNet's cut is published for maps of this size alone.
_ONE_SIZE = {"quad_htnet": 28}
# Channels of one phase, in order: horizontal flow, vertical flow, optical strain.
FLOW_CHANNELS = ("u", "v", "strain")


class MapForm(NamedTuple):
    """The choices behind a map: (map_size, map_size, 3 x phases) float32 in 0..255.

    `normalise` minmax takes each channel from its least to its largest value, symmetric keeps no
    motion at 127.5 in u and v and at 0 in the strain. Phases: onset to apex, and apex to offset.
    """

    cut: str
    normalise: str = "minmax"
    phases: int = 1
    map_size: int = 28

    @property
    def layout(self) -> str:
        """Its name as a stored layout."""
        suffixes = [
            "_symmetric" if self.normalise == "symmetric" else "",
            "_phases2" if self.phases == 2 else "",
            f"_{self.map_size}" if self.map_size != 28 else "",
        ]
        return self.cut + "".join(suffixes)

    @property
    def flags(self) -> str:
        """The flags that ask for it."""
        given = [f"--layout={self.cut}"]
        defaults = MapForm(self.cut)
        for name in self._fields[1:]:
            if getattr(self, name) != getattr(defaults, name):
                given.append(f"--{name}={getattr(self, name)}")
        return " ".join(given)

    @property
    def channels(self) -> int:
        """Channels of its maps."""
        return len(FLOW_CHANNELS) * self.phases

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of its maps."""
        return self.map_size, self.map_size, self.channels

    @property
    def channel_names(self) -> tuple[str, ...]:
        """What each channel holds; of two phases numbered."""
        if self.phases == 1:
            return FLOW_CHANNELS
        return tuple(f"{name}{phase + 1}" for phase in range(self.phases) for name in FLOW_CHANNELS)


def exists(form: MapForm) -> bool:
    """Whether a data set can hold maps of this form."""
    return form.map_size == _ONE_SIZE.get(form.cut, form.map_size)


# Every form by its layout's name.
FORMS: dict[str, MapForm] = {
    form.layout: form
    for form in (
        MapForm(cut, normalise, phases, size)
        for cut in CUTS
        for normalise in NORMALISATIONS
        for phases in PHASES
        for size in MAP_SIZES
    )
    if exists(form)
}

"""Flags of the maps' form, of every command that builds maps or chooses among those built."""

from absl import flags

from input_pipeline.core import face_frames, store_flags
from input_pipeline.core.errors import InputError
from input_pipeline.core.map_form import MAP_SIZES, NORMALISATIONS, PHASES, MapForm, exists

_NORMALISE = flags.DEFINE_enum(
    "normalise",
    "minmax",
    NORMALISATIONS,
    "How flow becomes 0..255: minmax, each channel from its least to its largest value (the "
    "papers'), or symmetric, no motion at 127.5 in u and v of every clip.",
)
_PHASES = flags.DEFINE_enum(
    "phases",
    "1",
    [str(count) for count in PHASES],
    "1: flow from onset to apex; 2: from apex to offset too, as three more channels.",
)
_MAP_SIZE = flags.DEFINE_enum(
    "map_size", "28", [str(size) for size in MAP_SIZES], "Height and width of the maps in pixels."
)


def form(default: str = "five") -> MapForm:
    """The form asked for, in the cut given or else `default`; InputError if it does not exist."""
    wanted = _asked(store_flags.cut(default))
    if not exists(wanted):
        raise InputError(
            f"--map_size={wanted.map_size} with the layout {wanted.cut} does not exist: its cut is "
            "published for maps of 28 pixels; give another --layout, or --map_size=28."
        )
    return wanted


def _asked(cut: str) -> MapForm:
    return MapForm(cut, _NORMALISE.value, int(_PHASES.value), int(_MAP_SIZE.value))


def layout(default: str = "five") -> str:
    """The stored layout's name of what is asked for; InputError where there is no such thing."""
    if store_flags.layout(default) != face_frames.LAYOUT:
        return form(default).layout
    if _asked(face_frames.LAYOUT) != MapForm(face_frames.LAYOUT):
        raise InputError(
            "--normalise, --phases and --map_size are of maps; the layout "
            f"{face_frames.LAYOUT} holds frames: leave them out."
        )
    return face_frames.LAYOUT

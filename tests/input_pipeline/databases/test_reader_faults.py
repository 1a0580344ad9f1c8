"""Bad rows, hostile names, missing frames and sheets: a reason for each, nothing passed over.

Modules tried here without being imported:
input_pipeline.databases.shared_frames.
"""

import shutil
import sys

import pytest
import small_releases as small
from small_releases import casme2_row, codes, keys, samm_row

from input_pipeline.core.errors import InputError
from input_pipeline.databases import expected_counts
from input_pipeline.databases.reading import read_databases

# Bad rows, each with its reason.


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        (3, None, "annotation_missing"),
        (4, "/", "apex_missing"),
        (4, None, "apex_missing"),
        (4, 500, "annotation_order"),
        (4, 50, "annotation_order"),
        (5, 90, "annotation_order"),
        *[(4, text, "annotation_number") for text in ("46.5", "abc", "４６", "-1", "1e2", "1,000")],
        (8, None, "unknown_emotion"),
        (8, "contented", "unknown_emotion"),
        (8, "disgust/fear", "unknown_emotion"),
    ],
)
def test_bad_cells(tmp_path, column, value, code):
    bad = casme2_row("02", "EP01_01")
    root = small.casme2(tmp_path / "db", [casme2_row(), bad])
    bad[column] = value
    result = read_databases("casme2", small.casme2(root, [casme2_row(), bad], frames=False))
    assert codes(result) == {"sub02/EP01_01": code}
    assert keys(result) == ["sub01/EP02_01f"]
    (fault,) = (f for f in result.faults if f.stops_build)
    assert fault.detail.endswith(".")
    assert "\n" not in fault.detail


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "..\\..\\x",
    "EP\x00",
    "%2e%2e",
    "-rf",
    "EP/..",
    "",
]


@pytest.mark.parametrize("name", [*HOSTILE, "EP" + "a" * 300, "EP\n01", "EP０1", "=cmd()"])
@pytest.mark.parametrize("column", [0, 1])
def test_hostile_names_are_refused_and_nothing_outside_is_opened(tmp_path, column, name):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    (root / "CASME2-coding-20140508.xlsx").unlink()
    bad = casme2_row("02", "EP01_01")
    bad[column] = name
    small.write_csv(root / "coding.csv", [small.CASME2_HEADER, casme2_row(), bad])
    opened = _opened(lambda: read_databases("casme2", root))
    assert all(fault.stops_build for fault in opened.result.faults)
    (fault,) = opened.result.faults
    assert fault.code == "bad_name"
    assert fault.key == f"casme2/?/row {3 + (chr(10) in name)}"
    assert len(fault.detail) < 120
    assert fault.detail.isprintable()
    assert opened.outside(root) == []
    assert keys(opened.result) == ["sub01/EP02_01f"]


class _Trace:
    def __init__(self, result, paths):
        self.result, self.paths = result, paths

    def outside(self, root):
        allowed = (str(root), str(sys.prefix), str(sys.base_prefix), "/proc", "/sys")
        here = [path for path in self.paths if isinstance(path, str) and path.startswith("/")]
        source = expected_counts.__file__.rsplit("/", 2)[0]
        return [path for path in here if not path.startswith((*allowed, source))]


_watched: list = []
_hooked: list = []


def _opened(action):
    """What `action` returns, with every path that it opened or listed."""
    if not _hooked:
        # An audit hook cannot be taken off again.
        events = ("open", "os.scandir", "os.listdir")
        sys.addaudithook(lambda e, args: _watched and e in events and _watched[-1].append(args[0]))
        _hooked.append(True)
    paths: list = [None]
    _watched.append(paths)
    try:
        result = action()
    finally:
        _watched.pop()
    return _Trace(result, [str(path) for path in paths[1:]])


def test_duplicate_keys_are_one_fault_each(tmp_path):
    rows = [casme2_row(), casme2_row(), casme2_row("02"), casme2_row(1, "ep02_01F", emotion="fear")]
    root = small.casme2(tmp_path / "db", [casme2_row(), casme2_row("02")])
    result = read_databases("casme2", small.casme2(root, rows, frames=False))
    assert codes(result) == {"sub01/EP02_01f": "duplicate_key"}
    assert "2, 3, 5" in result.faults[0].detail
    assert keys(result) == ["sub02/EP02_01f"]


def test_one_pair_of_pictures_under_two_keys(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row(), casme2_row("02"), casme2_row("03")])
    tree = root / "CASME2-RAW/CASME2-RAW"
    # All share the onset, the first two the apex as well; all files are of one size.
    for subject in ("sub01", "sub02", "sub03"):
        folder = tree / subject / "EP02_01f"
        (folder / "img97.jpg").write_bytes(b"onset")
        (folder / "img101.jpg").write_bytes(b"other" if subject == "sub03" else b"apex!")
    result = read_databases("casme2", root)
    assert codes(result) == dict.fromkeys(("sub01/EP02_01f", "sub02/EP02_01f"), "shared_frames")
    assert "casme2/sub02/EP02_01f" in result.faults[0].detail


@pytest.mark.parametrize(
    ("remove", "code"),
    [
        (range(96, 106), "no_frames"),
        (range(99, 104), "frame_missing"),
        (range(95, 100), "frame_missing"),
        (range(102, 106), "frame_missing"),
        (range(100, 103), None),
        ((97,), None),
    ],
)
def test_missing_frames(tmp_path, remove, code):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    for number in remove:
        (root / f"CASME2-RAW/CASME2-RAW/sub01/EP02_01f/img{number}.jpg").unlink(missing_ok=True)
    result = read_databases("casme2", root)
    assert codes(result) == ({"sub01/EP02_01f": code} if code else {})


def test_missing_folders_and_linked_ones(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row(s) for s in ("01", "02", "03", "04")])
    tree = root / "CASME2-RAW/CASME2-RAW"
    shutil.rmtree(tree / "sub01")
    shutil.move(tree / "sub02" / "EP02_01f", tmp_path / "away")
    (tree / "sub02" / "EP02_01f").symlink_to(tmp_path / "away")
    (tree / "sub03" / "EP02_01f" / "img0101.jpg").write_bytes(b"x")
    shutil.move(tree / "sub04", tmp_path / "away04")
    (tree / "sub04").symlink_to(tmp_path / "away04")
    result = read_databases("casme2", root)
    assert codes(result) == {"sub01/EP02_01f": "no_frames", "sub03/EP02_01f": "duplicate_frame"}
    # Links are followed, wherever they lead.
    assert keys(result) == ["sub02/EP02_01f", "sub04/EP02_01f"]
    assert "'sub01/EP02_01f'" in result.faults[0].detail
    assert not any(str(tmp_path) in fault.detail for fault in result.faults)


# Sheets that are named or missing.


def test_named_sheets(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    sheet = tmp_path / "my own name.xlsx"
    (root / "CASME2-coding-20140508.xlsx").rename(sheet)
    with pytest.raises(InputError, match=r"CASME2-coding-20140508.xlsx.*--annotations"):
        read_databases("casme2", root)
    assert len(read_databases("casme2", root, [sheet]).clips) == 1
    with pytest.raises(InputError, match=r"gone.xlsx' does not exist"):
        read_databases("casme2", root, [tmp_path / "gone.xlsx"])
    small.write_xlsx(tmp_path / "samm.xlsx", [small.SAMM_HEADER, samm_row()])
    with pytest.raises(InputError, match=r"'samm.xlsx' is no sheet of casme2"):
        read_databases("casme2", root, [sheet, tmp_path / "samm.xlsx"])


def test_a_damaged_sheet_stops_and_a_stray_one_does_not(tmp_path):
    root = small.casme2(tmp_path / "db", [casme2_row()])
    (root / "notes.xlsx").write_bytes(b"PK no workbook")
    (root / "~$CASME2-coding-20140508.xlsx").write_bytes(b"lock")
    assert len(read_databases("casme2", root).clips) == 1
    (root / "CASME2-coding-20140508.xlsx").write_bytes(b"PK no workbook")
    with pytest.raises(InputError, match=r"'CASME2-coding-20140508.xlsx' cannot be read"):
        read_databases("casme2", root)


def test_folders_and_data_sets_that_do_not_exist(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_databases("samm", tmp_path / "gone")
    with pytest.raises(InputError, match="unknown data set 'casme'"):
        read_databases("casme", tmp_path)
    with pytest.raises(InputError, match="no cropped frames; give --frames=raw"):
        read_databases("casme3", tmp_path, frames="cropped")

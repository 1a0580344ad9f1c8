"""What import_maps refuses beyond the form: shared maps, exchanged sides, look-alike names."""

import numpy as np
import pretend_maps
import pytest
from command_runner import assert_mistake
from pretend_maps import import_maps, rewrite

from input_pipeline.core import identifiers
from input_pipeline.core.errors import InputError
from input_pipeline.maps import from_folds, from_table, published
from input_pipeline.maps import picture as map_image

HOMOGLYPH = "EP02_01f".replace("E", "\N{CYRILLIC CAPITAL LETTER IE}")
COMPOSED, DECOMPOSED = "EP\u00e9_1", "EPe\u0301_1"


@pytest.mark.parametrize("name", [HOMOGLYPH, COMPOSED, DECOMPOSED, "EP02\uff0d01f"])
def test_identifiers_are_ascii(tmp_path, name):
    for what in ("subject", "clip"):
        with pytest.raises(InputError, match=rf"the {what} .* is no ASCII character"):
            identifiers.checked(name, what)
    rows = pretend_maps.rows()
    rows[0]["sample"] = name
    table = pretend_maps.write_table(tmp_path / "table", rows)
    with pytest.raises(InputError, match=r"row 2: the sample .*is no ASCII"):
        from_table.read_table(table, "megc2019")
    split = pretend_maps.write_split(tmp_path / "split")
    for path in sorted(split.rglob("sub01_EP02_01f .png")):
        path.rename(path.with_name(f"sub01_{name} .png"))
    with pytest.raises(InputError, match="is no ASCII"):
        from_folds.read_split(split, "megc2019")


@pytest.mark.parametrize("label", ["same", "another"])
@pytest.mark.parametrize("form", ["table", "split"])
def test_one_map_under_two_subjects(tmp_path, form, label):
    # Clip 2 (sub17, surprise) and clip 3 (006, negative), or 3 and 5 (s03, negative).
    pair = {"another": ("sub17_EP01_02", "006_006_1_2"), "same": ("006_006_1_2", "s03_s03_ne_01")}
    first, second = pair[label]
    source = tmp_path / "source"
    if form == "table":
        pretend_maps.write_table(source)
    else:
        pretend_maps.write_split(source)
    copies = [path for path in source.rglob("*.png") if path.stem.strip() in (first, second)]
    for path in copies:
        path.write_bytes(pretend_maps.png(pretend_maps.values(77)))
    finished = import_maps(source)
    keys = [f"{name.split('_', 1)[0]}/{name.split('_', 1)[1]}" for name in (first, second)]
    assert_mistake(finished, "of two subjects have the same map", *keys)


def test_equal_maps_of_one_subject_and_constant_ones_are_taken(tmp_path):
    table = pretend_maps.write_table(tmp_path / "source")
    picture = np.zeros((28, 28, 3), np.uint8)
    picture[..., 1] = 128
    for name in ("sub01_EP02_01f", "006_006_1_2", "s03_s03_ne_01"):
        (table / "maps" / f"{name}.png").write_bytes(pretend_maps.png(picture))
    same = (table / "maps" / "s20_s20_po_01.png").read_bytes()
    rewrite(table, "smic,s03,s03_sur_02", "smic,s20,s20_sur_02")
    (table / "maps" / "s03_s03_sur_02.png").write_bytes(same)
    assert published.read_maps(table, "megc2019", "whole").label_N.shape == (8,)


@pytest.mark.parametrize("part", ["eye", "lip"])
def test_exchanged_sides_are_refused(tmp_path, part):
    rows = pretend_maps.rows_with_landmarks()
    left, right = f"{part}_left_x", f"{part}_right_x"
    rows[3][left], rows[3][right] = rows[3][right], rows[3][left]
    source = pretend_maps.write_table(tmp_path / "source", rows)
    told = f"{left} is {float(rows[3][left]):g} and {right} is {float(rows[3][right]):g}"
    assert_mistake(import_maps(source), "row 5", told, "exchange the columns")


def counted_decodes(monkeypatch) -> list[int]:
    decoded = []
    honest = map_image.decode
    monkeypatch.setattr(map_image, "decode", lambda data: decoded.append(1) or honest(data))
    return decoded


def write_rows(source, clips) -> None:
    lines = ["database,subject,sample,label,map"]
    lines += [f"casme2,sub01,{clip},positive,maps/sub01_EP02_01f.png" for clip in clips]
    (source / "samples.csv").write_text("\n".join(lines), encoding="utf-8")


def test_duplicate_rows_are_refused_before_any_picture_is_decoded(tmp_path, monkeypatch):
    table = pretend_maps.write_table(tmp_path / "source")
    decoded = counted_decodes(monkeypatch)
    write_rows(table, ["EP02_01f"] * 20_000)
    with pytest.raises(InputError, match=r"row 3: .* already stands in row 2.*19998 more faults"):
        from_table.read_table(table, "megc2019")
    assert decoded == []


def test_a_picture_of_many_rows_is_decoded_once(tmp_path, monkeypatch):
    table = pretend_maps.write_table(tmp_path / "source")
    decoded = counted_decodes(monkeypatch)
    write_rows(table, [f"EP{number}" for number in range(500)])
    assert len(from_table.read_table(table, "megc2019")[0]) == 500
    assert len(decoded) == 1

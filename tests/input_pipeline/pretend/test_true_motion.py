"""Where pretend faces really move: what the table says, in the crop that a build cuts."""

import numpy as np
import pytest

from input_pipeline.core.errors import InputError
from input_pipeline.pretend import accuracy, true_motion

HEADER = "database,subject,clip,identity,motion,pixels\n"


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pretend_motions.csv").write_text(text, encoding="utf-8")


def test_tables_of_a_composite_are_read_together(tmp_path):
    write(tmp_path / "casme2", f"{HEADER}casme2,s1,c1,3,jaw_drop,2.0\ncasme2,s1,c1,3,lip_press,1\n")
    write(tmp_path / "samm", f"{HEADER}samm,001,c2,4,brow_raise,1.5\n")
    assert true_motion.motions_of(tmp_path) == {
        "casme2/s1/c1": (3, {"jaw_drop": 2.0, "lip_press": 1.0}),
        "samm/001/c2": (4, {"brow_raise": 1.5}),
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n", "header"),
        (f"{HEADER}a,b,c,1,wink,2\n", "wink"),
        (f"{HEADER}a,b,c,1,jaw_drop,nan\n", "out of range"),
        (f"{HEADER}a,b,c,-1,jaw_drop,2\n", "out of range"),
        (f"{HEADER}a,b,c,1,jaw_drop\n", "unpack"),
        (f"{HEADER}a,b,c,x,jaw_drop,2\n", "invalid literal"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, text, told):
    write(tmp_path, text)
    with pytest.raises(InputError, match=told):
        true_motion.motions_of(tmp_path)


def test_real_faces_are_refused(tmp_path):
    with pytest.raises(InputError, match="nobody knows where real faces move"):
        true_motion.motions_of(tmp_path)


def test_the_motion_is_where_the_flow_finds_it():
    """Detection, alignment and flow run as for a real clip, and find it in the same place."""
    recovered = accuracy.recover(5, "lip_corner_pull", 2.0, method="farneback")
    scale = np.hypot(*recovered.true_SxSx2[recovered.is_moving_SxS].T).max()
    motion_SxS = true_motion.magnitude((5, {"lip_corner_pull": 2.0}))
    found_SxS = np.hypot(*np.moveaxis(recovered.found_SxSx2, -1, 0))
    assert motion_SxS.shape == found_SxS.shape == (224, 224)
    is_moving_SxS = motion_SxS > motion_SxS.max() / 2
    np.testing.assert_array_equal(is_moving_SxS & recovered.is_moving_SxS, recovered.is_moving_SxS)
    assert scale == pytest.approx(2.0, abs=0.05)
    assert found_SxS[is_moving_SxS].mean() > 5 * found_SxS[~is_moving_SxS].mean()

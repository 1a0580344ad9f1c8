"""Own arrays become clips, or are refused in a line."""

import numpy as np
import pytest

from input_pipeline.core.errors import InputError
from input_pipeline.maps import own_arrays

SUBJECTS, WORDS = ["b", "a", "b", "a"], ["calm", "moved"]


def maps(count=4, rows=28, columns=28):
    return np.random.default_rng(0).uniform(2, 255, (count, rows, columns, 3))


def test_clips_stand_in_the_order_of_subjects_and_keep_their_maps():
    flow_NxHxWxC = maps()
    clips = own_arrays.clips_of(flow_NxHxWxC, [1, 0, 1, 0], SUBJECTS, WORDS)
    assert clips.subject_N.tolist() == ["a", "a", "b", "b"]
    np.testing.assert_allclose(clips.flow_NxHxWxC, flow_NxHxWxC[[1, 3, 0, 2]], rtol=1e-6)


def test_maps_without_motion_are_no_mistake_of_scale():
    clips = own_arrays.clips_of(np.zeros((4, 28, 28, 3)), [1, 0, 1, 0], SUBJECTS, WORDS)
    assert not clips.flow_NxHxWxC.any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flow_NxHxWxC": maps() / 255}, r"largest value of all maps is 1|0\.99.*multiply"),
        ({"flow_NxHxWxC": maps(rows=30)}, r"\(4, 30, 28, 3\); needed are numbers of shape"),
        ({"flow_NxHxWxC": maps()[0]}, "28 maps, 4 labels"),
        ({"flow_NxHxWxC": maps().astype(str)}, "needed are numbers"),
        ({"label_N": ["a", "b", "a", "b"]}, r"label_N is \['a', 'b', 'a', 'b'\]; needed"),
        ({"label_N": None}, "label_N is None; needed are whole numbers"),
        ({"label_N": [0, 1, 0.5, 1]}, "fractions"),
        ({"class_names": "ab"}, "class_names is the text 'ab'; give a list"),
    ],
)
def test_what_is_refused(changes, words):
    given = {
        "flow_NxHxWxC": maps(),
        "label_N": [1, 0, 1, 0],
        "subjects": SUBJECTS,
        "class_names": WORDS,
    }
    with pytest.raises(InputError, match=words):
        own_arrays.clips_of(**given | changes)

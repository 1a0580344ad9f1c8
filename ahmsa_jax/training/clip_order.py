"""The order in which an epoch that does not shuffle feeds the training clips.

The public scripts of STSTNet and HTNet list the folder of one class after the other, each sorted by
subject and file name, and read that list in batches without shuffling: a batch then holds few
classes. All 68 published STSTNet weight files bear it out: their running means fit such an order to
0.4 %, another one to 2.9 %.
"""

import numpy as np

from ahmsa_jax.config import Order

# Class numbers in the order in which their folders are listed.
_LISTED = {"class_021": (0, 2, 1), "class_210": (2, 1, 0)}


def rank_of_clips(
    order: Order, label_N: np.ndarray, subject_N: np.ndarray, clip_N: np.ndarray
) -> np.ndarray | None:
    """Place of each clip, 0 to N-1, under `order`; None where that is the data set's own.

    `class` lists the classes by number, the other two as their names say; further classes follow
    by number. Subjects are compared without their database, as folder names are.
    """
    if order == "data":
        return None
    place_of = {label: place for place, label in enumerate(_LISTED.get(order, ()))}
    keys = [
        (place_of.get(int(label), int(label)), str(subject), str(clip), index)
        for index, (label, subject, clip) in enumerate(zip(label_N, subject_N, clip_N, strict=True))
    ]
    rank_N = np.zeros(len(keys), np.int32)
    rank_N[[index for *_, index in sorted(keys)]] = np.arange(len(keys))
    return rank_N

"""Compares a stored data set with foreign maps of the same clips.

python -m input_pipeline.compare --dataset=NAME --maps=DIR prints correlation, order and scale.
"""

import pathlib

from absl import flags

from input_pipeline.core import command, store_flags
from input_pipeline.core.errors import InputError
from input_pipeline.databases.registry import STORED_DATASETS

flags.DEFINE_string(
    "dataset", None, f"Stored data set: {', '.join(STORED_DATASETS)}, or one of your own."
)
flags.DEFINE_string("maps", None, "Folder of foreign maps, in the forms that import_maps reads.")


def main() -> int:
    """Compare what the flags name; returns the exit status."""
    maps, dataset = command.required(maps="DIR", dataset="NAME")
    from input_pipeline.maps import likeness, published
    from input_pipeline.storage import loader

    ours = loader.every_clip(dataset, store_flags.cut(), store_flags.data_dir())
    folder = pathlib.Path(maps).expanduser()
    theirs = published.read_maps(folder, dataset, "whole")
    place_of = {key: index for index, key in enumerate(theirs.clip_key_N)}
    common = [index for index, key in enumerate(ours.clip_key_N) if key in place_of]
    if not common:
        raise InputError(
            f"'{folder}' and the data set {dataset} have no clip in common; theirs are "
            f"named like {theirs.clip_key_N[0]}, ours like {ours.clip_key_N[0]}."
        )
    foreign = [place_of[ours.clip_key_N[index]] for index in common]
    print(
        f"{len(common)} clips in both, {len(ours) - len(common)} only in the data set, "
        f"{len(theirs) - len(common)} only in the folder"
    )
    if ours.class_names == theirs.class_names:
        pairs = zip(common, foreign, strict=True)
        unlike = sum(ours.class_of(own) != theirs.class_of(other) for own, other in pairs)
        print(f"{unlike} of them are labelled differently")
    else:
        print(f"their classes are others ({', '.join(theirs.class_names)}): no labels compared")
    found = likeness.compare(ours.flow_whole_NxHxWxC[common], theirs.flow_whole_NxHxWxC[foreign])
    print("\n".join(likeness.describe(found)))
    return 0


if __name__ == "__main__":
    command.run(main, name="input_pipeline.compare", purpose=__doc__)

"""The networks of a fitted model, and the clips of its data set or of an export to look at."""

import pathlib

import numpy as np

from ahmsa_jax.config import ConfigError
from experiments.fitting.model_folder import Model
from experiments.looking import any_network
from experiments.looking.seen_maps import Weights
from experiments.looking.source import Part, Source
from experiments.run.prepared import Preparation
from experiments.run.spec import ALL_CLIPS
from input_pipeline.core.clips import Clips
from input_pipeline.maps import synthetic
from input_pipeline.storage import loader

_TRAINED_ON = "these are the clips that the model was trained on"


def of_model(model: Model, arrays: pathlib.Path | None, data_dir: pathlib.Path) -> Source:
    """All seeds of the model at the clips of a file, or of its own data set in `data_dir`.

    Raises ConfigError where the network takes no flow maps or the clips are of another layout,
    InputError where there are none. Whether it has seen other clips' subjects nobody knows.
    """
    any_network.check_network(model.config)
    facts = model.facts
    clips, size = _clips(model, arrays, data_dir)
    if clips.layout != model.layout or clips.class_names != model.class_names:
        raise ConfigError(
            f"the clips are of the layout {clips.layout} and the classes "
            f"{', '.join(clips.class_names)}, the model is of {model.layout} and "
            f"{', '.join(model.class_names)}; export them so."
        )
    content = clips.content_hash()

    def read() -> dict[int, Weights]:
        return {
            one.seed: Weights(one.params, Preparation.from_json(one.preparation))
            for one in model.weights
        }

    part = Part(ALL_CLIPS, np.arange(len(clips)), read)
    told = {
        "model": model.name,
        "network": facts["network"],
        "dataset": clips.dataset,
        "layout": clips.layout,
        "data_sha256": content,
        "model_hash": model.hash,
        "clips": None,
    }
    notes = [_TRAINED_ON] if content == facts["data_sha256"] else []
    if facts["shuffled_labels"]:
        notes.append("control: the model was trained on shuffled labels")
    return Source(model.name, model.config, clips, (part,), told, tuple(notes), size, what="clips")


def _clips(
    model: Model, arrays: pathlib.Path | None, data_dir: pathlib.Path
) -> tuple[Clips, str | None]:
    """The clips, and the synthetic size where they are such."""
    dataset, classes = str(model.facts["dataset"]), model.facts.get("classes")
    if arrays is not None:
        return loader.load_arrays(arrays, classes), None
    if dataset != synthetic.DATASET:
        return loader.load(dataset, model.layout, data_dir, synthetic.SIZES[0], classes), None
    for size in synthetic.SIZES:
        clips = loader.load(dataset, model.layout, data_dir, size, classes)
        # Shuffled labels are other content: the number of clips tells the sizes apart.
        if len(clips) == model.facts["clips"]:
            return clips, size
    raise ConfigError(f"no synthetic data set has the model's {model.facts['clips']} clips.")

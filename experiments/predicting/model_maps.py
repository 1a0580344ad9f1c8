"""How the maps of a model were made, so that an own clip's are made alike."""

import dataclasses
from typing import NamedTuple

from experiments.fitting.model_folder import Model
from input_pipeline.core.errors import InputError
from input_pipeline.flow.clip_maps import MapSettings

# Libraries whose version changes a map.
_LIBRARIES = ("opencv", "dlib", "mediapipe")


class ModelMaps(NamedTuple):
    """Settings of a build, and what makes an own clip's maps differ from the model's all the same.

    `notes` is empty where nothing does.
    """

    settings: MapSettings
    notes: tuple[str, ...]


def of_model(model: Model) -> ModelMaps:
    """The settings that the model's data set was built with; raises InputError on unknown ones.

    Of maps that this program did not make from frames, a build's usual ones.
    """
    told = _of_the_model(model)
    stored = {str(name): str(value) for name, value in model.facts["maps"].items()}
    if stored.get("source") != "database frames":
        source = stored.get("source", "an unknown source")
        return ModelMaps(
            MapSettings(),
            (
                *told,
                f"the model's maps are from {source}, not made by this program from frames: what "
                "it says of your clips was never tried",
            ),
        )
    try:
        usual = MapSettings()
        settings = dataclasses.replace(
            usual, flow=stored.get("flow", usual.flow), strain=stored.get("strain", usual.strain)
        )
    except InputError as error:
        raise InputError(f"'{model.folder}' is of maps that cannot be made here: {error}") from None
    here = settings.provenance()
    notes = [
        f"{name} is {here[name]} here and was {stored[name]} for the model's maps"
        for name in _LIBRARIES
        if name in stored and stored[name] != here[name]
    ]
    return ModelMaps(settings, (*told, *notes))


def _of_the_model(model: Model) -> tuple[str, ...]:
    """What every prediction of a model is to be read with."""
    found = []
    if model.facts["pretend"]:
        found.append("PRETEND: the model was trained on made-up clips and says nothing of people")
    if model.facts["shuffled_labels"]:
        found.append("control: the model was trained on shuffled labels")
    if not model.facts["estimate"]:
        found.append("not calibrated: the model has no estimate")
    return tuple(found)

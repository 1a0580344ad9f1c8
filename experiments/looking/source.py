"""The networks to look through, and the clips that each of them may look at.

What is drawn and tabulated takes a Source, wherever its weights lie; that of a run has folds that
look at their own held-out clips, that of a model (of_model.py) looks at all. Letters in array
names: N clips, Q clips of a part.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ahmsa_jax.config import ConfigError, NetworkConfig, plain
from ahmsa_jax.networks.registry import NETWORKS
from ahmsa_jax.training.protocols import split
from experiments.files import fold_weights, given_weights
from experiments.looking import any_network
from experiments.looking.seen_maps import Weights
from experiments.run.spec import RunSpec
from experiments.run.workdir import CONFIG_FILE, read_config
from input_pipeline.core.clips import Clips, shuffle_labels
from input_pipeline.maps import synthetic
from input_pipeline.storage import loader


class Part(NamedTuple):
    """Weights of the same training under each seed, and the clips that none of them has seen.

    `read` gives them by their seeds, as late as they are wanted: a folder of wide networks does
    not fit the memory. It raises InputError on a bad file.
    """

    key: str
    index_Q: np.ndarray
    read: Callable[[], dict[int, Weights]]


@dataclasses.dataclass(frozen=True)
class Source:
    """Networks of one kind in parts, and their clips with their true classes.

    `facts` say in JSON what is looked through and at; an output folder is bound to them. `size` is
    that of the synthetic data set, None for any other.
    """

    model: str
    config: NetworkConfig
    clips: Clips
    parts: tuple[Part, ...]
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    size: str | None = None
    what: str = "held-out clips"

    def only(self, keys: list[str] | None) -> "Source":
        """The same for these clips alone, None for all; raises ConfigError on an unknown key."""
        if keys is None:
            return self
        known = {self.clips.clip_key_N[i] for part in self.parts for i in part.index_Q.tolist()}
        unknown = [key for key in keys if key not in known]
        if unknown or not keys:
            examples = ", ".join(sorted(known)[:3])
            raise ConfigError(
                f"--clips names '{unknown[0] if unknown else ''}', which is none of the "
                f"{len(known)} {self.what}; their keys look like {examples}."
            )
        is_wanted_N = np.isin(self.clips.clip_key_N, keys)
        kept = (
            part._replace(index_Q=part.index_Q[is_wanted_N[part.index_Q]]) for part in self.parts
        )
        facts = {**self.facts, "clips": sorted(keys)}
        parts = tuple(part for part in kept if len(part.index_Q))
        return dataclasses.replace(self, parts=parts, facts=facts)


def of_run(workdir: pathlib.Path, arrays: pathlib.Path | None, data_dir: pathlib.Path) -> Source:
    """The folds of a run with --save_weights, each with the clips held out from it.

    The clips are those of the file `arrays`, or of the run's data set in `data_dir`. Raises
    ConfigError or InputError where the run kept no weights, its network takes no flow maps, or the
    clips are not those that it was trained on.
    """
    stored = read_config(workdir)
    try:
        spec = RunSpec.from_json(stored["config"])
        config = _network(spec)
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"'{workdir / CONFIG_FILE}' holds no settings of a network's run ({error}); name a "
            "folder of experiments.loso --save_weights."
        ) from None
    any_network.check_network(config)
    folder = workdir / fold_weights.FOLDER
    if not folder.is_dir():
        raise ConfigError(
            f"'{workdir}' holds no {fold_weights.FOLDER} yet; go on with the same command, or run "
            "it with experiments.loso --save_weights in a workdir of its own."
        )
    clips, size = clips_of_run(spec, arrays, data_dir)
    folds = split(spec.split, clips, spec.folds)
    done = set(stored["folds"])
    wanted = given_weights.Wanted(spec.split, spec.folds, clips.class_names, spec.data_sha256)
    keys = [fold.key for fold in folds]
    given = given_weights.find(folder, spec.model, config, sorted(done), keys, wanted)

    def reader(key: str) -> Callable[[], dict[int, Weights]]:
        return lambda: {
            seed: Weights(*given.read_with_preparation(seed, key)) for seed in given.seeds
        }

    parts = [Part(f.key, f.test_index, reader(f.key)) for f in folds if f.key in done]
    facts = {
        "model": spec.model,
        "network": plain(config),
        "dataset": spec.dataset,
        "layout": spec.layout,
        "data_sha256": spec.data_sha256,
        "weights_sha256": given.sha256(),
        "clips": None,
    }
    notes = ("control run: it was trained on shuffled labels",) if spec.shuffled_labels else ()
    return Source(spec.model, config, clips, tuple(parts), facts, notes, size)


def _network(spec: RunSpec) -> NetworkConfig:
    """The settings of the run's network; raises ConfigError where this program knows it not."""
    if spec.model not in NETWORKS or spec.kind == "classical":
        raise ConfigError(
            f"the run's method is {spec.model}, which is no network known here; known are "
            f"{', '.join(NETWORKS)}."
        )
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in spec.network.items()
    }
    config = NETWORKS[spec.model].config(**settings)
    config.validate()
    return config


def clips_of_run(
    spec: RunSpec, arrays: pathlib.Path | None, data_dir: pathlib.Path
) -> tuple[Clips, str | None]:
    """The run's clips with their true classes, and the synthetic size where they are such.

    Raises ConfigError on other clips than the run's, InputError where there are none.
    """
    sizes: tuple[str | None, ...] = (None,)
    if arrays is None and spec.dataset == synthetic.DATASET:
        sizes = synthetic.SIZES
    found = ""
    for size in sizes:
        if arrays is not None:
            clips = loader.load_arrays(arrays, spec.task)
        else:
            named = (spec.dataset, spec.layout, data_dir, size or synthetic.SIZES[0])
            clips = loader.load(*named, spec.task)
        trained = shuffle_labels(clips, min(spec.seeds)) if spec.shuffled_labels else clips
        found = trained.content_hash()
        if found == spec.data_sha256:
            return clips, size
    where = f"--arrays='{arrays}'" if arrays else f"{spec.dataset}/{spec.layout} in '{data_dir}'"
    raise ConfigError(
        f"{where} holds other clips, classes or maps than the run was trained on (hash "
        f"{found[:12]}, the run's {spec.data_sha256[:12]}); give the --data_dir or --arrays that "
        "it was trained with."
    )

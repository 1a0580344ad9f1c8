"""The commands as Python functions, for notebooks and scripts (docs/python.md).

A data set is a `Clips`, a run a `Result`, a fitted network a `Model`. Settings go by the flags'
names, with their defaults; mistakes raise ConfigError or InputError with the command's own line.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from matplotlib.figure import Figure

from ahmsa_jax import choices
from ahmsa_jax.config import ConfigError as ConfigError
from ahmsa_jax.config import NetworkConfig as NetworkConfig
from ahmsa_jax.config import Span as Span
from ahmsa_jax.config import setting as setting
from ahmsa_jax.networks.network import Network
from ahmsa_jax.networks.registry import NETWORKS
from experiments import loso as loso_command
from experiments.files import run_files
from experiments.fitting import all_clips, estimate, fitted, model_folder
from experiments.fitting.model_folder import Model as Model
from experiments.predicting import asked
from experiments.predicting import predict as predicting
from experiments.run import arguments, exclusions, jax_settings
from experiments.run import flags as run_flags
from experiments.run.request import run_of
from experiments.run.spec import Execution
from experiments.run.workdir import read_config
from experiments.schedule import cpu_devices
from experiments.schedule.interruption import Interruption
from experiments.scores import comparison, figures
from experiments.scores.reporting import summary_of
from experiments.scores.summary import Records, read_records
from input_pipeline.core.clips import Clips as Clips
from input_pipeline.core.errors import InputError as InputError
from input_pipeline.maps import published
from input_pipeline.maps.own_arrays import clips_of as clips_of
from input_pipeline.own_clips.windows import Asked
from input_pipeline.storage import loader

if TYPE_CHECKING:
    import pandas as pd

Path = str | pathlib.Path
Registered = TypeVar("Registered", bound=Callable[..., Any])
_DATA_DIR = "~/tensorflow_datasets"


def load(
    dataset: str = "synthetic",
    *,
    layout: str = "five",
    data_dir: Path = _DATA_DIR,
    classes: str | None = None,
    synthetic_size: str = "small",
) -> Clips:
    """The clips of a stored data set, or made-up ones; `layout` is a stored layout's name.

    Raises InputError where it is not there, or has no such classes.
    """
    return loader.load(dataset, layout, _path(data_dir), synthetic_size, classes)


def load_arrays(path: Path, *, classes: str | None = None) -> Clips:
    """The clips of a file that input_pipeline.export wrote; raises InputError on any other."""
    return loader.load_arrays(_path(path), classes)


def read_maps(source: Path, dataset: str, *, layout: str = "five") -> Clips:
    """The clips of a folder of published or own 28x28 maps, as input_pipeline.import_maps reads it.

    Nothing is stored. Raises InputError with the first fault.
    """
    return published.read_maps(_path(source), dataset, layout)


@dataclasses.dataclass(frozen=True)
class Result:
    """A run in its folder; everything is read from its files."""

    workdir: pathlib.Path

    @functools.cached_property
    def records(self) -> Records:
        """What the files say; raises ConfigError where they are no run's."""
        return read_records([self.workdir])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the labels."""
        return self.records.class_names

    def scores(self) -> dict[str, Any]:
        """The content of summary.json: `pooled` has uf1, uar and their 95 % intervals."""
        return summary_of(self.records)

    def predictions(self) -> "pd.DataFrame":
        """One row a held-out clip and seed, as predictions.csv; needs pandas."""
        return _table(self.workdir / run_files.PREDICTIONS_FILE)

    def folds(self) -> "pd.DataFrame":
        """One row a fold and seed, as folds.csv; needs pandas."""
        return _table(self.workdir / run_files.FOLDS_FILE)

    def draw(self) -> dict[str, Figure]:
        """The pictures of the report as matplotlib figures, by name."""
        return figures.pictures(self.records)


def loso(clips: Clips, workdir: Path, **settings: Any) -> Result:
    """Train and evaluate fold by fold, as experiments.loso, with its progress; `settings` by flag.

    A finished run is read, an unfinished one goes on. Raises ConfigError on settings that cannot
    be, and where the folder holds another run.
    """
    _check_clips(clips)
    given = arguments.of_call({**settings, "workdir": str(_path(workdir))})
    exclusions.check(given)
    with Interruption("experiments.api.loso") as interruption:
        run = run_of(given, "jax", clips)
        execution = run_flags.execution(given, run.spec)
        loso_command.check_devices(run, execution)
        loso_command.carry_out(run, execution, given, interruption)
    return Result(execution.workdir)


def result(workdir: Path) -> Result:
    """The run of a folder; raises ConfigError where it is none."""
    read_config(_path(workdir))
    return Result(_path(workdir))


class Comparison(NamedTuple):
    """Tables of a comparison: each run and published row, and paired statistics of any two runs."""

    rows: "pd.DataFrame"
    paired: "pd.DataFrame"


def compare(results: Sequence[Result], output: Path) -> Comparison:
    """Set runs beside each other and beside published rows, as experiments.compare; needs pandas.

    Tables and pictures go to `output`. Raises ConfigError as the command does.
    """
    _pandas()
    if not results or not all(isinstance(one, Result) for one in results):
        raise ConfigError("compare takes a list of results, at least one: loso(...), result(...).")
    folder = _path(output)
    folder.mkdir(parents=True, exist_ok=True)
    comparison.compare_runs([one.workdir for one in results], folder)
    return Comparison(_table(folder / "comparison.csv"), _table(folder / "paired.csv"))


def fit(
    clips: Clips, output: Path, *, estimated_by: Result | Path | None = None, **settings: Any
) -> Model:
    """Train on all clips, all seeds at once, as experiments.fit; `settings` by flag.

    `estimated_by` is the leave-one-subject-out run of the same settings, on whose predictions the
    probabilities are calibrated. Raises ConfigError as the command does.
    """
    _check_clips(clips)
    given = arguments.of_call(settings)
    with Interruption("experiments.api.fit") as interruption:
        run = all_clips.run_of(given, clips)
        workdir = estimated_by.workdir if isinstance(estimated_by, Result) else estimated_by
        found = None if workdir is None else estimate.read(_path(workdir), run)
        execution = Execution(
            workdir=_path(output),
            folds_at_once=given.folds_at_once,
            checkpoint_minutes=given.checkpoint_minutes,
        )
        devices = functools.partial(cpu_devices.of_run, run, execution)
        jax_settings.local_devices(given.compile_cache, cpu_devices=devices)
        return fitted.fit(run, execution, found, interruption)


def load_model(folder: Path) -> Model:
    """The model of a folder that experiments.fit wrote; raises InputError on any other."""
    return model_folder.load(_path(folder))


def predict(
    model: Model | Path,
    clip: Path | Iterable[Path],
    output: Path,
    *,
    onset: int | None = None,
    apex: int | None = None,
    offset: int | None = None,
    window: float = 2.0,
    every: float | None = None,
) -> "pd.DataFrame":
    """Predict videos and folders of frames, as experiments.predict; one row a window; needs pandas.

    Table and pictures go to `output`, which must be new or empty; frame numbers are of a single
    clip. Refused clips are rows with their reason. Raises ConfigError or InputError on mistakes.
    """
    _pandas()  # Before the work whose result it is to hold.
    found = model if isinstance(model, Model) else load_model(model)
    wanted = Asked(onset, apex, offset, window, every)
    wanted.check()
    is_one = isinstance(clip, str | pathlib.Path) or not isinstance(clip, Iterable)
    paths: list[Any] = [clip] if is_one else list(clip)  # type: ignore[arg-type]
    if not paths or not all(isinstance(path, str | pathlib.Path) for path in paths):
        raise ConfigError(f"clip is {clip!r:.40}; needed is a path, or several.")
    folder = predicting.new_folder(_path(output))
    jax_settings.local_devices(None)
    for outcome in predicting.write(found, asked.named([str(p) for p in paths], wanted), folder):
        print(outcome.line(found.class_names), flush=True)
    return _table(folder / predicting.FILE)


def network(
    name: str, config: type[NetworkConfig], *, layout: str = "five", **facts: Any
) -> Callable[[Registered], Registered]:
    """Register the decorated Flax module as a network; `facts` are further fields of Network.

    It is then a `model` of every function here. Raises ConfigError where the name is taken.
    """

    def register(module: Registered) -> Registered:
        _enter(NETWORKS, name, Network(name, config, module, layout=layout, **facts))
        return module

    return register


def loss(name: str) -> Callable[[Registered], Registered]:
    """Register the decorated function, (logits (B, K), labels (B,)) to losses (B,), as a loss."""
    return functools.partial(_entered, choices.LOSSES, name)


def augmentation(name: str) -> Callable[[Registered], Registered]:
    """Register the decorated function, (key, inputs of one clip) to the same, as an augmentation.

    Inputs are arrays by name: flow (H, W, C).
    """
    return functools.partial(_entered, choices.AUGMENTATIONS, name)


def _entered(table: dict[str, Any], name: str, entry: Registered) -> Registered:
    _enter(table, name, entry)
    return entry


def _enter(table: dict[str, Any], name: str, entry: object) -> None:
    if name in table:
        raise ConfigError(f"the name {name} is taken; taken are {', '.join(table)}.")
    table[name] = entry


def _check_clips(clips: Clips) -> None:
    if not isinstance(clips, Clips):
        raise ConfigError(f"{clips!r:.40} are no clips; make some with load, or clips_of.")


def _path(path: Path) -> pathlib.Path:
    if not isinstance(path, str | pathlib.Path) or "\0" in str(path):
        raise ConfigError(f"{path!r:.40} is no path; give a text or a pathlib.Path.")
    return pathlib.Path(path).expanduser()


def _table(path: pathlib.Path) -> "pd.DataFrame":
    """A CSV file as a table; raises InputError without pandas."""
    return _pandas().read_csv(path)


def _pandas() -> Any:
    try:
        import pandas
    except ModuleNotFoundError:
        raise InputError(
            "tables need pandas, which is not installed; from the checkout run: python -m pip "
            "install -c constraints.txt -e '.[notebook]'"
        ) from None
    return pandas

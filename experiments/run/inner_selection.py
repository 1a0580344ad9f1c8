"""The flags of inner selection: what is chosen among, by which score, over how many inner folds.

Each line of --candidates is a set of flags, such as `--svm_c=0.3`, that replace settings.
"""

import dataclasses
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any, TypeVar

from absl import flags

from ahmsa_jax.config import ConfigError, NetworkConfig, Settings, TrainConfig
from ahmsa_jax.training.protocols import Fold, SplitClips
from ahmsa_jax.training.selection import SELECT_BY, inner_parts
from experiments.run.flag_values import IntegersParser, WordsParser
from experiments.run.flags import Values
from experiments.run.recipes import FROM_DATA
from experiments.run.spec import RunSpec
from input_pipeline.core.files import read_text

LAST, INNER = "last", "inner"
MOST_CANDIDATES = 10_000
_MOST_BYTES = 1 << 20
Replaced = TypeVar("Replaced", bound=Settings)


@dataclasses.dataclass(frozen=True)
class InnerSelection:
    """What is chosen inside each fold's training subjects."""

    select_by: str  # of selection.SELECT_BY
    parts: int
    candidates: tuple[str, ...]


def define_flags(select_by: str) -> None:
    """Define the flags of inner selection; call once, before parsing."""
    flags.DEFINE_enum(
        "select",
        LAST,
        [LAST, INNER],
        "last: the settings given. inner: in each fold those of --candidates that do best over "
        "inner folds of its training subjects; no held-out clip is read before its prediction.",
    )
    flags.DEFINE_enum(
        "select_by",
        select_by,
        list(SELECT_BY),
        "With --select=inner, what is compared: the log-loss with classes weighed alike, the area "
        "under the ROC curve (mean over classes), or UF1; of equal candidates the first is taken.",
    )
    flags.DEFINE_integer(
        "inner_folds",
        5,
        "With --select=inner, parts of the training subjects, balanced by class.",
        lower_bound=2,
        upper_bound=100_000,
    )
    flags.DEFINE_string(
        "candidates",
        None,
        "With --select=inner, the file to choose from: one set of flags a line, such as "
        "--svm_c=0.3; empty lines and those with # in front are passed over.",
    )


def asked(given: Values, *, alone: bool = False) -> InnerSelection | None:
    """What the flags ask for, None with --select=last.

    `alone`: the settings given may be the only candidate, where the number of epochs is chosen.
    Raises ConfigError where candidates would then not be read, and on a file that is not there or
    holds none.
    """
    if given.select == LAST:
        for name in ("candidates", "inner_folds", "select_by"):
            # The file of a run's flags names them at their defaults.
            if given[name].value != given[name].default:
                raise ConfigError(
                    f"--{name} is for --select=inner; give that too, or leave --{name} out."
                )
        return None
    if alone and given.candidates is None:
        return InnerSelection(given.select_by, given.inner_folds, ("",))
    if not given.candidates:
        raise ConfigError(
            "--select=inner needs --candidates=FILE, one set of flags a line, such as --svm_c=0.3."
        )
    lines = read_candidates(pathlib.Path(given.candidates).expanduser())
    return InnerSelection(given.select_by, given.inner_folds, lines)


def of_spec(spec: RunSpec) -> InnerSelection | None:
    """What a run was asked for, None without inner selection."""
    if spec.select != INNER:
        return None
    return InnerSelection(spec.select_by or "", spec.inner_folds or 0, spec.candidates or ())


def stored(selection: InnerSelection | None) -> dict[str, Any]:
    """The fields of a RunSpec that say so."""
    if selection is None:
        return {}
    return {
        "select": INNER,
        "select_by": selection.select_by,
        "inner_folds": selection.parts,
        "candidates": selection.candidates,
    }


def remarks(
    selection: InnerSelection | None, folds: Sequence[Fold], clips: SplitClips
) -> list[str]:
    """Sentences for the reports; raises ConfigError where a fold is too small to choose in."""
    if selection is None:
        return []
    count = len(selection.candidates)
    among = f"{count} candidate{'s' if count > 1 else ''}"
    if selection.candidates == ("",):
        among = "the numbers of epochs"
    found = [
        f"settings chosen in each fold by its training subjects alone: the best "
        f"{selection.select_by} over {selection.parts} inner folds, among {among}; no held-out "
        "clip was looked at for it"
    ]
    for fold in folds:
        parts = inner_parts(fold, clips, selection.parts)
        if parts < selection.parts:
            found.append(f"the fold of {fold.key} has {parts} training subjects, one an inner fold")
    return found


def read_candidates(path: pathlib.Path) -> tuple[str, ...]:
    """The lines of a file of candidates; raises ConfigError where it has none, or too many."""
    try:
        text = read_text(path, _MOST_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"the file '{path}' of --candidates does not exist.") from None
    except ValueError as error:
        raise ConfigError(f"'{path}' is no file of candidates ({error}).") from None
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not 1 <= len(lines) <= MOST_CANDIDATES:
        raise ConfigError(
            f"'{path}' holds {len(lines)} candidates; allowed are 1 to {MOST_CANDIDATES}, one set "
            "of flags a line."
        )
    return tuple(lines)


def replaced(line: str, settings: Replaced) -> Replaced:
    """The settings with what a line of --candidates says; raises ConfigError on what it cannot."""
    fields = {field.name: field for field in dataclasses.fields(settings)}
    changes: dict[str, Any] = {}
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ConfigError(f"the candidate '{line}' cannot be read ({error}).") from None
    for word in words:
        name, has_value, text = word.removeprefix("--").partition("=")
        known = word.startswith("--") and name in fields
        if not known or not has_value:
            raise ConfigError(
                f"the candidate '{line}': '{word}' is no setting to choose; allowed are "
                f"{', '.join(f'--{own}=VALUE' for own in fields) or 'none of this method'}."
            )
        try:
            changes[name] = _value(text, fields[name])
        except ValueError:
            raise ConfigError(
                f"the candidate '{line}': '{text}' is no value of --{name}, which is "
                f"{fields[name].default} by default."
            ) from None
    found = dataclasses.replace(settings, **changes)
    try:
        found.validate()
    except ConfigError as error:
        raise ConfigError(f"the candidate '{line}': {error}") from None
    return found


def of_network_and_training(
    line: str, network: NetworkConfig, training: TrainConfig
) -> tuple[NetworkConfig, TrainConfig]:
    """The settings of a network's run with what a line of --candidates says.

    Raises ConfigError on what it cannot say; what the data set decides is no setting.
    """
    own = {field.name for field in dataclasses.fields(network)} - set(FROM_DATA)
    words = line.split()
    of_network = [word for word in words if word.removeprefix("--").partition("=")[0] in own]
    others = " ".join(word for word in words if word not in of_network)
    return replaced(" ".join(of_network), network), replaced(others, training)


def _value(text: str, field: "dataclasses.Field[Any]") -> Any:
    """The text as a value of the field's type; raises ValueError where it is none."""
    default = field.default
    if isinstance(default, tuple) and field.metadata["choices"] is not None:
        return WordsParser(field.metadata["choices"]).parse(text)
    if isinstance(default, bool):
        words = {"true": True, "false": False}
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]
    if isinstance(default, tuple):
        return IntegersParser().parse(text)
    kind: Any = type(default)
    return kind(text)

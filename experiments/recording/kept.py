"""The kept runs: three files of each, from which the record is made."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from ahmsa_jax.config import ConfigError
from experiments.files import run_files
from experiments.files.run_files import PREDICTIONS_FILE, Prediction
from experiments.recording.rows import SUBJECTS, Row, clip_count, refuse_other
from experiments.run.spec import RunSpec, config_hash
from experiments.run.workdir import (
    CONFIG_FILE,
    FACTS_HASH,
    MOST_BYTES,
    canonical_json,
    read_config,
)
from experiments.scores.reporting import SUMMARY_FILE, summary_of
from experiments.scores.summary import Records, read_records, scores_of
from input_pipeline.core.files import read_text, write_whole
from input_pipeline.core.tables import csv_text

FILES = (PREDICTIONS_FILE, SUMMARY_FILE, CONFIG_FILE)
# Scores of a summary are its predictions' to so much: another version of NumPy may round otherwise.
_TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class KeptRun:
    """A kept run's files."""

    row: Row
    spec: RunSpec
    class_names: tuple[str, ...]
    predictions: list[Prediction]
    summary: dict[str, Any]

    @property
    def seeds(self) -> int:
        """How many seeds it has."""
        return len(self.spec.seeds)


def keep(
    workdirs: Sequence[pathlib.Path], row: Row, root: pathlib.Path, *, replace: bool = False
) -> pathlib.Path:
    """Keep a finished run, or several that differ in their seeds, under the name of a row.

    The same run again changes nothing, one with further seeds adds them. Raises ConfigError where
    it is not finished, on pretend data or not the row's, and where another run is kept there,
    unless it is to be replaced.
    """
    records = read_records(workdirs)
    refuse_other(row, records.spec)
    _refuse_unfinished(records, row)
    texts = _files(workdirs, records)
    folder = root / row.name
    if (folder / CONFIG_FILE).exists() and not replace:
        before = {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
        lost = set(before[PREDICTIONS_FILE].splitlines()) - set(
            texts[PREDICTIONS_FILE].splitlines()
        )
        if lost:
            old, new = (json.loads(one[CONFIG_FILE]) for one in (before, texts))
            raise ConfigError(
                f"'{folder}' keeps another run ({_in_words(old)}; this one: {_in_words(new)}); "
                "give --replace to put this one in its place."
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(folder / name, text)
    return folder


def _in_words(stored: dict[str, Any]) -> str:
    seeds = ", ".join(map(str, stored["config"]["seeds"]))
    return f"settings {stored['config_hash']}, seeds {seeds}"


def _refuse_unfinished(records: Records, row: Row) -> None:
    clips = {(one.subject_key, one.clip) for one in records.predictions}
    fault = ""
    if records.pretend:
        fault = "its clips are made up"
    elif records.failed:
        fault = f"{len(records.failed)} folds failed, first {records.failed[0][1]}"
    elif not records.is_whole:
        fault = f"{len(records.missing)} folds are missing"
    elif len(clips) != clip_count():
        fault = f"it predicts {len(clips)} clips"
    elif row.split == "loso" and len({key for key, _ in clips}) != SUBJECTS:
        fault = f"its clips are of {len({key for key, _ in clips})} subjects"
    if fault:
        raise ConfigError(
            f"the run cannot be kept as {row.name}: {fault}; the record holds finished runs of all "
            f"{clip_count()} clips of {SUBJECTS} subjects. Name a failed one in scored_runs.csv."
        )


def _files(workdirs: Sequence[pathlib.Path], records: Records) -> dict[str, str]:
    stored = [read_config(workdir) for workdir in workdirs]
    config = stored[0] if len(stored) == 1 else _merged(stored)
    records = dataclasses.replace(records, config_hash=config["config_hash"])
    names = records.class_names
    rows = [
        (
            *(row.seed, row.database, row.subject, row.clip),
            *(names[row.label], names[row.prediction]),
            *(f"{value:.9g}" for value in row.probability_K),
        )
        for row in records.predictions
    ]
    return {
        PREDICTIONS_FILE: csv_text(run_files.prediction_columns(names), sorted(rows)),
        SUMMARY_FILE: canonical_json(summary_of(records)),
        CONFIG_FILE: canonical_json(config),
    }


def _merged(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """config.json of several runs that differ in their seeds and folds."""
    config = parts[0]["config"] | {
        "seeds": sorted({seed for part in parts for seed in part["config"]["seeds"]}),
        "shard": None,
    }
    kept = {
        name: value
        for name, value in parts[0].items()
        if name not in ("config", "config_hash", FACTS_HASH)
    }
    kept["folds"] = sorted({key for part in parts for key in part["folds"]})
    kept["notes"] = sorted({note for part in parts for note in part["notes"]})
    kept["parts"] = [{name: part.get(name) for name in ("config_hash", "code")} for part in parts]
    hashes = {"config_hash": config_hash(config), FACTS_HASH: config_hash(kept)}
    return {"config": config, **hashes, **kept}


def read_all(rows: dict[str, Row], root: pathlib.Path) -> dict[str, KeptRun]:
    """The kept runs by the name of their row; raises ConfigError on damaged files.

    A folder under a name that no row has is refused too: the page would not show it.
    """
    found = {path.parent.name for path in root.glob(f"*/{CONFIG_FILE}")}
    if strange := sorted(found - set(rows)):
        raise ConfigError(
            f"'{root / strange[0]}' is of no row of experiments/recording/rows.py; add its row, or "
            "remove the folder."
        )
    return {name: _read(rows[name], root / name) for name in rows if name in found}


def _read(row: Row, folder: pathlib.Path) -> KeptRun:
    config = read_config(folder)
    names, predictions = run_files.read_predictions(folder)
    path = folder / SUMMARY_FILE
    try:
        summary = json.loads(read_text(path, MOST_BYTES))
        said = float(summary["pooled"]["uf1"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"'{path}' is damaged ({error}); keep the run again.") from None
    spec = RunSpec.from_json(config["config"])
    refuse_other(row, spec)
    found = scores_of(predictions, len(names))["uf1"]
    if abs(found - said) > _TOLERANCE:
        raise ConfigError(
            f"'{path}' says a UF1 of {said:.6f}, the predictions beside it give {found:.6f}; keep "
            "the run again."
        )
    return KeptRun(row, spec, names, predictions, summary)

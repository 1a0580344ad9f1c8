"""Tables of one run's report: scores, clips, confusion matrix, subjects, how it was made."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ahmsa_jax.choices import SELECTIONS
from ahmsa_jax.metrics import subject_scores
from experiments.files.run_files import Prediction
from experiments.scores import chance, spread
from experiments.scores.summary import Records, mean_scores
from input_pipeline.core.tables import Table
from input_pipeline.databases.names import in_order, in_words, place

_UNKNOWN = "not recorded"
_SCORES = ("uf1", "uar", "accuracy")
NOT_STATED = "not stated"
NO_EPOCHS = "no epochs"


def epoch_rule(records: Records) -> str:
    """How the epoch of a run's headline was chosen; of weights that were given nobody knows."""
    if records.spec.kind == "classical":
        return NO_EPOCHS
    rule = records.spec.select
    # A run of another version may name a rule that this one does not have.
    return SELECTIONS.get(rule, rule) if records.spec.is_trained else NOT_STATED


def scores_table(
    records: Records, summary: dict[str, Any], name_of: Callable[[str], str] = in_words
) -> Table:
    """Headline, databases, mean over subjects and the optimistic figure, each under its name.

    The last rows are two baselines on the same clips: guessing, and always the largest class.
    """
    rule = "weights as given" if records.spec.kind == "given" else epoch_rule(records)
    interval = _intervals(records, records.predictions)
    rows = [_score_row(f"all clips, {rule}", summary["pooled"], interval, summary["pooled_std"])]
    for database in in_order(summary["by_database"]):
        own = [row for row in records.predictions if row.database == database]
        interval = _intervals(records, own)
        rows.append(_score_row(name_of(database), summary["by_database"][database], interval))
    if averaged := summary["average_seeds"]:
        count = len(summary["by_seed"])
        rows.append(_score_row(f"probabilities averaged over {count} seeds", averaged))
    each = list(summary["by_database"].values())
    if records.spec.split == "holdout_database" and each:
        mean = {name: float(np.mean([one[name] for one in each])) for name in _SCORES}
        rows.append(_score_row("mean over held-out databases", mean))
    rows.append(_score_row("mean over subjects", summary["per_subject_mean"]))
    if summary["optimistic_best_epoch_on_test"]:
        label = "optimistic: best epoch picked on the held-out clips"
        rows.append(_score_row(label, summary["optimistic_best_epoch_on_test"]))
    count_K = clips_per_class(records, records.predictions)
    rows.append(_score_row("guessing, on average", vars(chance.guessing(count_K))))
    most = f"always {records.class_names[int(np.argmax(count_K))]}, the largest class"
    rows.append(_score_row(most, vars(chance.majority(count_K))))
    seeds = len(summary["by_seed"])
    deviation = f"mean ± deviation over {seeds} seeds; " if seeds > 1 else ""
    title = f"Scores ({deviation}95 % intervals over subjects)"
    columns = ("part", "UF1", "UF1, 95 %", "UAR", "UAR, 95 %", "accuracy", "clips")
    return _table(records, title, columns, rows)


def _score_row(
    name: str,
    scores: dict[str, Any],
    intervals: tuple[str, str] = ("", ""),
    deviation: dict[str, Any] | None = None,
) -> tuple[str, ...]:
    uf1, uar, accuracy = (
        f"{scores[key]:.4f}" + (f" ± {deviation[key]:.4f}" if deviation else "") for key in _SCORES
    )
    uf1_interval, uar_interval = intervals
    return (name, uf1, uf1_interval, uar, uar_interval, accuracy, str(scores.get("n", "")))


def _intervals(records: Records, predictions: Sequence[Prediction]) -> tuple[str, str]:
    """Intervals of UF1 and UAR when subjects are drawn anew; empty where there is none."""
    found = spread.intervals(predictions, len(records.class_names))
    uf1, uar = (
        "{:.4f} to {:.4f}".format(*ends) if ends else ""
        for ends in (found["uf1_interval"], found["uar_interval"])
    )
    return uf1, uar


def clips_per_class(records: Records, predictions: Sequence[Prediction]) -> np.ndarray:
    """How many clips of each class were predicted, each counted once however many seeds."""
    label_of = {(row.subject_key, row.clip): row.label for row in predictions}
    return np.bincount(np.array(list(label_of.values()), int), minlength=len(records.class_names))


def probabilities_table(records: Records, summary: dict[str, Any]) -> Table:
    """How well the probabilities order and fit the clips, means over seeds."""
    rows = [(f"all clips, {epoch_rule(records)}", *_cells_of_probability(summary["pooled"]))]
    if averaged := summary["average_seeds"]:
        rows.append(("averaged over seeds", *_cells_of_probability(averaged)))
    return _table(records, "Probabilities", ("part", "AUC", "log-loss (nats)"), rows)


def _cells_of_probability(scores: dict[str, Any]) -> tuple[str, ...]:
    values = (scores["auc"], scores["log_loss"])
    return tuple("" if value is None else f"{value:.4f}" for value in values)


def choices_table(records: Records) -> Table | None:
    """What inner selection chose in how many folds; None of a run without it."""
    found = Counter(
        (fold.choice.candidate, "" if fold.choice.epochs is None else str(fold.choice.epochs))
        for fold in records.folds
        if fold.choice
    )
    if not found:
        return None
    rows = [(*chosen, str(folds)) for chosen, folds in found.most_common()]
    columns = ("candidate", "epochs", "folds")
    return _table(records, "Choices of the training subjects", columns, rows)


def clips_table(records: Records) -> Table:
    """Subjects and clips per class, of each database and in all."""
    databases = in_order(row.database for row in records.predictions)
    parts: list[tuple[str, Sequence[Prediction]]] = [
        (in_words(name), [row for row in records.predictions if row.database == name])
        for name in databases
    ]
    if len(parts) != 1:
        parts.append(("all clips", records.predictions))
    rows = []
    for name, own in parts:
        count_K = clips_per_class(records, own)
        subjects = len({row.subject_key for row in own})
        rows.append((name, str(subjects), *map(str, count_K), str(count_K.sum())))
    return _table(records, "Clips", ("part", "subjects", *records.class_names, "clips"), rows)


def confusion_table(records: Records, summary: dict[str, Any]) -> Table:
    """The pooled confusion matrix as counts."""
    rows = [
        (f"true {name}", *map(str, counts))
        for name, counts in zip(records.class_names, summary["confusion"], strict=True)
    ]
    seeds = len(summary["by_seed"])
    title = f"Confusion matrix (clips{summed_over(seeds)})"
    columns = ("", *(f"predicted {name}" for name in records.class_names))
    return _table(records, title, columns, rows)


def summed_over(seeds: int) -> str:
    """How counts of several seeds are to be read; of one seed there is nothing to say."""
    return f", summed over {seeds} seeds" if seeds > 1 else ""


def subjects_table(records: Records, name_of: Callable[[str], str] = in_words) -> Table:
    """One row per subject: clips, hits and scores over the classes present, mean over seeds."""
    rows = []
    for key, runs in predictions_by_subject(records.predictions).items():
        confusions = [records.confusion(run) for run in runs]
        scores = [subject_scores(confusion) for confusion in confusions]
        database, subject = key.split("/")
        correct = np.mean([np.trace(confusion) for confusion in confusions])
        mean = mean_scores(scores)
        cells = (f"{mean[name]:.4f}" for name in ("accuracy", "uf1", "uar"))
        name = f"{name_of(database)}/{subject}"
        rows.append((name, str(scores[0].n), f"{correct:g}", *cells))
    whose = "held-out subject" if records.spec.split == "loso" else "subject"
    columns = (whose, "clips", "correct", "accuracy", "UF1", "UAR")
    return _table(records, "Subjects", columns, rows)


def predictions_by_subject(rows: Sequence[Prediction]) -> dict[str, list[list[Prediction]]]:
    """Predictions of each held-out subject, one list per seed; databases in their order."""
    grouped: dict[str, dict[int, list[Prediction]]] = {}
    for row in rows:
        grouped.setdefault(row.subject_key, {}).setdefault(row.seed, []).append(row)
    keys = sorted(grouped, key=lambda key: (place(key.split("/")[0]), key))
    return {key: list(grouped[key].values()) for key in keys}


def _table(
    records: Records, title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> Table:
    key = f"{title.split()[0].lower()}-{records.config_hash}"
    warning = records.spec.split_words.warning
    title += f", {warning}" if warning else ""
    return Table(title, columns, rows, pretend=records.pretend, key=key)


def facts_table(records: Records) -> Table:
    """Command, date, device, versions, commit and data; of several workdirs what each one says."""

    def each(value_of: Callable[[dict[str, Any]], Any]) -> str:
        values = [str(value_of(noted) or _UNKNOWN) for noted in records.surroundings]
        return "; ".join(dict.fromkeys(values)) or _UNKNOWN

    rows = [
        ("command", each(lambda one: one.get("command"))),
        ("started", each(lambda one: one.get("started"))),
        ("device", each(_devices)),
        ("versions", each(_versions)),
        ("commit", each(lambda one: one.get("commit"))),
        ("data set", f"{records.spec.dataset}/{records.spec.layout}"),
        ("data, content hash", records.spec.data_sha256 or _UNKNOWN),
        ("settings, hash", records.config_hash),
    ]
    return Table("Run", ("what", "value"), rows, pretend=records.pretend)


def _devices(noted: dict[str, Any]) -> str:
    devices = noted.get("devices")
    kinds = Counter(map(str, devices if isinstance(devices, list) else []))
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in kinds.items())


def _versions(noted: dict[str, Any]) -> str:
    found = {"ahmsa_jax": noted.get("ahmsa_jax"), "Python": noted.get("python")}
    packages = noted.get("packages")
    found |= packages if isinstance(packages, dict) else {}
    found["torch"] = noted.get("torch")
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)

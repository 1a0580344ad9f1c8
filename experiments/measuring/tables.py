"""What was measured, as the table of the documentation; what is missing says so."""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.measuring.entries import ENTRIES, OF_SEEDS, RUNS
from experiments.measuring.trained import mean_of_seeds
from input_pipeline.core.tables import Table

NOT_MEASURED = "not measured"


def markdown(measured: Mapping[str, Any]) -> str:
    """One row per entry, from the facts of measured.json; an empty mapping gives an empty table."""
    parts = measured.get("parts", {})
    texts = {entry.name: _text(entry.name, parts) for entry in ENTRIES}
    texts["68 folds, tf32, three seeds"] = _seeds(parts)
    rows = [[name, text or NOT_MEASURED] for name, text in texts.items()]
    return Table(_title(measured), ["what", "measured"], rows).markdown()


def _title(measured: Mapping[str, Any]) -> str:
    devices = {
        device
        for facts in measured.get("parts", {}).values()
        for device in facts.get("environment", {}).get("devices", [])
    }
    if not devices:
        return "Measured on a GPU: nothing yet"
    kind = "REHEARSAL at tiny sizes, no measurement: " if measured.get("rehearsal") else ""
    return f"{kind}measured on {', '.join(sorted(devices))}"


def _text(name: str, parts: Mapping[str, Any]) -> str:
    if name not in parts:
        return ""
    facts = parts[name]
    if name in RUNS:
        return _run(facts)
    for kind, words in _WORDS.items():
        if name.startswith(kind):
            return words(facts, parts)
    raise KeyError(name)


def _correctness(facts: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    gaps = (f"{name} {gap:.1e}" for name, gap in sorted(facts["gaps_nats"].items()))
    return f"largest gap of ten steps' losses to float32, nats: {', '.join(gaps)}"


def _benchmark(facts: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    own = facts["seconds_per_fold_step"]
    words = [f"{1e3 * own:.3g} ms per fold-step"]
    for letter, name in (("a", "benchmark: PyTorch eager"), ("b", "benchmark: PyTorch expert")):
        if "folds" in facts and name in parts:
            words.append(
                f"{parts[name]['seconds_per_fold_step'] / own:.2f} times as fast as ({letter})"
            )
    if facts["compile_seconds"]:
        words.append(f"compiled in {facts['compile_seconds']:.0f} s")
    if "folds" in facts:
        memory = f"{facts['bytes_forecast'] / 2**30:.2f} GiB forecast"
        if facts["bytes_taken"]:
            memory += f", {facts['bytes_taken'] / 2**30:.2f} taken"
        words += [f"{facts['folds']} folds at once", memory]
    return "; ".join(words)


def _run(facts: Mapping[str, Any]) -> str:
    last, best = facts["pooled"], facts["optimistic"]
    return (
        f"{facts['training_seconds']:.0f} s of training for {facts['folds']} folds in "
        f"{facts['shards']} part(s), {1e3 * facts['seconds_per_fold_step']:.3g} ms per fold-step, "
        f"evaluated every epoch; UF1 / UAR {last['uf1']:.4f} / {last['uar']:.4f} (last epoch), "
        f"{best['uf1']:.4f} / {best['uar']:.4f} optimistic"
    )


def _compiling(facts: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    return (
        f"{facts['cold_seconds']:.0f} s cold, {facts['cached_seconds']:.0f} s from the cache, "
        "tracing included"
    )


def _checkpoint(facts: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    if not facts["was_stopped"]:
        return "the run was over before it could be stopped"
    same = "the same bytes" if facts["byte_equal"] else "OTHER bytes"
    more = facts["training_seconds_with_stop"] - facts["training_seconds"]
    return (
        f"stopped in {facts['stopping_seconds']:.1f} s with {facts['bytes_on_disk'] / 2**30:.2f} "
        f"GiB on disk; training took {more:+.1f} s; {same} at the end"
    )


def _trace(facts: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    rooms = sorted(facts["ms_per_fold_step_by_room"].items(), key=lambda room: -room[1])
    listed = ", ".join(f"{name} {milliseconds:.3f}" for name, milliseconds in rooms)
    return f"ms per fold-step: {listed or 'no kernel was seen'}"


# By the beginning of an entry's name.
_WORDS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "correctness": _correctness,
    "benchmark": _benchmark,
    "compiling": _compiling,
    "checkpoint": _checkpoint,
    "trace": _trace,
}


def _seeds(parts: Mapping[str, Any]) -> str:
    if not all(name in parts for name in OF_SEEDS):
        return ""
    found = mean_of_seeds([parts[name] for name in OF_SEEDS])
    scores = [
        f"{kind} UF1 {found[f'{kind}_uf1']['mean']:.4f} ± {found[f'{kind}_uf1']['std']:.4f}"
        for kind in ("pooled", "optimistic")
    ]
    return ", ".join(scores)

"""model_card.md: what a model was trained on, what is known of it, and what it is not for."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.fitting.estimate import Estimate
from experiments.fitting.model_folder import RELIABILITY
from experiments.run.recipes import size_in_words
from input_pipeline.core import escaping
from input_pipeline.core.clips import entitled
from input_pipeline.databases.names import in_words

_LICENCES = (
    "CASME II, CAS(ME)^3, SAMM and SMIC are licensed by their owners for research, to those who "
    "signed for them; whether weights trained on them may be passed on is for those licences to "
    "say. This program grants nothing of it."
)
_NOT_FOR = (
    "- It names the class of a clip that holds one micro-expression, posed before a camera as in "
    "the databases. It does not say whether there is one: every clip gets a class.",
    "- It says nothing of what a person feels, means or hides, and must not be used to judge "
    "people: not for hiring, policing, border control, teaching or diagnosis.",
    "- The subjects of the databases are few and alike in age and origin; on other people, "
    "cameras, rates and light it was not tried.",
    "- Probabilities are calibrated, where they are, on the held-out subjects of the estimate, "
    "not on your clips.",
)


def text(
    facts: Mapping[str, Any],
    estimate: Estimate | None,
    counts: Mapping[str, int],
    right: int,
    remarks: Sequence[str],
) -> str:
    """The card in Markdown.

    `counts` are clips by class, `right` those that the model names right among its own.
    """
    dataset = in_words(facts["dataset"])
    title = entitled(f"{facts['model']} on {dataset}", pretend=facts["pretend"])
    parts = [
        f"# {escaping.markdown(title)}",
        "## What it was trained on",
        f"All {facts['clips']} clips of {facts['subjects']} subjects of {dataset}, maps of the "
        f"layout {facts['layout']}: "
        + ", ".join(f"{count} {escaping.markdown(name)}" for name, count in counts.items())
        + f". Keys and classes are in clips.csv; their hash is {facts['data_sha256'][:12]}.",
        f"Network {facts['model']}, {size_in_words(facts['network'])}"
        f"{facts['training']['epochs']} epochs, learning rate "
        f"{facts['training']['learning_rate']:g}, {len(facts['seeds'])} seed(s), whose "
        "probabilities are averaged. All settings and versions are in model.json.",
        *(f"**{escaping.markdown(remark)}**" for remark in remarks),
        *([_chosen(facts["choice"])] if facts.get("choice") else []),
        f"Of the clips it was trained on it names {right} of {facts['clips']} right. That is no "
        "estimate of anything: it has seen them.",
        "## How good it is on people it has not seen",
        *(_estimated(estimate) if estimate else ["Not estimated: no --estimate was given."]),
        "## Licence of the data",
        _licence(facts),
        "## What it is not for",
        "\n".join(_NOT_FOR),
    ]
    return "\n\n".join(parts) + "\n"


def _chosen(choice: Mapping[str, Any]) -> str:
    line = choice["candidate"] or "the settings given"
    return (
        f"Settings chosen over {choice['inner_folds']} subject-grouped parts of these clips, by "
        f"{choice['select_by']}: {escaping.markdown(line)}, {choice['epochs']} epochs. One choice "
        "for all seeds; the nested run of the estimate chooses in each fold and seed."
    )


def _estimated(estimate: Estimate) -> list[str]:
    scores = estimate.scores

    def interval(name: str) -> str:
        ends = scores[f"{name}_interval"]
        return f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else "none: one subject a database"

    return [
        f"Leave-one-subject-out with the same settings and clips ({estimate.subjects} subjects, "
        f"{estimate.seeds} seed(s) averaged, run {estimate.config_hash}):",
        "| | value | 95 % interval over subjects |\n| --- | --- | --- |\n"
        f"| UF1 | {scores['uf1']:.4f} | {interval('uf1')} |\n"
        f"| UAR | {scores['uar']:.4f} | {interval('uar')} |\n"
        f"| accuracy | {scores['accuracy']:.4f} | |",
        f"Temperature {estimate.temperature:.3f}, from all held-out clips. Calibration error "
        f"{estimate.before.error:.4f} before and {estimate.cross_fitted.error:.4f} with each "
        "subject under the temperature of the others; log-loss "
        f"{scores['log_loss']:.4f} before and {abs(estimate.log_loss_cross_fitted):.4f} after.",
        f"![reliability]({RELIABILITY}.png)",
    ]


def _licence(facts: Mapping[str, Any]) -> str:
    if facts["pretend"]:
        return (
            "The clips were made up by this program: the model says nothing of people, and no "
            "licence binds it."
        )
    return _LICENCES

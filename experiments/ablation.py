"""Ablation studies of AHMSA-Net: settings that differ in one thing, each a run, in one table.

python -m experiments.ablation --study=blocks --dataset=casme3
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from ahmsa_jax.config import ConfigError
from experiments import loso
from experiments.run import exclusions
from experiments.run import flags as run_flags
from experiments.run.flags import Values
from experiments.run.spec import Execution
from experiments.run.workdir import claimed, read_config, refuse_other_code
from experiments.schedule.interruption import Interruption
from experiments.studies import setting_runs
from experiments.studies.setting_runs import SettingRun
from experiments.studies.study import STUDIES, Study
from input_pipeline.core import command
from input_pipeline.core.errors import InputError

NAME = "experiments.ablation"

# JAX and matplotlib are imported where they are used: help and mistakes answer at once.


def main() -> int:
    """Train the settings asked for and report; 3 where folds failed, else 0."""
    given = command.values()
    (name,) = command.required(study="|".join(STUDIES))
    study = STUDIES[name]
    chosen = study.chosen(given.settings)
    setting_runs.check(given, study)
    exclusions.check(given)
    with Interruption(NAME) as interruption:
        # Of all settings, whichever are asked for: a study's folder holds what they share.
        runs = setting_runs.read(given, study.settings)
        config = setting_runs.shared_config(study, runs)
        folder = setting_runs.workdir(given, study, config)
        execution = run_flags.execution(given, runs[0].run.spec)
        loso.check_devices(runs[0].run, execution)
        asked = [one for one in runs if one.setting in chosen]
        if execution.dry_run:
            _dry_run(asked, execution, folder, given, interruption)
            return 0
        with claimed(folder, config, runs[0].run.facts()):
            for number, one in enumerate(asked, start=1):
                _tell(number, asked)
                own = dataclasses.replace(execution, workdir=folder / one.setting.name)
                if not _is_finished(one, folder):
                    # Settings from different programs would be no comparison.
                    refuse_other_code(folder)
                    with setting_runs.flags_of(given, one.setting):
                        loso.carry_out(one.run, own, given, interruption)
            return _report(study, [one for one in runs if _is_finished(one, folder)], folder)


def _tell(number: int, asked: Sequence[SettingRun]) -> None:
    setting = asked[number - 1].setting
    print(f"setting {number} of {len(asked)}: {setting.name} ({setting.words})", flush=True)


def _dry_run(
    asked: Sequence[SettingRun],
    execution: Execution,
    folder: pathlib.Path,
    given: Values,
    interruption: Interruption,
) -> None:
    run = asked[0].run
    folds, seeds = len(run.here), len(run.spec.seeds)
    print(
        f"study: {len(asked)} settings x {seeds} seeds x {folds} folds = "
        f"{len(asked) * seeds * folds:,} trainings; each setting's plan and time follow",
        flush=True,
    )
    for number, one in enumerate(asked, start=1):
        _tell(number, asked)
        own = dataclasses.replace(execution, workdir=folder / one.setting.name)
        with setting_runs.flags_of(given, one.setting):
            loso.dry_run(one.run, own, interruption)


def _is_finished(one: SettingRun, folder: pathlib.Path) -> bool:
    """Whether the setting's run lies in the study's folder, reported to its end."""
    from experiments.scores import reporting, summary

    workdir = folder / one.setting.name
    if not (workdir / reporting.SUMMARY_FILE).exists():
        return False
    try:
        # A run with other settings is refused by who would go on with it, damaged files are mended.
        is_own = read_config(workdir)["config"] == one.run.spec.to_json()
        return is_own and not summary.read_records([workdir]).missing
    except ConfigError:
        return False


def _report(study: Study, finished: Sequence[SettingRun], folder: pathlib.Path) -> int:
    from experiments.schedule import plan
    from experiments.studies import report, results

    found = []
    for one in finished:
        parameters = sum(plan.count_parameters(one.run.network_config, one.run.train_config))
        found.append(results.read(one.setting, folder / one.setting.name, parameters))
    return report.write(study, found, folder)


def start() -> None:
    """Define the flags and run the command; own extensions call this after registering theirs."""
    setting_runs.define_flags()
    loso.define_flags()
    command.values().set_default("num_seeds", setting_runs.SEEDS)
    command.run(
        main,
        name=NAME,
        purpose="Run an ablation study of AHMSA-Net: settings that differ in one thing, each "
        "trained as by experiments.loso, in one table and one picture.",
        mistakes=(InputError, ConfigError),
    )


if __name__ == "__main__":
    start()

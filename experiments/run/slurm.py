"""The part of a run that SLURM's variables give to a task; read only when --shard=slurm asks."""

from collections.abc import Mapping

_ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")


def shard(variables: Mapping[str, str]) -> tuple[int, int]:
    """(i, n) of a task of a job array, or of a step of several tasks; i counts from 0.

    In `--array=MIN-MAX` or `MIN-MAX:STEP`, i is the place in the array, wherever it begins. Raises
    ValueError that names the variables where they are missing or do not fit together.
    """
    if any(name in variables for name in _ARRAY):
        return _of_array(variables)
    if "SLURM_PROCID" not in variables and "SLURM_NTASKS" not in variables:
        raise ValueError(
            f"none of {_ARRAY[0]} (a job array) and SLURM_PROCID (srun) is set; start it by SLURM, "
            "or give a part such as 0/4"
        )
    place, tasks = (_number(variables, name) for name in ("SLURM_PROCID", "SLURM_NTASKS"))
    if place >= tasks:
        raise ValueError(f"SLURM_PROCID={place} is not below SLURM_NTASKS={tasks}")
    if tasks > 1 and "SLURM_JOB_ID" in variables and "SLURM_STEP_ID" not in variables:
        raise ValueError(
            f"SLURM_NTASKS={tasks}, but this is the batch script itself (no SLURM_STEP_ID), where "
            "only the first part would run; start the command with srun"
        )
    return place, tasks


def _of_array(variables: Mapping[str, str]) -> tuple[int, int]:
    task, first, count = (_number(variables, name) for name in _ARRAY)
    step = _number(variables, "SLURM_ARRAY_TASK_STEP", missing="1")
    last = _number(variables, "SLURM_ARRAY_TASK_MAX", missing=str(first + (count - 1) * step))
    shown = (
        f"SLURM_ARRAY_TASK_ID={task}, SLURM_ARRAY_TASK_MIN={first}, SLURM_ARRAY_TASK_MAX={last}, "
        f"SLURM_ARRAY_TASK_STEP={step}, SLURM_ARRAY_TASK_COUNT={count}"
    )
    # A list such as 1,3,7 has no step: which place the task has in it is unknown.
    even = step > 0 and last >= first and (last - first) // step + 1 == count
    if not even or not first <= task <= last or (task - first) % step:
        raise ValueError(
            f"{shown} are no array MIN-MAX or MIN-MAX:STEP; give one, or a part such as 0/4"
        )
    if count == 1 and first > 1:
        # One part of a larger array, submitted again: it would train all folds.
        raise ValueError(
            f"SLURM_ARRAY_TASK_COUNT=1 with SLURM_ARRAY_TASK_ID={task} is an array of one task, "
            f"whose part would be the whole; give the part itself, such as {task}/{task + 1}"
        )
    if "SLURM_STEP_ID" in variables and _number(variables, "SLURM_NTASKS", missing="1") > 1:
        raise ValueError(
            f"SLURM_NTASKS={variables['SLURM_NTASKS']} tasks of one array element would train the "
            "same part; give --ntasks=1 beside --array"
        )
    return (task - first) // step, count


def _number(variables: Mapping[str, str], name: str, missing: str | None = None) -> int:
    text = variables.get(name, missing)
    if text is None:
        raise ValueError(f"{name} is not set beside SLURM's other variables")
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name}='{text[:40]}' is no number")
    return int(text)

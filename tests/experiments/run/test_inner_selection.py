"""Lines of --candidates: read strictly, and turned into settings."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from ahmsa_jax.config import ConfigError, Settings, TrainConfig, setting
from ahmsa_jax.training.protocols import loso_folds
from experiments.run import inner_selection
from experiments.run.inner_selection import InnerSelection, read_candidates, replaced


@dataclasses.dataclass(frozen=True)
class Some(Settings):
    blocks: tuple[int, ...] = setting((2, 2), "Blocks.")
    bold: bool = setting(False, "Bold.")


def test_a_file_is_read_line_by_line(tmp_path):
    path = tmp_path / "candidates.txt"
    path.write_text("# ours\n--epochs=5   --learning_rate=1e-3\n\n  --epochs=10\n")
    assert read_candidates(path) == ("--epochs=5 --learning_rate=1e-3", "--epochs=10")


@pytest.mark.parametrize(
    ("content", "words"),
    [("# none\n\n", "holds 0 candidates"), (b"\xff\xfe", "is no file of candidates")],
)
def test_a_file_without_any_is_refused(tmp_path, content, words):
    path = tmp_path / "candidates.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=words):
        read_candidates(path)
    with pytest.raises(ConfigError, match="does not exist"):
        read_candidates(tmp_path / "other.txt")


def test_values_are_of_the_settings_types():
    found = replaced("--epochs=5 --learning_rate=1e-3 --loss=focal --shuffle=false", TrainConfig())
    assert found == TrainConfig(epochs=5, learning_rate=1e-3, loss="focal", shuffle=False)
    assert replaced("--blocks=1,2,3 --bold=true", Some()) == Some((1, 2, 3), True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--epoch=5", r"'--epoch=5' is no setting to choose; allowed are --epochs=VALUE"),
        ("epochs=5", "'epochs=5' is no setting to choose"),
        ("--epochs", "'--epochs' is no setting to choose"),
        ("--epochs=five", "'five' is no value of --epochs, which is 800 by default"),
        ("--shuffle=maybe", "'maybe' is no value of --shuffle"),
        ("--learning_rate=-1", "--learning_rate=-1 is out of range"),
        ("--loss='focal", "cannot be read"),
    ],
)
def test_what_a_line_cannot_say_is_refused(line, words):
    with pytest.raises(ConfigError, match=words) as caught:
        replaced(line, TrainConfig())
    assert "the candidate" in str(caught.value)


class Clips(NamedTuple):
    label_N: np.ndarray = np.array([0, 1, 0, 1, 1])
    database_N: np.ndarray = np.full(5, "x")
    subject_key_N: tuple[str, ...] = tuple("aabbc")


def test_reports_say_how_was_chosen():
    selection = InnerSelection("auc", 5, ("--epochs=1", "--epochs=2"))
    folds = loso_folds(Clips().subject_key_N)
    first, *others = inner_selection.remarks(selection, folds[:1], Clips())
    assert "best auc over 5 inner folds, among 2 candidates" in first
    assert others == ["the fold of a has 2 training subjects, one an inner fold"]
    assert inner_selection.remarks(None, folds, Clips()) == []
    assert inner_selection.stored(None) == {}

"""Weights from elsewhere: matched with folds, every kind of bad file refused, converted exactly.

Modules tried here without being imported:
experiments.schedule.prediction.
"""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from command_runner import assert_mistake, run_command

from ahmsa_jax.config import plain
from ahmsa_jax.networks.ahmsa import ModelConfig
from ahmsa_jax.networks.htnet import HTNetConfig
from ahmsa_jax.networks.ststnet import STSTNetConfig
from experiments.baselines import state_files, twins
from experiments.baselines.state_dicts import flax_shapes
from experiments.files import fold_weights, given_weights
from input_pipeline.core.errors import InputError

CONFIG = STSTNetConfig()
KNOWN = ("casme2/sub01", "casme2/sub02", "samm/006", "smic/s01")


def state(seed=0, config=CONFIG):
    torch.manual_seed(seed)
    return twins.build(config).state_dict()


def find(folder, requested=KNOWN):
    return given_weights.find(folder, "ststnet", CONFIG, requested, KNOWN)


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("sub01", "sub02", "006", "s01")):
        torch.save(state(number), tmp_path / f"{name}.pth")
    return tmp_path


def test_published_names_find_their_folds(folder):
    found = find(folder)
    assert found.seeds == [0]
    assert {key: path.name for (_, key), path in found.path_of.items()} == {
        "casme2/sub01": "sub01.pth",
        "casme2/sub02": "sub02.pth",
        "samm/006": "006.pth",
        "smic/s01": "s01.pth",
    }
    expected = twins.from_torch(CONFIG, state(2))
    read = found.read(0, "samm/006")
    assert read.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(read[name], value)


def test_other_known_subjects_are_left_alone(folder):
    assert list(find(folder, ["samm/006"]).path_of) == [(0, "samm/006")]


def test_missing_surplus_and_double_files_are_all_listed(folder, capsys):
    (folder / "006.pth").unlink()
    torch.save(state(), folder / "sub99.pth")
    torch.save(state(), folder / "casme2_sub01.pth")
    with pytest.raises(InputError, match=r"\(and 2 more faults\)"):
        find(folder)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for part in ("sub99.pth' is of no subject", "both of casme2/sub01", "no weights of samm/006"):
        assert sum(part in line for line in lines) == 1


def test_a_bare_name_of_two_databases_is_ambiguous(tmp_path):
    torch.save(state(), tmp_path / "01.pth")
    with pytest.raises(InputError, match=r"could be of a/01 or b/01"):
        given_weights.find(tmp_path, "ststnet", CONFIG, ["a/01"], ["a/01", "b/01"])


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def bad(kind, path, tmp_path):
    good = state()
    if kind == "code":
        torch.save({**good, "extra": Payload(tmp_path / "ran")}, path)
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    elif kind == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/0", bytes(100_000_000))
    elif kind == "text":
        path.write_text("no weights\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        torch.save(good, path)
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "list":
        torch.save(list(good.values()), path)
    elif kind == "numbers":
        torch.save(dict.fromkeys(good, 1.0), path)
    elif kind == "lacks":
        torch.save({name: value for name, value in good.items() if name != "bn2.weight"}, path)
    elif kind == "besides":
        torch.save({**good, "conv4.weight": torch.zeros(1)}, path)
    elif kind == "shape":
        torch.save({**good, "conv2.weight": torch.zeros(5, 3, 3, 2)}, path)
    elif kind == "huge view":
        torch.save({**good, "fc.bias": torch.zeros(1).expand(10**12)}, path)
    elif kind == "nan":
        good["bn3.running_var"][4] = float("nan")
        torch.save(good, path)
    elif kind == "integers":
        torch.save({**good, "fc.bias": torch.zeros(3, dtype=torch.int64)}, path)
    elif kind == "meta":
        torch.save({**good, "fc.bias": torch.zeros(3, device="meta")}, path)
    elif kind == "sparse":
        torch.save({**good, "fc.bias": torch.zeros(3).to_sparse()}, path)


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("code", "holds more than tensors"),
        ("plain pickle", "holds more than tensors"),
        ("bomb", "unpacks to 100,000,000 bytes"),
        ("text", "holds more than tensors, or is no PyTorch file"),
        ("empty", "is no readable PyTorch file"),
        ("cut", "is no readable PyTorch file"),
        ("list", "is no state dict"),
        ("numbers", "is no state dict"),
        ("lacks", "it lacks bn2.weight"),
        ("besides", "holds conv4.weight besides"),
        ("shape", r"conv2.weight with the shape \(5, 3, 3, 2\); this network's is \(5, 3, 3, 3\)"),
        ("huge view", r"fc.bias with the shape \(1000000000000,\)"),
        ("nan", "values in bn3.running_var that are no finite numbers"),
        ("integers", "fc.bias as torch.int64"),
        ("meta", "only plain tensors"),
        ("sparse", "only plain tensors"),
    ],
)
def test_bad_files_are_one_line_each_and_run_nothing(kind, part, tmp_path):
    path = tmp_path / "006.pth"
    bad(kind, path, tmp_path)
    with pytest.raises(InputError, match=part) as caught:
        given_weights.read_file(path, "ststnet", CONFIG)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_the_counter_of_batches_may_be_missing_and_half_precision_is_read(tmp_path):
    path = tmp_path / "006.pth"
    whole = state()
    torch.save(
        {name: value.half() for name, value in whole.items() if "num_batches" not in name}, path
    )
    read = given_weights.read_file(path, "ststnet", CONFIG)
    expected = whole["fc.weight"].half().float().numpy().T
    np.testing.assert_array_equal(read["fc/kernel"], expected)


def test_weights_of_another_network_or_size_are_refused(tmp_path):
    config = HTNetConfig(base_dim=6, blocks=(1, 0, 1))
    path = tmp_path / "006.pth"
    torch.save(state(config=config), path)
    with pytest.raises(InputError, match="is of another network: it lacks"):
        given_weights.read_file(path, "ststnet", CONFIG)
    with pytest.raises(InputError, match="with the shape"):
        given_weights.read_file(path, "htnet", HTNetConfig(base_dim=9, blocks=(1, 0, 1)))
    assert given_weights.read_file(path, "htnet", config)


def test_conversion_both_ways_keeps_every_bit(folder, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    finished = run_command(
        "experiments.convert_weights",
        "--model=ststnet",
        f"--weights_dir={folder}",
        f"--output={there}",
    )
    assert finished.status == 0, finished.err
    assert "converted 4 files" in finished.out
    found = find(there)
    assert found.path_of[0, "samm/006"].name == "samm_006.safetensors"
    finished = run_command(
        "experiments.convert_weights",
        "--model=ststnet",
        f"--weights_dir={there / 'seed-0'}",
        f"--output={back}",
        "--to=torch",
    )
    assert finished.status == 0, finished.err
    assert sorted(path.name for path in back.iterdir()) == sorted(
        path.name for path in folder.glob("*.pth")
    )
    for number, name in enumerate(("sub01", "sub02", "006", "s01")):
        again = torch.load(back / f"{name}.pth", weights_only=True)
        for key, value in state(number).items():
            assert torch.equal(again[key], value), key
    before = (back / "sub01.pth").read_bytes()
    assert_mistake(
        run_command(
            "experiments.convert_weights",
            "--model=ststnet",
            f"--weights_dir={there / 'seed-0'}",
            f"--output={back}",
            "--to=torch",
        ),
        "sub01.pth' exists (4 such files) and would be replaced",
    )
    assert (back / "sub01.pth").read_bytes() == before


def test_changed_safetensors_and_those_of_another_network_are_refused(folder, tmp_path):
    params = state_files.read(folder / "006.pth", CONFIG)
    for model, config, part in (
        ("htnet", {}, "holds weights of htnet"),
        ("ststnet", {"dropout": 0.1}, "a network with dropout 0.1"),
    ):
        weights = fold_weights.FoldWeights(params, model, config, 0, "samm/006", "")
        fold_weights.save(tmp_path / model, weights)
        with pytest.raises(InputError, match=part):
            given_weights.read_file(
                tmp_path / model / "seed-0" / "samm_006.safetensors", "ststnet", CONFIG
            )
    odd = {**params, "fc/bias": np.zeros(4, np.float32)}
    fold_weights.save(tmp_path, fold_weights.FoldWeights(odd, "ststnet", {}, 0, "samm/006", ""))
    path = tmp_path / "seed-0" / "samm_006.safetensors"
    with pytest.raises(InputError, match=r"fc/bias with the shape \(4,\)"):
        given_weights.read_file(path, "ststnet", CONFIG)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match="damaged"):
        given_weights.read_file(path, "ststnet", CONFIG)


def test_weights_of_one_seed_under_two_names_are_refused(tmp_path):
    params = twins.from_torch(CONFIG, state())
    for seed in (0, 1):
        told = fold_weights.FoldWeights(params, "ststnet", plain(CONFIG), 0, "samm/006", "")
        fold_weights.save(tmp_path / str(seed), told)
        (tmp_path / str(seed) / "seed-0").rename(tmp_path / f"seed-{seed}")
    found = given_weights.find(tmp_path, "ststnet", CONFIG, ["samm/006"], KNOWN)
    assert found.seeds == [0, 1]
    assert found.read(0, "samm/006").keys() == params.keys()
    with pytest.raises(InputError, match="holds the weights of seed 0, not 1"):
        found.read(1, "samm/006")


def test_mistakes_of_the_commands(folder, tmp_path):
    for module, arguments, parts in (
        ("evaluate", ("--model=ststnet",), ("--weights_dir is missing",)),
        ("evaluate", ("--model=ststnet", f"--weights_dir={tmp_path / 'no'}"), ("is no folder",)),
        (
            "evaluate",
            ("--model=ststnet", f"--weights_dir={folder}"),
            ("is of no subject of the data set", "more faults"),
        ),
        (
            "evaluate",
            ("--model=ststnet", "--base_dim=3", f"--weights_dir={folder}"),
            ("--base_dim is no setting of --model=ststnet",),
        ),
        (
            "convert_weights",
            ("--model=ststnet", f"--weights_dir={folder}"),
            ("--output is missing",),
        ),
        (
            "convert_weights",
            ("--model=htnet", f"--weights_dir={folder}", "--output=x"),
            ("is of another network", "3 more faults"),
        ),
    ):
        assert_mistake(run_command(f"experiments.{module}", *arguments), *parts)


@pytest.mark.parametrize(
    ("trained", "asked"), [("average", "adaptive_max"), ("adaptive_max", "average")]
)
def test_networks_that_differ_in_no_parameter_are_told_apart(tmp_path, trained, asked):
    # A setting at its default is left out of the file, as before it was there.
    sizes = {"base_dim": 3, "heads": 1, "blocks": (0, 0, 0)}
    config = ModelConfig(**sizes, pooling=trained)
    params = {path: np.zeros(shape, np.float32) for path, shape in flax_shapes(config).items()}
    weights = fold_weights.FoldWeights(params, "ahmsa", plain(config), 0, "samm/006", "")
    fold_weights.save(tmp_path, weights)
    path = tmp_path / "seed-0" / "samm_006.safetensors"
    same = given_weights.read_file(path, "ahmsa", config)
    assert same.keys() == params.keys()
    with pytest.raises(InputError, match=f"with pooling {trained}, not {asked}; give --pooling"):
        given_weights.read_file(path, "ahmsa", ModelConfig(**sizes, pooling=asked))

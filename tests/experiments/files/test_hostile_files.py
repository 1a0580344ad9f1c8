"""Chunk and checkpoint files that somebody put there: never waited for, never believed."""

import hashlib
import io
import json
import os
import struct

import numpy as np
import pytest

from ahmsa_jax.config import ConfigError
from ahmsa_jax.training.protocols import EpochShape, Job, loso_folds
from experiments.files import checkpoints, chunks, fold_weights, sealed
from experiments.run.chunk import Chunk, ChunkResult, History
from input_pipeline.core.errors import InputError

JOBS = tuple(Job(0, fold) for fold in loso_folds(["lab/a", "lab/b", "lab/b"]))
CHUNK = Chunk(0, EpochShape(1, 8, 8), 2, JOBS)
STATE = {"00000": np.arange(6, dtype=np.float32).reshape(2, 3)}
RESULT = ChunkResult(
    probability=[np.full((1, 3), 1 / 3, np.float32), np.full((2, 3), 1 / 3, np.float32)],
    loss_SxE=np.ones((2, 4), np.float32),
    evaluated_V=np.array([4]),
    confusion_SxVxKxK=np.zeros((2, 1, 3, 3), np.int64),
    seconds=1.0,
)


def record(epoch: int) -> History:
    return History(
        loss_SxE=np.ones((2, epoch), np.float32),
        evaluated_V=np.zeros(0, np.int64),
        confusion_SxVxKxK=np.zeros((2, 0, 3, 3), np.int64),
        seconds=1.0,
    )


def with_hash(path, data: bytes) -> None:
    path.write_bytes(data)
    path.with_name(f"{path.name}.sha256").write_text(hashlib.sha256(data).hexdigest() + "\n")


def archive(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def changed(data: bytes, **other) -> bytes:
    with np.load(io.BytesIO(data)) as stored:
        return archive(**{**stored, **other})


def test_a_chunk_with_the_right_hash_and_other_content_is_not_taken(tmp_path):
    chunks.save(tmp_path, 0, JOBS, RESULT)
    path = tmp_path / "chunks" / "chunk-0000.npz"
    good = path.read_bytes()
    assert chunks.load_all(tmp_path, [CHUNK])[0].seconds == 1.0
    for data in (
        b"no archive",
        b"",
        archive(seed=np.array([0, 0])),
        changed(good, loss=np.ones(4, np.float32)),
        changed(good, loss=np.array([["a", "b"]] * 2)),
        changed(good, probability=np.ones((7, 3), np.float32)),
        changed(good, probability=np.float32(1)),
        changed(good, confusion=np.zeros((2, 2, 3, 3), np.int64)),
        changed(good, seed=np.array([0])),
        changed(good, seconds=np.ones(3)),
    ):
        with_hash(path, data)
        assert chunks.load_all(tmp_path, [CHUNK]) == {}
    with_hash(path, good)
    assert 0 in chunks.load_all(tmp_path, [CHUNK])


@pytest.mark.parametrize("name", ["chunk-0000.npz", "chunk-0000.npz.sha256"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_chunk_that_is_no_regular_file_is_not_waited_for(tmp_path, name, kind):
    chunks.save(tmp_path, 0, JOBS, RESULT)
    put(tmp_path / "chunks" / name, kind)
    assert chunks.load_all(tmp_path, [CHUNK]) == {}


def put(path, kind: str) -> None:
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


def load(workdir) -> tuple[int | None, list[str]]:
    told: list[str] = []
    found = checkpoints.load_newest(workdir, 3, JOBS, STATE, told.append)
    return (found[0].epoch if found else None), told


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SHA256SUMS", "pipe"),
        ("SHA256SUMS", "device"),
        ("record.npz", "pipe"),
        ("record.npz", "device"),
        ("state/_METADATA", "device"),
    ],
)
def test_a_checkpoint_with_a_file_that_never_ends_gives_way_to_the_one_before(tmp_path, name, kind):
    for epoch in (1, 2):
        checkpoints.save(tmp_path, 3, JOBS, record(epoch), STATE)
    put(tmp_path / "checkpoints/chunk-0003/epoch-000002" / name, kind)
    epoch, (note,) = load(tmp_path)
    assert epoch == 1
    assert "the checkpoint of epoch 2" in note
    assert "cannot be trusted" in note


def test_a_record_with_the_right_hash_and_other_content_is_not_taken(tmp_path):
    checkpoints.save(tmp_path, 3, JOBS, record(2), STATE)
    folder = tmp_path / "checkpoints/chunk-0003/epoch-000002"
    good = (folder / "record.npz").read_bytes()
    sums = (folder / "SHA256SUMS").read_text()
    for data in (b"no archive", archive(size=2), changed(good, loss=np.float32(1))):
        (folder / "record.npz").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        lines = [
            f"{digest}  record.npz" if line.endswith(" record.npz") else line
            for line in sums.splitlines()
        ]
        (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
        with pytest.raises(sealed.SealError, match=r"record\.npz"):
            checkpoints._load(folder, JOBS, STATE)


def test_an_epoch_folder_that_is_a_link_is_unlinked_and_its_target_kept(tmp_path):
    checkpoints.save(tmp_path, 3, JOBS, record(1), STATE)
    folder = tmp_path / "checkpoints/chunk-0003"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (folder / "epoch-000002").symlink_to(tmp_path / "mine")
    epoch, (note,) = load(tmp_path)
    assert epoch == 1
    assert "no folder of its own" in note
    assert os.listdir(folder) == ["epoch-000001"]
    assert os.listdir(tmp_path / "mine") == ["thesis.tex"]


def test_checkpoints_may_be_a_link_to_another_disk(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "elsewhere")
    checkpoints.save(tmp_path / "run", 3, JOBS, record(1), STATE)
    assert load(tmp_path / "run") == (1, [])
    checkpoints.drop(tmp_path / "run", 3)
    assert (tmp_path / "run" / "checkpoints").is_symlink()
    assert os.listdir(tmp_path / "elsewhere") == []


def test_orbax_failing_for_its_own_reason_is_not_called_an_io_error(tmp_path, monkeypatch):
    import orbax.checkpoint as ocp

    def fail(*_):
        raise ValueError("sharding of leaf 7 is odd")

    monkeypatch.setattr(ocp.StandardCheckpointer, "save", fail)
    monkeypatch.setattr(checkpoints, "_STRAGGLER_SECONDS", 0)
    with pytest.raises(
        ConfigError, match=r"Orbax says sharding of leaf 7 is odd; --checkpoint_min"
    ):
        checkpoints.save(tmp_path, 3, JOBS, record(1), STATE)


def weights(path, kind: str, size: int, facts: str) -> None:
    """A safetensors file of four zeros with any kind of header."""
    header = {
        "w": {"dtype": kind, "shape": [4], "data_offsets": [0, size]},
        "__metadata__": {"fold": facts},
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))


@pytest.mark.parametrize(
    ("kind", "size", "facts", "part"),
    [
        ("F8_E4M3", 4, "{}", "holds F8_E4M3 values"),
        ("F8_E5M2", 4, "{}", "holds F8_E5M2 values"),
        ("F4", 2, "{}", "holds F4 values"),
        ("F32", 16, "null", "fold is NoneType, not an object"),
        ("F32", 16, "[]", "fold is list, not an object"),
        ("F32", 16, "[" * 100_000 + "]" * 100_000, "recursion"),
        ("F32", 16, '{"sha256": 1}', "another SHA-256"),
        *[
            (
                "F32",
                16,
                json.dumps({"sha256": "SUM", "model": "ahmsa", "model_config": odd}),
                "header's model_config is",
            )
            for odd in (None, [], "x")
        ],
    ],
)
def test_weights_with_an_odd_header_are_one_line(tmp_path, kind, size, facts, part):
    path = tmp_path / "lab_a.safetensors"
    right = sealed.digest({"w": np.zeros(4, np.float32)})
    weights(path, kind, size, facts.replace("SUM", right))
    with pytest.raises(InputError, match=part):
        fold_weights.load(path)


def test_weights_that_are_a_pipe_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "lab_a.safetensors")
    with pytest.raises(InputError, match="no regular file"):
        fold_weights.load(tmp_path / "lab_a.safetensors")

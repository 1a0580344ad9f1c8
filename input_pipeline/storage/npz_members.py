"""Members of an .npz file: what their headers promise, and one hash over all arrays."""

import hashlib
import math
import zipfile
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Header(NamedTuple):
    """Shape and type of an array that has not been read yet."""

    shape: tuple[int, ...]
    dtype: np.dtype


def headers(archive: zipfile.ZipFile) -> dict[str, Header]:
    """The header of every member, by the array's name.

    Raises ValueError on Python objects, and where a header and the member's size disagree.
    """
    found = {}
    for member in archive.infolist():
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"array format {version}")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype.hasobject:
                raise ValueError("it holds Python objects, which could run code")
            if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
                raise ValueError("an array is not as large as its header says")
        found[member.filename.removesuffix(".npy")] = Header(shape, dtype)
    return found


def content_hash(members: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and bytes of all arrays, in the order of their names."""
    digest = hashlib.sha256()
    for name, array in sorted(members.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

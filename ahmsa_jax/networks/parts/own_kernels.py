"""Whether a GPU computes parts of a network in kernels of our own, instead of XLA's.

A switch around tracing, as JAX's own for the precision of products is. A function that is jitted by
itself takes it as a static argument, because JAX keeps what it traced.
"""

import contextlib
import contextvars
from collections.abc import Iterator

_ARE_USED = contextvars.ContextVar("own_kernels", default=False)


@contextlib.contextmanager
def used(are_used: bool) -> Iterator[None]:
    """Trace inside this: with kernels of our own on a GPU, or without."""
    before = _ARE_USED.set(are_used)
    try:
        yield
    finally:
        _ARE_USED.reset(before)


def are_used() -> bool:
    """Whether what is traced now gets them."""
    return _ARE_USED.get()

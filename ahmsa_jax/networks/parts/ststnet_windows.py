"""STSTNet's convolution as a matrix product over the windows of the max-pool that follows it.

A convolution primitive with weights per fold becomes a slow grouped convolution under vmap, and
gathering 27 inputs for each of 900 positions moves much memory: the nine positions of a pooling
window share the 25 places of its inputs.

Letters in array names: B clips, P side of the pooled grid (10), V values of a window (76),
Q positions in a window (9), L places of the edge (59), C channels, F filters.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

# Sides of the grids behind convolution (3x3, padding 2) and pool (3x3, stride 3, padding 1).
CONVOLVED, POOLED = 30, 10
_SAME, _NEXT = (0, 3), (3, 2)  # first line of a window's own 3 inputs, and of the 2 beyond; count
_PIECES = [(row, column) for row in (_SAME, _NEXT) for column in (_SAME, _NEXT)]
# A window's inputs in the order in which _windows lays them out, as numbers in the 5x5 square.
_ORDER = np.array(
    [
        5 * (top + i) + left + j
        for (top, height), (left, width) in _PIECES
        for i in range(height)
        for j in range(width)
    ]
)


def _inside() -> np.ndarray:
    """Which positions (1, P, P, Q, 1) of the windows lie in the convolved grid."""
    line_PxQ = np.ones((POOLED, 3), bool)
    line_PxQ[0, 0] = False  # the pool's padding
    both = line_PxQ[:, None, :, None] & line_PxQ[None, :, None, :]
    return both.reshape(1, POOLED, POOLED, 9, 1)


# As constants; beside them how many positions of each window that are.
INSIDE = _inside()
COUNT = INSIDE.sum(axis=3).astype(np.float32)


def window_inputs(flow_BxHxWxC: jax.Array) -> jax.Array:
    """The inputs (B, P, P, 76) of each pooling window, the last one 1 for the bias.

    Window i of a line reads the inputs 3i-3 to 3i+1: three of its own and two of the next one's.
    """
    batch, channels = flow_BxHxWxC.shape[0], flow_BxHxWxC.shape[-1]
    padded = jnp.pad(flow_BxHxWxC, ((0, 0), (3, 2), (3, 2), (0, 0)))
    thirds = padded.reshape(batch, POOLED + 1, 3, POOLED + 1, 3, channels).swapaxes(2, 3)
    pieces = []
    for (top, height), (left, width) in _PIECES:
        down, across = top // 3, left // 3
        piece = thirds[:, down : down + POOLED, across : across + POOLED, :height, :width]
        pieces.append(piece.reshape(batch, POOLED, POOLED, -1))
    pieces.append(jnp.ones((batch, POOLED, POOLED, 1), padded.dtype))
    return jnp.concatenate(pieces, axis=-1)


def window_matrix(kernel_3x3xCxF: jax.Array, bias_F: jax.Array) -> jax.Array:
    """The convolution as a matrix (V, Q*F) from a window's inputs to its nine positions."""
    placed = [
        jnp.pad(kernel_3x3xCxF, ((row, 2 - row), (column, 2 - column), (0, 0), (0, 0)))
        for row in range(3)
        for column in range(3)
    ]
    square = jnp.stack(placed, axis=3)
    values = square.reshape(25, -1)[_ORDER].reshape(-1, 9 * bias_F.shape[0])
    return jnp.concatenate([values, jnp.tile(bias_F, 9)[None]])


def kernel_from_matrix(matrix_VxQF: jax.Array, channels: int) -> tuple[jax.Array, jax.Array]:
    """Gradients of kernel and bias from that of the matrix: the transpose of window_matrix."""
    filters = matrix_VxQF.shape[1] // 9
    ordered = matrix_VxQF[:-1].reshape(25, -1)[np.argsort(_ORDER)]
    square = ordered.reshape(5, 5, channels, 9, filters)
    parts = [
        square[row : row + 3, column : column + 3, :, 3 * row + column]
        for row in range(3)
        for column in range(3)
    ]
    bias_F = jnp.sum(matrix_VxQF[-1].reshape(9, filters), axis=0)
    return functools.reduce(jnp.add, parts), bias_F


def edge_inputs(flow_BxHxWxC: jax.Array) -> jax.Array:
    """Inputs (B, L, 9) of the convolved grid's last row and column, which no window reads.

    They count in the statistics. Only the maps' last line lies under the kernel there: a row's
    places see the kernel's first row, a column's its first column.
    """
    last_row, last_column = flow_BxHxWxC[:, -1], flow_BxHxWxC[:, :, -1]
    parts = []
    for line_BxWxC, places in ((last_row, CONVOLVED), (last_column, CONVOLVED - 1)):
        padded = jnp.pad(line_BxWxC, ((0, 0), (2, 2), (0, 0)))
        taps = jnp.stack([padded[:, tap : tap + places] for tap in range(3)], axis=2)
        parts.append(taps.reshape(*taps.shape[:2], -1))
    return jnp.concatenate(parts, axis=1)


def edge_convolved(
    strip_BxLx9: jax.Array, kernel_3x3xCxF: jax.Array, bias_F: jax.Array
) -> jax.Array:
    """The convolution (B, L, F) at the places of edge_inputs."""
    kernel = kernel_3x3xCxF.astype(strip_BxLx9.dtype)
    row = strip_BxLx9[:, :CONVOLVED] @ kernel[0].reshape(-1, kernel.shape[-1])
    column = strip_BxLx9[:, CONVOLVED:] @ kernel[:, 0].reshape(-1, kernel.shape[-1])
    return jnp.concatenate([row, column], axis=1).astype(jnp.float32) + bias_F

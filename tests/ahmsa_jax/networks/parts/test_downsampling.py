"""Convolution and max-pool between two levels against their definitions and hand-worked values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import random

from ahmsa_jax.networks.parts import pooling
from ahmsa_jax.networks.parts.downsampling import Conv3x3


def adaptive_max_pool(x, out):
    return pooling.largest_of_bins(jnp.asarray(x), pooling.adaptive_bins(x.shape[-2], out))


@pytest.mark.parametrize(("size", "out"), [(4, 2), (2, 1), (9, 3), (3, 1), (5, 3), (7, 3), (4, 3)])
def test_adaptive_max_pool_has_torchs_bins(size, out):
    x = random(2, size, size, 5)
    expected = np.empty((2, out, out, 5), np.float32)
    for i in range(out):
        rows = slice(math.floor(i * size / out), math.ceil((i + 1) * size / out))
        for j in range(out):
            columns = slice(math.floor(j * size / out), math.ceil((j + 1) * size / out))
            expected[:, i, j] = x[:, rows, columns].max(axis=(1, 2))
    np.testing.assert_array_equal(adaptive_max_pool(x, out), expected)


def test_adaptive_max_pool_by_hand():
    # torch.nn.AdaptiveMaxPool2d(2) on a 3x3 grid: its bins share the middle row and column.
    x = np.array([[1, 2, 3], [4, 9, 6], [7, 8, 5]], np.float32)[None, :, :, None]
    pooled = adaptive_max_pool(x, 2)
    assert np.asarray(pooled)[0, :, :, 0].tolist() == [[9, 9], [9, 9]]
    pooled = adaptive_max_pool(np.where(x == 9, 0, x), 2)
    assert np.asarray(pooled)[0, :, :, 0].tolist() == [[4, 6], [8, 8]]


def test_gradient_of_the_maximum_goes_to_the_first_largest():
    x = jnp.asarray([[1.0, 5.0], [3.0, 5.0], [3.0, 2.0]])
    gradient = jax.grad(lambda x: (pooling.largest(x) * jnp.asarray([10.0, 1.0])).sum())(x)
    assert gradient.tolist() == [[0, 1], [10, 0], [0, 0]]
    assert pooling.largest(x).tolist() == [3, 5]


def test_gradient_of_a_tied_bin_goes_to_its_first_place():
    x = np.array([[2, 7, 1, 1], [7, 3, 1, 1], [0, 0, 5, 5], [0, 4, 5, 5]], np.float32)

    def pooled_sum(x_GxG):
        return adaptive_max_pool(x_GxG[None, :, :, None], 2).sum()

    gradient = jax.grad(pooled_sum)(jnp.asarray(x))
    expected = [[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]]
    assert gradient.tolist() == expected


def test_strided_bins_are_those_of_a_padded_pool_of_3():
    assert pooling.strided_bins(4) == ((0, 2), (1, 4))
    assert pooling.strided_bins(2) == ((0, 2),)


def test_conv3x3_is_a_padded_correlation():
    x = random(2, 4, 4, 3)
    conv = Conv3x3(5)
    params = conv.init(jax.random.key(0), x)
    kernel, bias = params["params"]["kernel"], params["params"]["bias"]
    expected = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    # 27 float32 products per value, of size about 1.
    np.testing.assert_allclose(conv.apply(params, x), expected + bias, atol=2e-6)


def test_conv3x3_by_hand():
    x = np.arange(1, 5, dtype=np.float32).reshape(1, 2, 2, 1)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1], kernel[0, 1], kernel[1, 2] = 1, 10, 100  # itself, the one above, the one right
    value = Conv3x3(1).apply({"params": {"kernel": kernel, "bias": np.array([0.5])}}, x)
    assert np.asarray(value)[0, :, :, 0].tolist() == [[201.5, 2.5], [413.5, 24.5]]

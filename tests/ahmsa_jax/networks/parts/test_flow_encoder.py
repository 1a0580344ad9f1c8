"""The flow's encoder against hand-worked values and a plain sum over taps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ahmsa_jax.networks.mfdan import ENCODERS, Convolution
from ahmsa_jax.networks.parts import flow_encoder


def test_local_response_norm_by_hand():
    x = jnp.asarray([[[[100.0, 0.0, -200.0, 0.0, 0.0, 50.0]]]])
    # Sums of squares over two neighbours on both sides, those outside being 0.
    total = np.array([5e4, 5e4, 5e4, 4.25e4, 4.25e4, 2.5e3])
    expected = np.array([100.0, 0, -200, 0, 0, 50]) / (2 + 1e-4 * total) ** 0.75
    np.testing.assert_allclose(flow_encoder.local_response_norm(x)[0, 0, 0], expected, rtol=1e-5)
    assert np.isfinite(jax.grad(lambda x: flow_encoder.local_response_norm(x).sum())(0 * x)).all()


def test_max_pool_by_hand():
    x = jnp.arange(25.0).reshape(1, 5, 5, 1)
    assert flow_encoder.max_pool(x, 3, 2)[0, ..., 0].tolist() == [[12, 14], [22, 24]]
    # The last row and column fill no window of two.
    assert flow_encoder.max_pool(-x, 2, 2)[0, ..., 0].tolist() == [[0, -2], [-10, -12]]


@pytest.mark.parametrize(("stride", "padding", "groups"), [(4, 0, 1), (1, 2, 2), (2, 1, 1)])
def test_a_convolution_is_the_sum_over_its_taps(stride, padding, groups):
    rng = np.random.default_rng(0)
    shape = Convolution(5, stride, padding, 4, groups, 2, 2)
    x = rng.normal(size=(2, 11, 11, 4)).astype(np.float32)
    module = flow_encoder._Convolution(shape, jnp.float32)
    params = {"kernel": rng.normal(size=(25 * 4 // groups, 4)), "bias": rng.normal(size=4)}
    params = {name: value.astype(np.float32) for name, value in params.items()}
    found = module.apply({"params": params}, x)
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    kernel = params["kernel"].reshape(5, 5, 4 // groups, 4)
    side = shape.sizes(11)[0]
    assert found.shape == (2, side, side, 4)
    for row in range(side):
        for column in range(side):
            top, left = row * stride, column * stride
            seen = padded[:, top : top + 5, left : left + 5]
            for filter_ in range(4):
                first = filter_ // (4 // groups) * (4 // groups)
                own = seen[..., first : first + 4 // groups]
                value = (own * kernel[..., filter_]).sum(axis=(1, 2, 3)) + params["bias"][filter_]
                np.testing.assert_allclose(found[:, row, column, filter_], value, atol=1e-4)


def test_the_grids_are_those_of_the_public_code():
    first, second = ENCODERS["sssn"]
    assert first.sizes(224) == (54, 26)
    assert second.sizes(26) == (26, 12)
    first, second = ENCODERS["small"]
    assert first.sizes(224) == (56, 28)
    assert second.sizes(28) == (14, 7)

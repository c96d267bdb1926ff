"""`HalveLike`, which pads levels of the pyramid, against plain NumPy."""

import numpy as np
import pytest

from eseg_keras.decoders.feature_pyramid import HalveLike


@pytest.mark.parametrize("below", [(7, 9), (7, 8), (6, 9), (6, 8)])
def test_missing_rows_and_columns_repeat_the_last(below):
    x = np.random.default_rng(0).normal(size=(2, below[0] // 2, below[1] // 2, 3))
    expected = np.pad(x, [(0, 0), (0, below[0] % 2), (0, below[1] % 2), (0, 0)], mode="edge")
    found = HalveLike()(x.astype("float32"), np.zeros((2, *below, 5), "float32"))
    np.testing.assert_array_equal(found, expected.astype("float32"))

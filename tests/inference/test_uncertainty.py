import math

import numpy as np
import pytest

from eseg_keras.inference import confidence, entropy, margin


def plain_entropy(row):
    return -sum(p * math.log(p) for p in row if p) / math.log(len(row))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(5, 0.3), size=40).astype("float32")
    rows[:3] = [[1, 0, 0, 0, 0], [0.2] * 5, [0.5, 0.5, 0, 0, 0]]
    return rows


def test_maps_against_plain_python(rows):
    for row, sure, spread, lead in zip(
        rows, confidence(rows), entropy(rows), margin(rows), strict=True
    ):
        first, second = sorted(map(float, row), reverse=True)[:2]
        assert float(sure) == pytest.approx(first)
        assert float(lead) == pytest.approx(first - second, abs=1e-6)
        assert float(spread) == pytest.approx(plain_entropy(map_to_floats(row)), abs=1e-5)


def map_to_floats(row):
    return [float(value) for value in row]


def test_ends_of_the_scale():
    sure, even = np.eye(4, dtype="float32")[2], np.full(4, 0.25, "float32")
    assert float(entropy(sure)) == 0 and float(entropy(even)) == pytest.approx(1)
    assert float(margin(sure)) == 1 and float(margin(even)) == 0
    one = np.ones((2, 2, 1), "float32")
    assert np.asarray(entropy(one)).tolist() == [[0, 0], [0, 0]]
    assert np.asarray(margin(one)).tolist() == [[1, 1], [1, 1]]

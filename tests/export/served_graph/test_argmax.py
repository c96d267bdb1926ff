"""`CellArgmax`, compared with NumPy code that upsamples all logits and takes the argmax."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseg_keras.export.served_graph.argmax import CellArgmax


def upsampled(cells, height, width):
    """Upsample bilinearly with half-pixel centres and repeated borders, in float64."""

    def along(x, axis, size):
        n = x.shape[axis]
        position = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, n - 1)
        shape = [1] * x.ndim
        shape[axis] = size
        share = (position - low).reshape(shape)
        return np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share

    return along(along(cells.astype("float64"), 1, height), 2, width)


def images(batch, height, width):
    return np.zeros((batch, height, width, 3), "uint8")


@settings(max_examples=60)
@given(
    cells=st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    stride=st.sampled_from([1, 2, 3, 4, 8]),
    levels=st.sampled_from([2, 3, 1000]),
    classes_first=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_labels_are_those_of_upsampled_logits(cells, stride, levels, classes_first, seed):
    # A small set of integers gives many ties, which are exact for strides that are powers of two.
    values = np.random.default_rng(seed).integers(-levels, levels, cells).astype("float32")
    height, width = cells[1] * stride, cells[2] * stride
    logits = upsampled(values, height, width)
    layer = CellArgmax(stride, classes_first=classes_first)
    labels = np.asarray(layer(values, images(cells[0], height, width)))
    assert labels.dtype == np.uint8 and labels.shape == logits.shape[:3]
    if stride == 3:
        lead = (
            logits.max(-1) - np.take_along_axis(logits, labels[..., None].astype(int), -1)[..., 0]
        )
        assert lead.max() < 1e-3 * levels
    else:
        np.testing.assert_array_equal(labels, logits.argmax(-1))


def test_a_class_that_is_nowhere_the_best_cell_wins_in_between():
    # Class 2 is second in both cells, but first half-way between them.
    cells = np.array([[[[4.0, 0, 3], [0, 4.0, 3]]]], "float32")
    labels = np.asarray(CellArgmax(4)(cells, images(1, 4, 8)))
    assert labels[0, 0].tolist() == [0, 0, 0, 2, 2, 1, 1, 1]


@pytest.mark.parametrize("size", [(13, 16), (16, 13), (15, 15), (9, 12)])
def test_sizes_that_the_stride_does_not_divide(size):
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(2, -(-size[0] // 8), -(-size[1] // 8), 5)).astype("float32")
    labels = np.asarray(CellArgmax(8)(cells, images(2, *size)))
    expected = upsampled(cells, *size).argmax(-1)
    assert (labels == expected).mean() > 0.995


@pytest.mark.parametrize("classes_first", [False, True])
@pytest.mark.parametrize("size", [(16, 24), (15, 24)])
def test_sizes_known_only_when_run(size, classes_first):
    tf = pytest.importorskip("tensorflow")
    layer = CellArgmax(8, classes_first=classes_first)
    specs = [tf.TensorSpec((None,) * 3 + (5,)), tf.TensorSpec((None,) * 3 + (3,), tf.uint8)]
    label = tf.function(lambda cells, images: layer(cells, images), input_signature=specs)
    cells = np.random.default_rng(1).normal(size=(2, 2, 3, 5)).astype("float32")
    expected = upsampled(cells, *size).argmax(-1)
    assert (label(cells, images(2, *size)).numpy() == expected).mean() > 0.995


def test_the_last_of_255_classes():
    cells = np.zeros((1, 2, 2, 255), "float32")
    cells[..., 254] = 1
    assert (np.asarray(CellArgmax(4)(cells, images(1, 8, 8))) == 254).all()


def test_without_a_shortcut():
    cells = np.random.default_rng(2).normal(size=(1, 3, 3, 4)).astype("float32")
    plain = np.asarray(CellArgmax(None)(cells, images(1, 24, 24)))
    np.testing.assert_array_equal(plain, np.asarray(CellArgmax(8)(cells, images(1, 24, 24))))

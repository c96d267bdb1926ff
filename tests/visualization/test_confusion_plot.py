import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from eseg_keras.visualization import plot_confusion_matrix
from eseg_keras.visualization.figures import png


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_rows_are_shares_of_their_sum(seed, num_classes):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 50, (num_classes, num_classes)) * rng.integers(0, 2, (num_classes, 1))
    shown = plot_confusion_matrix(matrix).axes[0].images[0].get_array()
    for row in range(num_classes):
        total = matrix[row].sum()
        if total == 0:
            assert np.ma.getmaskarray(shown)[row].all() or np.isnan(shown[row]).all()
        else:
            np.testing.assert_allclose(shown[row], 100 * matrix[row] / total)


def test_rows_are_labels_and_columns_predictions():
    figure = plot_confusion_matrix(np.array([[3, 1], [0, 4]]), ["road", "car"], title="Streets")
    axes = figure.axes[0]
    assert labels(axes.yaxis) == labels(axes.xaxis) == ["road", "car"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("labelled", "predicted")
    assert axes.get_title(loc="left") == "Streets"
    # The text at column 1, row 0 is the share of road that was predicted as car.
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {(0, 0): "75", (1, 0): "25", (0, 1): "", (1, 1): "100"}
    # The first row is on top.
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_counts_are_short_and_their_colours_logarithmic():
    matrix = np.array([[1_234_567, 12, 999_499], [9_960, 0, 999_500], [949, 1000, 99_500]])
    figure = plot_confusion_matrix(matrix, normalize=False)
    assert texts(figure) == ["1.2M", "12", "999k", "10k", "", "1.0M", "949", "1.0k", "100k"]
    norm = figure.axes[0].images[0].norm
    assert norm(1) == 0 and norm(1_234_567) == 1 and norm(1_234_567**0.5) == pytest.approx(0.5)


def test_pixels_without_a_prediction_have_a_column_if_there_are_any():
    without = plot_confusion_matrix(np.array([[3, 1, 0], [0, 4, 0]]))
    assert labels(without.axes[0].xaxis) == ["0", "1"]
    with_some = plot_confusion_matrix(np.array([[3, 0, 1], [0, 4, 0]]))
    assert labels(with_some.axes[0].xaxis) == ["0", "1", "no class"]
    assert texts(with_some)[2] == "25"


LONG = "{} a class of a long name, $x_1$ ^ or not_so {{"


@pytest.mark.parametrize(
    "num_classes, name", [(2, "{}"), (2, LONG), (8, "{}"), (8, LONG), (19, LONG), (150, LONG)]
)
def test_every_name_is_inside_the_figure_and_none_on_another(num_classes, name):
    names = [name.format(index) for index in range(num_classes)]
    figure = plot_confusion_matrix(np.eye(num_classes, dtype=int), names, title="A title " * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = png(figure)
    picture = Image.open(io.BytesIO(content))
    assert max(picture.size) < 5000
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        assert not any(label.get_parse_math() for label in axis.get_ticklabels())
        boxes = [label.get_window_extent(renderer) for label in axis.get_ticklabels()]
        for box in boxes:
            assert 0 <= box.x0 and box.x1 <= picture.width
            assert 0 <= box.y0 and box.y1 <= picture.height
        for box, following in zip(boxes, boxes[1:], strict=False):
            assert not box.overlaps(following)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title, figure.axes[1].yaxis.label):
        box = text.get_window_extent(renderer)
        assert 0 <= box.x0 and box.x1 <= picture.width and 0 <= box.y0
    # Nothing is drawn beyond the edges of the image.
    pixels = np.asarray(picture.convert("L"))
    assert min(pixels[0].min(), pixels[-1].min(), pixels[:, 0].min(), pixels[:, -1].min()) == 255
    assert len(axes.texts) == (num_classes**2 if num_classes <= 24 else 0)


@pytest.mark.parametrize(
    "matrix, names, message",
    [
        (np.zeros((2, 4)), None, r"\[2, 4\]"),
        (np.zeros((3, 2)), None, r"\[3, 2\]"),
        (np.zeros(4), None, r"\[4\]"),
        (np.zeros((0, 0)), None, r"\[0, 0\]"),
        (np.zeros((2, 2), int), ["road"], "1 names, 2 classes"),
    ],
)
def test_what_is_no_confusion_matrix(matrix, names, message):
    with pytest.raises(ValueError, match=message):
        plot_confusion_matrix(matrix, names)


def test_nothing_counted():
    for normalize in (True, False):
        assert png(plot_confusion_matrix(np.zeros((3, 3), int), normalize=normalize))

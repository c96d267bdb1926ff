import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from eseg_keras import ESeg
from eseg_keras.visualization import plot_level_weights
from eseg_keras.visualization.figures import png


def test_a_bar_a_level_from_the_finest_down():
    model = ESeg.from_preset("eseg_lite_s_streets")
    weights = model.level_weights()
    figure = plot_level_weights(weights, title="Streets")
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert [name.split()[0] for name in names] == list(weights)
    assert names[0] == "P3  (1/8)" and names[-1] == "P9  (1/512)"
    assert [bar.get_width() for bar in axes.patches] == list(weights.values())
    assert [text.get_text() for text in axes.texts] == [f"{w:.3f}" for w in weights.values()]
    # The first level is at the top, and the numbers are inside the figure.
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert png(figure)
    width = figure.get_window_extent().width
    renderer = FigureCanvasAgg(figure).get_renderer()
    assert all(text.get_window_extent(renderer).x1 < width for text in axes.texts)


def test_no_levels():
    with pytest.raises(ValueError, match="level_weights"):
        plot_level_weights({})

"""Figures in notebooks, and the error without matplotlib."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from eseg_keras import visualization
from eseg_keras.visualization.figures import NotebookFigure, png, width_of


def test_figures_show_themselves_and_pyplot_keeps_none():
    plots = (
        visualization.plot_confusion_matrix([[1]]),
        visualization.plot_learning_curves([{"epoch": 0}]),
        visualization.plot_level_weights({"P3": 1}),
    )
    for figure in plots:
        # Notebooks call this method to show an object.
        picture = Image.open(io.BytesIO(figure._repr_png_()))
        assert picture.size == tuple(round(100 * side) for side in figure.get_size_inches())
    assert pyplot.get_fignums() == []


def test_without_matplotlib_a_sentence_says_how_to_install_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from eseg_keras import visualization as v\n"
        "for name, value in (('plot_confusion_matrix', [[1]]), ('plot_level_weights', {'P3': 1}),\n"
        "                    ('plot_learning_curves', [{'epoch': 0}])):\n"
        "    try:\n"
        "        getattr(v, name)(value)\n"
        "    except ImportError as error:\n"
        "        assert 'pip install \"eseg-keras[visualization]\"' in str(error)\n"
        "        print(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert len(done.stdout.split()) == 3, done.stderr


def test_texts_are_measured_as_they_are_drawn():
    for text in ("road", "$a_1$ {x}", "W" * 30):
        figure = NotebookFigure(figsize=(8, 1), facecolor="white")
        figure.text(0, 0.5, text, fontsize=10, parse_math=False)
        pixels = np.asarray(Image.open(io.BytesIO(png(figure, dpi=200))).convert("L"))
        columns = np.nonzero((pixels < 128).any(0))[0]
        assert width_of(["i", text], 10) == pytest.approx((columns.max() + 1) / 200, rel=0.03)
    assert width_of([], 10) == width_of(["", " "], 10) == 0

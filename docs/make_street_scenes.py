"""Write docs/street_scenes.png: held-out street scenes, masks and predictions.

python docs/make_street_scenes.py
"""

import pathlib

import numpy as np
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.street_scenes import render_scene
from eseg_keras.visualization import add_legend, overlay

SCENES = (3, 8, 21)


def main():
    """Write the figure: one row per scene, with image, mask and prediction."""
    model = ESeg.from_preset("eseg_lite_s_streets")
    rows = []
    for index in SCENES:
        image, mask = render_scene(index, "test")
        annotated = overlay(image, mask, model.palette, alpha=0.8)
        predicted = overlay(image, model.segment(image), model.palette, alpha=0.8)
        columns = [image, annotated, predicted]
        rows.append(np.concatenate([np.asarray(column) for column in columns], axis=1))
    figure = add_legend(Image.fromarray(np.concatenate(rows)), model.class_names, model.palette)
    figure.save(pathlib.Path(__file__).with_name("street_scenes.png"), optimize=True)


if __name__ == "__main__":
    main()

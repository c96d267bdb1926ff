"""Write one example of each figure of eseg_keras.visualization to docs/.

python docs/make_visualizations.py

camvid_eseg_lite_s_log.csv is the log of the run that experiments/camvid/eseg_lite_s.py describes.
"""

import pathlib

import numpy as np

from eseg_keras import ESeg
from eseg_keras.metrics import SegmentationScores
from eseg_keras.street_scenes import render_scene
from eseg_keras.visualization import (
    add_legend,
    label_grid,
    label_image,
    overlay,
    plot_confusion_matrix,
    plot_learning_curves,
    plot_level_weights,
)

FOLDER = pathlib.Path(__file__).parent
SCENES = (3, 8, 21)
NUM_SCORED = 20


def main():
    """Write one figure of each kind."""
    model = ESeg.from_preset("eseg_lite_s_streets")
    scenes = [render_scene(index, "test") for index in range(max(*SCENES, NUM_SCORED) + 1)]
    predictions = [model.segment(image) for image, _ in scenes]

    image, mask = scenes[SCENES[0]]
    overlaid = overlay(image, predictions[SCENES[0]], model.palette, alpha=0.6)
    pil_images = {
        "overlay.png": overlaid,
        "legend.png": add_legend(overlaid, model.class_names, model.palette),
        "label_image.png": label_image(mask, model.palette),
    }
    pil_images["label_grid.png"] = label_grid(
        [scenes[index][0] for index in SCENES],
        [scenes[index][1] for index in SCENES],
        [predictions[index] for index in SCENES],
        names=[f"scene {index}" for index in SCENES],
        class_names=model.class_names,
        palette=model.palette,
        cell_size=192,
    )
    for name, pil_image in pil_images.items():
        pil_image.save(FOLDER / name, optimize=True)

    scores = SegmentationScores(model.num_classes, ignore_label=model.ignore_label)
    for (_, mask), prediction in zip(scenes[:NUM_SCORED], predictions, strict=False):
        scores.update_state(mask[None], prediction[None])
    title = f"eseg_lite_s_streets on {NUM_SCORED} held-out street scenes"
    figures = {
        "confusion_matrix.png": plot_confusion_matrix(
            np.asarray(scores.confusion_matrix()), model.class_names, title=title
        ),
        "learning_curves.png": plot_learning_curves(
            FOLDER / "camvid_eseg_lite_s_log.csv",
            title="eseg_lite_s on CamVid, from random weights",
        ),
        "level_weights.png": plot_level_weights(model.level_weights(), title="eseg_lite_s_streets"),
    }
    for name, figure in figures.items():
        figure.savefig(FOLDER / name, dpi=100)


if __name__ == "__main__":
    main()

"""A correct network can overfit parts of eight scenes."""

import itertools

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.street_scenes import render_scene


def busiest_part(image, mask, size=(64, 128)):
    """Return the part of an image with the most classes.

    In a scene that is resized instead, poles would be narrower than a pixel.
    """
    starts = (range(0, whole - part + 1, 32) for whole, part in zip(mask.shape, size, strict=True))
    windows = [
        np.s_[top : top + size[0], left : left + size[1]]
        for top, left in itertools.product(*starts)
    ]
    window = max(windows, key=lambda window: len(np.unique(mask[window])))
    return image[window], mask[window]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eseg_lite_s"])
def test_eight_street_scenes_are_learnt(name):
    keras.utils.set_random_seed(0)
    scenes = [busiest_part(*render_scene(index, image_size=(256, 512))) for index in range(8)]
    images, masks = (np.stack(arrays) for arrays in zip(*scenes, strict=True))
    assert set(np.unique(masks)) == {*range(8), 255}
    model = ESeg.from_preset(name, num_classes=8, load_weights=False)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 360, warmup_target=0.2, warmup_steps=40)
    model.compile(optimizer=keras.optimizers.SGD(schedule, momentum=0.9))
    # All 400 steps are in one epoch, because starting an epoch takes as long as a step.
    repeated = (np.concatenate([array] * 400) for array in (images, masks))
    model.fit(*repeated, batch_size=8, shuffle=False, verbose=0)
    scores = model.evaluate(images, masks, batch_size=8, verbose=0, return_dict=True)
    assert scores["mean_iou"] >= 0.95

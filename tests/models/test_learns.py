"""A correct network can overfit eight scenes."""

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.street_scenes import render_scene


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eseg_lite_s"])
def test_eight_street_scenes_are_learnt(name):
    keras.utils.set_random_seed(0)
    scenes = [render_scene(index, image_size=(256, 512)) for index in range(8)]
    images, masks = (np.stack(arrays) for arrays in zip(*scenes, strict=True))
    model = ESeg.from_preset(name, num_classes=8, load_weights=False)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 270, warmup_target=0.1, warmup_steps=30)
    model.compile(optimizer=keras.optimizers.SGD(schedule, momentum=0.9))
    model.fit(images, masks, batch_size=8, epochs=300, shuffle=False, verbose=0)
    scores = model.evaluate(images, masks, batch_size=8, verbose=0, return_dict=True)
    assert scores["mean_iou"] >= 0.95

"""A correct network can overfit two scenes."""

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.street_scenes import render_scene


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eseg_lite_s"])
def test_two_street_scenes_are_learnt(name):
    keras.utils.set_random_seed(0)
    scenes = [render_scene(index, image_size=(96, 192)) for index in range(2)]
    images, masks = (np.stack(arrays) for arrays in zip(*scenes, strict=True))
    model = ESeg.from_preset(name, num_classes=8, load_weights=False)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 65, warmup_target=0.1, warmup_steps=15)
    model.compile(optimizer=keras.optimizers.SGD(schedule, momentum=0.9))
    model.fit(images, masks, batch_size=2, epochs=80, shuffle=False, verbose=0)
    # After so few steps the moving statistics still remember the initial ones.
    model.update_batch_norm([images])
    scores = model.evaluate(images, masks, batch_size=2, verbose=0, return_dict=True)
    assert scores["mean_iou"] >= 0.75

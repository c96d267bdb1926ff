import logging

import numpy as np

from eseg_keras.street_scenes import calibration_scenes, render_scene, scene_images


def test_scenes_have_the_channels_of_the_network():
    (rgb,) = scene_images("test", 1, (32, 48))
    np.testing.assert_array_equal(rgb, render_scene(0, "test", (32, 48))[0])
    (five,) = scene_images("test", 1, (32, 48), channels=5)
    assert five.shape == (32, 48, 5) and five.dtype == np.uint8
    np.testing.assert_array_equal(five[..., :3], rgb)
    np.testing.assert_array_equal(five[..., 3:], rgb[..., :2])


def test_calibration_scenes_come_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING, "eseg_keras"):
        scenes = calibration_scenes((32, 48), 1)
    assert len(scenes) > 10
    assert {scene.shape for scene in scenes} == {(32, 48, 1)}
    assert "For better label maps, pass images of the network's task" in caplog.text

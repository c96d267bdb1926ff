import numpy as np
from PIL import Image

from eseg_keras.street_scenes import render_scene


def test_scenes_are_those_of_the_data_set(eseg, tmp_path):
    flags = ["--split", "test", "--num_examples", 2, "--image_size", 64, 96, "--seed", 3]
    status, _, _ = eseg("scenes", "--output", tmp_path, *flags)
    assert status == 0
    for index in range(2):
        image, mask = render_scene(index, "test", (64, 96), 3)
        name = f"test_{index:05d}.png"
        np.testing.assert_array_equal(Image.open(tmp_path / "images" / name), image)
        np.testing.assert_array_equal(Image.open(tmp_path / "annotations" / name), mask)


def test_nothing_is_written_for_a_bad_size(eseg, tmp_path):
    status, _, err = eseg("scenes", "--output", tmp_path / "new", "--image_size", 8, 8)
    assert (status, err.count("\n")) == (2, 1)
    assert not (tmp_path / "new").exists()

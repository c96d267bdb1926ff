import numpy as np
from PIL import Image

from eseg_keras import ESeg


def test_label_maps_are_those_of_the_model(eseg, preset, scenes, tmp_path):
    status, out, _ = eseg("predict", scenes / "images", "--preset", preset, "--output", tmp_path)
    assert status == 0 and "2 pictures" in out
    model = ESeg.from_preset(str(preset))
    for index in range(2):
        image = np.asarray(Image.open(scenes / "images" / f"{index}.png"))
        labels = Image.open(tmp_path / "labels" / f"{index}.png")
        assert labels.mode == "P"
        np.testing.assert_array_equal(labels, model.segment(image))
        overlay = Image.open(tmp_path / "overlays" / f"{index}.png")
        assert overlay.width == image.shape[1]


def test_mistakes_get_one_sentence_and_leave_nothing(eseg, preset, scenes, tmp_path):
    output = tmp_path / "out"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (1, 1)).save(tiny)
    (tmp_path / "empty").mkdir()
    image = scenes / "images" / "0.png"
    for arguments, message in [
        (["missing.png", "--preset", preset], "no file or folder missing.png"),
        ([tmp_path / "empty", "--preset", preset], "holds no pictures"),
        ([broken, "--preset", preset], "broken.png"),
        ([tiny, "--preset", preset], "from 32 up"),
        ([image, "--preset", preset, "--alpha", 2], "--alpha"),
        ([image, "--preset", "eseg_lite_z"], "Unknown preset 'eseg_lite_z'"),
        ([image, "--model_dir", tmp_path / "empty"], "holds no finished run"),
    ]:
        status, _, err = eseg("predict", *arguments, "--output", output)
        assert status == 2
        assert message in err and err.count("\n") == 1
        assert not output.exists()

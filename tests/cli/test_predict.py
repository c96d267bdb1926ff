import numpy as np
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.data.scenes import CLASS_NAMES, render_scene
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config


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


def test_a_run_is_used_at_the_size_it_was_trained_at(eseg, preset, tmp_path):
    write_config(tmp_path / "run", Experiment(class_names=CLASS_NAMES, long_side=64), tmp_path)
    (tmp_path / "run" / "preset").symlink_to(preset)
    image, _ = render_scene(0, "test", (96, 128))
    Image.fromarray(image).save(tmp_path / "0.png")
    model = ESeg.from_preset(str(preset))

    def written(*flags):
        status, _, err = eseg("predict", tmp_path / "0.png", *flags, "--output", tmp_path / "out")
        assert status == 0, err
        return np.asarray(Image.open(tmp_path / "out" / "labels" / "0.png"))

    def seen_at(size):
        seen = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
        labels = Image.fromarray(model.segment(np.asarray(seen)))
        return np.asarray(labels.resize((128, 96), Image.Resampling.NEAREST))

    run = written("--model_dir", tmp_path / "run")
    np.testing.assert_array_equal(run, seen_at((64, 48)))
    at_80 = written("--model_dir", tmp_path / "run", "--long_side", 80)
    np.testing.assert_array_equal(at_80, seen_at((80, 60)))
    whole = written("--preset", preset)
    np.testing.assert_array_equal(whole, model.segment(image))
    assert (run != whole).any() and (run != at_80).any()


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
        ([tmp_path / "empty", "--preset", preset], "empty: no image inside"),
        ([broken, "--preset", preset], "broken.png"),
        ([image, tiny, "--preset", preset], f"{tiny} (1x1)"),
        ([image, "--preset", preset, "--long_side", 20], "0.png (64x96, 13x20 at long_side=20)"),
        ([image, "--preset", preset, "--alpha", 2], "--alpha"),
        ([image, "--preset", "eseg_lite_z"], "Unknown preset 'eseg_lite_z'"),
        ([image, "--model_dir", tmp_path / "empty"], "holds no finished run"),
    ]:
        status, _, err = eseg("predict", *arguments, "--output", output)
        assert status == 2
        assert message in err and err.count("\n") == 1
        assert not output.exists()

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.inference import Predictor, read_frames, write_frames
from eseg_keras.street_scenes import CLASS_NAMES, render_scene
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config

# Few images of many sizes: tracing a graph for each size takes longer than eager execution.
pytestmark = pytest.mark.usefixtures("eagerly")


def test_label_maps_are_those_of_the_model(eseg, preset, scenes, tmp_path):
    command = ["predict", scenes / "images", "--preset", preset, "--output", tmp_path]
    status, out, _ = eseg(*command)
    assert (status, out) == (0, f"2 files predicted: {tmp_path}\n")
    model = ESeg.from_preset(str(preset))
    for index in range(2):
        image = np.asarray(Image.open(scenes / "images" / f"{index}.png"))
        labels = Image.open(tmp_path / "labels" / f"{index}.png")
        assert labels.mode == "P"
        np.testing.assert_array_equal(labels, model.segment(image))
        overlay = Image.open(tmp_path / "overlays" / f"{index}.png")
        assert overlay.width == image.shape[1] and overlay.height > image.shape[0]
    assert eseg(*command)[1] == f"0 files predicted, 2 existed already: {tmp_path}\n"
    assert eseg(*command, "--overwrite")[1] == f"2 files predicted: {tmp_path}\n"


def test_flags_reach_the_predictor_and_the_outputs(eseg, preset, scenes, tmp_path):
    status, _, err = eseg(
        *("predict", scenes, "--recursive", "--preset", preset, "--output", tmp_path),
        *("--alpha", 0.25, "--no-legend", "--maps", "confidence", "probabilities", "--tta"),
        *("--batch_size", 2, "--min_confidence", 0.2),
    )
    assert status == 0, err
    predictor = Predictor(
        ESeg.from_preset(str(preset)),
        scales=(0.5, 1, 2),
        flip=True,
        min_confidence=0.2,
        maps=["confidence", "probabilities"],
    )
    expected = predictor(scenes / "images" / "1.png")
    labels = Image.open(tmp_path / "labels" / "images" / "1.png")
    np.testing.assert_array_equal(labels, expected.label_map)
    overlay = Image.open(tmp_path / "overlays" / "images" / "1.png")
    np.testing.assert_array_equal(overlay, expected.overlay(0.25, legend=False))
    confidence = np.asarray(Image.open(tmp_path / "confidence" / "images" / "1.png"))
    np.testing.assert_allclose(confidence / 255, expected.confidence, atol=0.003)
    assert (tmp_path / "probabilities" / "annotations" / "0.npz").is_file()


def test_a_video_becomes_a_video(eseg, preset, tmp_path):
    clip = tmp_path / "clip.mp4"
    write_frames(clip, [render_scene(0, "test", (64, 96))[0]] * 3)
    status, out, err = eseg("predict", clip, "--preset", preset, "--output", tmp_path / "out")
    assert (status, out) == (0, f"1 file predicted: {tmp_path / 'out'}\n"), err
    assert len(list(read_frames(tmp_path / "out" / "videos" / "clip.mp4"))) == 3


def test_a_run_is_used_at_the_size_it_was_trained_at(eseg, preset, tmp_path):
    write_config(tmp_path / "run", Experiment(class_names=CLASS_NAMES, long_side=64), tmp_path)
    (tmp_path / "run" / "preset").symlink_to(preset)
    image, _ = render_scene(0, "test", (96, 128))
    Image.fromarray(image).save(tmp_path / "0.png")
    model = ESeg.from_preset(str(preset))

    def written(*flags):
        output = tmp_path / f"out{'_'.join(map(str, flags)).replace('/', '')}"
        status, _, err = eseg("predict", tmp_path / "0.png", *flags, "--output", output)
        assert status == 0, err
        return np.asarray(Image.open(output / "labels" / "0.png"))

    run = written("--model_dir", tmp_path / "run")
    np.testing.assert_array_equal(run, Predictor(model, long_side=64)(image).label_map)
    at_80 = written("--model_dir", tmp_path / "run", "--long_side", 80)
    np.testing.assert_array_equal(at_80, Predictor(model, long_side=80)(image).label_map)
    whole = written("--preset", preset)
    np.testing.assert_array_equal(whole, model.segment(image))
    assert (run != whole).any() and (run != at_80).any()


def test_broken_files_are_told_at_the_end(eseg, preset, scenes, tmp_path):
    broken, tiny = tmp_path / "broken.png", tmp_path / "tiny.png"
    broken.write_bytes((scenes / "images" / "1.png").read_bytes()[:2000])
    Image.new("RGB", (1, 1)).save(tiny)
    image = scenes / "images" / "0.png"
    output = tmp_path / "out"
    command = ["predict", broken, image, tiny, "--preset", preset, "--output", output]
    for counts in ("1 file predicted", "0 files predicted, 1 existed already"):
        status, out, err = eseg(*command)
        assert (status, out) == (2, f"{counts}: {output}\n")
        first, *lines = err.splitlines()
        assert first == "eseg predict: 2 of 3 files cannot be used:"
        assert [line.split(": ")[0] for line in lines] == [f"  {broken}", f"  {tiny}"]
    assert sorted(path.name for path in output.rglob("*.png")) == ["0.png", "0.png"]


def test_mistakes_get_one_sentence_and_leave_nothing(eseg, preset, scenes, tmp_path):
    output = tmp_path / "out"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (1, 1)).save(tiny)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    image = scenes / "images" / "0.png"
    for arguments, message in [
        (["missing.png", "--preset", preset], "no file or folder missing.png"),
        ([tmp_path / "empty", "--preset", preset], "empty: no image or video inside"),
        ([broken, "--preset", preset], "broken.png: cannot be read as an image"),
        ([tmp_path / "text.mp4", "--preset", preset], "text.mp4: cannot be read as a video"),
        ([tiny, "--preset", preset], f"{tiny}: is 1x1 pixels"),
        ([image, image, "--preset", preset], "same output names"),
        ([image, "--preset", preset, "--max_pixels", 100], "limit of 100"),
        ([image, "--preset", preset, "--long_side", 20], "at least 32"),
        ([image, "--preset", preset, "--alpha", 2], "--alpha"),
        ([image, "--preset", preset, "--batch_size", 0], "batch_size"),
        ([image, "--preset", preset, "--maps", "doubt"], "invalid choice: 'doubt'"),
        ([image, "--preset", "eseg_lite_z"], "Unknown preset 'eseg_lite_z'"),
        ([image, "--model_dir", tmp_path / "empty"], "contains no run of"),
    ]:
        status, out, err = eseg("predict", *arguments, "--output", output)
        assert (status, out) == (2, "")
        assert message in err and err.count("\n") == 1
        assert not output.exists()


def test_other_options_in_the_same_folder_are_refused(eseg, preset, scenes, tmp_path):
    command = ["predict", scenes / "images", "--preset", preset, "--output", tmp_path]
    assert eseg(*command)[0] == 0
    status, _, err = eseg(*command, "--flip")
    assert status == 2 and err.count("\n") == 1
    assert "flip (False there, True here). Choose another output folder, or set overwrite" in err
    assert eseg(*command, "--flip", "--overwrite")[0] == 0


@pytest.mark.slow
def test_a_terminal_shows_a_bar(preset_for_processes, scenes, tmp_path, terminal):
    command = [sys.executable, "-m", "eseg_keras.cli.main", "predict", scenes / "images"]
    command += ["--preset", preset_for_processes, "--output", tmp_path / "out"]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=terminal.follower,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"},
    )
    shown = terminal.end()
    assert done.returncode == 0
    assert done.stdout.decode() == f"2 files predicted: {tmp_path / 'out'}\n"
    assert "Predicting" in shown


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory as on Linux")
def test_a_photo_of_a_phone_needs_little_memory(tmp_path):
    model = ESeg.from_preset("eseg_edge_s", num_classes=19, load_weights=False)
    model.save_to_preset(tmp_path / "preset")
    photo = Image.linear_gradient("L").resize((4000, 3000)).convert("RGB")
    photo.save(tmp_path / "photo.jpg")
    peak = "re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1]"
    code = (
        f"import atexit, re; atexit.register(lambda: print({peak}))\n"
        "from eseg_keras.cli.main import main; main()"
    )
    command = ["predict", tmp_path / "photo.jpg", "--preset", tmp_path / "preset"]
    out = subprocess.check_output(
        [sys.executable, "-c", code, *map(str, [*command, "--output", tmp_path / "out"])], text=True
    )
    assert out.startswith("1 file predicted")
    assert 2**10 * int(out.split()[-1]) < 1.5e9
    with Image.open(tmp_path / "out" / "labels" / "photo.png") as labels:
        assert labels.size == photo.size

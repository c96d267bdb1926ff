import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from eseg_keras.files import DiskFullError, FileInUseError, locked
from eseg_keras.inference import (
    Predictor,
    predict_files,
    prediction_job,
    read_frames,
    write_frames,
)
from eseg_keras.inference.input_files import find_files
from eseg_keras.inference.prediction import Prediction
from eseg_keras.inference.video_writer import video_writer
from eseg_keras.inference.videos import video_info
from eseg_keras.visualization import default_palette, overlay


@pytest.fixture
def picture(noise):
    """Function (path, ...) that writes an image of noise."""

    def write(path, height=36, width=40, seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(height, width, seed)).save(path)
        return path

    return write


def contents(folder):
    """Return the contents of all files in a folder, by relative path."""
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# === Inputs ===


def test_files_and_folders(tmp_path, picture):
    folder = tmp_path / "folder"
    b, a = picture(folder / "b.png"), picture(folder / "a.JPG")
    (folder / "notes.txt").write_text("no picture")
    (folder / "._a.JPG").write_bytes(b"no picture")
    (folder / "folder.png").mkdir()
    (folder / "clip.MP4").touch()
    deep = picture(folder / "deep" / "er" / "b.webp")
    picture(folder / ".hidden" / "c.png")
    picture(folder / "out" / "overlays" / "b.png")
    single = picture(tmp_path / "single.photo.webp")
    found = find_files([single, folder])
    assert [file.path for file in found] == [single, a, b, folder / "clip.MP4"]
    assert [file.name for file in found] == ["single.photo", "a", "b", "clip"]
    assert [file.is_video for file in found] == [False, False, False, True]
    found = find_files([folder], recursive=True, exclude=folder / "out")
    assert [file.path for file in found] == [a, b, folder / "clip.MP4", deep]
    assert found[-1].name == "deep/er/b"


def test_what_cannot_be_predicted_is_named(tmp_path, picture):
    (tmp_path / "scans").mkdir()
    for recursive in (False, True):
        with pytest.raises(ValueError, match="scans: no image or video inside .*.jpg.*.mp4"):
            find_files([tmp_path / "scans"], recursive)
    (tmp_path / "scans" / "below").mkdir()
    with pytest.raises(ValueError, match="scans: no image .*search its subfolders.*--recursive"):
        find_files([tmp_path / "scans"])
    (tmp_path / "scans" / "one.gif").touch()
    for recursive in (False, True):
        message = "scans: no image or video inside .*; it contains .gif: convert"
        with pytest.raises(ValueError, match=message):
            find_files([tmp_path / "scans"], recursive)
    with pytest.raises(ValueError, match="no file or folder .*missing.png"):
        find_files([tmp_path / "missing.png"])
    with pytest.raises(ValueError, match="nothing to predict"):
        find_files([])
    lower, upper = picture(tmp_path / "scan.png"), picture(tmp_path / "SCAN.jpg")
    with pytest.raises(ValueError, match="same output names: .*scan.png, .*SCAN.jpg"):
        find_files([lower, upper])
    first, second = picture(tmp_path / "same.png"), picture(tmp_path / "same.jpg")
    with pytest.raises(ValueError, match="same output names: .*same.png, .*same.jpg"):
        find_files([first, second])
    (tmp_path / "same.mp4").touch()
    assert len(find_files([first, tmp_path / "same.mp4"])) == 2


# === Outputs ===


def test_every_output_of_a_picture(tmp_path, picture, pixelwise, noise):
    path = picture(tmp_path / "in" / "sub" / "photo.jpg")
    maps = ["confidence", "entropy", "margin", "probabilities"]
    predictor = Predictor(pixelwise, maps=maps, min_confidence=0.5)
    out = tmp_path / "out"
    files = predict_files(predictor, tmp_path / "in", out, alpha=0.25, recursive=True)
    assert (files.written, files.skipped, files.failed) == ((path,), (), {})
    expected = predictor(path)
    labels = Image.open(out / "labels" / "sub" / "photo.png")
    assert labels.mode == "P" and labels.getpalette()[:12] == [*np.ravel(default_palette(4))]
    np.testing.assert_array_equal(labels, expected.label_map)
    assert {255} < set(np.unique(labels))
    seen = np.asarray(Image.open(out / "overlays" / "sub" / "photo.png"))
    image = np.asarray(Image.open(path))
    colored = overlay(image, expected.label_map, default_palette(4), 0.25)
    np.testing.assert_array_equal(seen[:36], colored)
    assert seen.shape[0] > 36  # The legend.
    doubtful = expected.label_map == 255
    np.testing.assert_array_equal(seen[:36][doubtful], image[doubtful])
    for name in maps[:3]:
        grey = Image.open(out / name / "sub" / "photo.png")
        assert grey.mode == "L"
        difference = np.asarray(grey) / 255 - getattr(expected, name)
        assert np.abs(difference).max() <= 0.5 / 255 + 1e-6
    stored = np.load(out / "probabilities" / "sub" / "photo.npz")["probabilities"]
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored, expected.probabilities, atol=1e-3)
    folders = {"labels", "overlays", *maps}
    assert {path.split("/")[0] for path in contents(out)} == folders | {
        "predictions.json",
        "files.jsonl",
    }


def test_overlays_and_legends_can_be_left_out(tmp_path, picture, pixelwise):
    path = picture(tmp_path / "photo.png")
    predict_files(Predictor(pixelwise), path, tmp_path / "labels", overlay=False)
    assert not (tmp_path / "labels" / "overlays").exists()
    predict_files(Predictor(pixelwise), path, tmp_path / "plain", legend=False)
    assert Image.open(tmp_path / "plain" / "overlays" / "photo.png").size == (40, 36)
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        predict_files(Predictor(pixelwise), path, tmp_path / "alpha", alpha=2)
    assert not (tmp_path / "alpha").exists()


def test_progress_counts_pictures_and_frames(tmp_path, picture, pixelwise, noise):
    for index in range(3):
        picture(tmp_path / "in" / f"{index}.png")
    (tmp_path / "in" / "broken.png").touch()
    write_frames(tmp_path / "in" / "clip.mp4", [noise(48, 64, seed) for seed in range(15)])
    seen = []
    predict_files(
        Predictor(pixelwise),
        tmp_path / "in",
        tmp_path / "out",
        on_progress=lambda *counts: seen.append(counts),
    )
    assert [finished for finished, _ in seen] == sorted(finished for finished, _ in seen)
    assert seen[-1] == (19, 19) and set(seen) == {(n, 19) for n in range(1, 20)}


# === Broken files ===


def test_broken_files_do_not_stop_the_others(tmp_path, picture, pixelwise, noise):
    folder = tmp_path / "in"
    good = [picture(folder / name) for name in ("a.png", "z.png")]
    (folder / "cut.png").write_bytes(good[0].read_bytes()[:500])
    (folder / "text.jpg").write_text("no picture")
    picture(folder / "one.png", 1, 1)
    picture(folder / "large.png", 64, 64)
    write_frames(folder / "clip.mp4", [noise(48, 64)] * 3)
    (folder / "cut.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:-200])
    write_frames(folder / "small.mp4", [noise(16, 16)] * 3)
    predictor = Predictor(pixelwise, max_pixels=64 * 64 - 1)
    files = predict_files(predictor, folder, tmp_path / "out")
    assert list(files.written) == [good[0], folder / "clip.mp4", good[1]]
    expected = {
        "cut.mp4": "cannot be read as a video",
        "cut.png": "cannot be read as an image",
        "large.png": "4,096 pixels",
        "one.png": "is 1x1 pixels",
        "small.mp4": "is 16x16 pixels",
        "text.jpg": "cannot be read as an image",
    }
    assert [path.name for path in files.failed] == list(expected)
    for path, problem in files.failed.items():
        assert problem.startswith(f"{path}: ") and expected[path.name] in problem
        assert "image 0" not in problem
    written = {path for path in contents(tmp_path / "out") if "/" in path}
    assert written == {
        *(f"{kind}/{name}.png" for kind in ("labels", "overlays") for name in "az"),
        "videos/clip.mp4",
    }


def test_nothing_usable_leaves_nothing(tmp_path, picture, pixelwise, noise):
    folder = tmp_path / "in"
    picture(folder / "one.png", 1, 1)
    write_frames(folder / "small.mp4", [noise(16, 16)] * 3)
    (folder / "text.mp4").write_text("no video")
    files = predict_files(Predictor(pixelwise), folder, tmp_path / "out")
    assert len(files.failed) == 3 and not files.written
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="small.mp4: the only output of a video is its overlay"):
        predict_files(Predictor(pixelwise), folder, tmp_path / "out", overlay=False)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file"):
        predict_files(Predictor(pixelwise), folder, tmp_path / "file")


def test_an_output_without_memory_does_not_stop_the_others(
    tmp_path, picture, pixelwise, monkeypatch
):
    for name in "abc":
        picture(tmp_path / "in" / f"{name}.png")
    right = Prediction.overlay

    def overlay(self, *options):
        if self.name.endswith("b.png"):
            raise MemoryError
        return right(self, *options)

    monkeypatch.setattr(Prediction, "overlay", overlay)
    files = predict_files(Predictor(pixelwise), tmp_path / "in", tmp_path / "out")
    assert [path.name for path in files.written] == ["a.png", "c.png"]
    (problem,) = files.failed.values()
    assert "b.png: does not fit into memory" in problem
    assert sorted(path.name for path in (tmp_path / "out" / "overlays").iterdir()) == [
        "a.png",
        "c.png",
    ]


def test_a_second_process_is_refused(tmp_path, picture, pixelwise):
    picture(tmp_path / "a.png")
    predictor, out = Predictor(pixelwise), tmp_path / "out"
    with locked(out), pytest.raises(FileInUseError, match="out is in use by process"):
        predict_files(predictor, tmp_path / "a.png", out)
    assert not out.exists()
    assert predict_files(predictor, tmp_path / "a.png", out).written
    # If everything is finished, the folder is not locked and nothing is written.
    with locked(out):
        assert predict_files(predictor, tmp_path / "a.png", out).skipped
    assert not list(out.rglob(".eseg*"))


def test_outputs_of_the_lock_s_last_holder_are_kept(tmp_path, picture, pixelwise, monkeypatch):
    picture(tmp_path / "a.png")
    predictor, out = Predictor(pixelwise), tmp_path / "out"

    def locked_after_another(path):
        monkeypatch.setattr(prediction_job, "locked", locked)
        assert predict_files(predictor, tmp_path / "a.png", out).written
        return locked(path)

    monkeypatch.setattr(prediction_job, "locked", locked_after_another)
    files = predict_files(predictor, tmp_path / "a.png", out)
    assert (files.written, files.skipped) == ((), (tmp_path / "a.png",))


def test_a_full_disk_is_named_and_the_rest_resumes(tmp_path, picture, pixelwise, monkeypatch):
    for name in "ab":
        picture(tmp_path / "in" / f"{name}.png")
    predictor, out = Predictor(pixelwise), tmp_path / "out"
    right = Prediction.label_image

    def label_image(self):
        if self.name.endswith("b.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return right(self)

    monkeypatch.setattr(Prediction, "label_image", label_image)
    with pytest.raises(DiskFullError, match=r"labels/b.png cannot be written: the disk is full"):
        predict_files(predictor, tmp_path / "in", out)
    monkeypatch.undo()
    files = predict_files(predictor, tmp_path / "in", out)
    assert [path.name for path in files.skipped] == ["a.png"] and len(files.written) == 1


def test_a_declared_range_is_an_option_of_the_folder(tmp_path, pixelwise, noise):
    grey = noise(36, 40)[..., 0]
    Image.fromarray(grey / np.float32(255)).save(tmp_path / "a.tif")
    out = tmp_path / "out"
    assert predict_files(Predictor(pixelwise), tmp_path / "a.tif", out).failed
    assert predict_files(Predictor(pixelwise, image_range=(0, 1)), tmp_path / "a.tif", out).written
    expected = Predictor(pixelwise)(grey).label_map
    labels = np.asarray(Image.open(out / "labels" / "a.png"))
    assert (labels == expected).mean() > 0.99
    with pytest.raises(ValueError, match=r"image_range \(\[0.0, 1.0\] there, None here\)"):
        predict_files(Predictor(pixelwise), tmp_path / "a.tif", out)


# === Resuming ===


def test_finished_pictures_are_left_out(tmp_path, picture, pixelwise):
    paths = [picture(tmp_path / "in" / f"{index}.png", seed=index) for index in range(4)]
    out = tmp_path / "out"
    predict_files(Predictor(pixelwise), paths[:2], out)
    with (out / "files.jsonl").open("a") as log:
        log.write('{"name": "2", "vid')  # An incomplete line, as after a kill.
    files = predict_files(Predictor(pixelwise, batch_size=3), paths, out)
    assert files.skipped == tuple(paths[:2]) and files.written == tuple(paths[2:])
    assert predict_files(Predictor(pixelwise), paths, out).skipped == tuple(paths)
    # If an output of an image is missing, only this image is predicted again.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    (out / "labels" / "1.png").unlink()
    assert predict_files(Predictor(pixelwise), paths, out).written == (paths[1],)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    changed = {str(path.relative_to(out)) for path in after if after[path] != before[path]}
    assert changed == {"labels/1.png", "overlays/1.png"}
    files = predict_files(Predictor(pixelwise), paths, out, overwrite=True)
    assert files.written == tuple(paths)


def test_a_changed_picture_is_predicted_again_and_a_moved_one_is_not(tmp_path, picture, pixelwise):
    path = picture(tmp_path / "in" / "a.png")
    predictor, out = Predictor(pixelwise), tmp_path / "out"
    predict_files(predictor, path, out)
    moved = tmp_path / "elsewhere" / "a.png"
    moved.parent.mkdir()
    path.rename(moved)
    assert predict_files(predictor, moved, out).skipped == (moved,)
    with pytest.raises(
        ValueError, match="outputs of .* which has the same output name as .*third/a.png"
    ):
        predict_files(predictor, picture(tmp_path / "third" / "a.png", 40, 44), out)
    # Write another image, with an older modification time, to the path of the first image.
    picture(path, seed=2)
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns - 10**12))
    assert predict_files(predictor, path, out).written == (path,)
    labels = Image.open(out / "labels" / "a.png")
    np.testing.assert_array_equal(labels, predictor(path).label_map)


def test_other_settings_need_another_folder(tmp_path, picture, pixelwise, network):
    path = picture(tmp_path / "a.png")
    out = tmp_path / "out"
    predict_files(Predictor(pixelwise), path, out)
    before = contents(out)
    for predictor, options, message in [
        (Predictor(pixelwise), {"alpha": 0.25}, r"other options: alpha \(0.5 there, 0.25 here\)"),
        (Predictor(pixelwise, flip=True), {}, r"flip \(False there, True here\)"),
        (Predictor(pixelwise, maps=["margin"]), {}, "maps"),
        (Predictor(pixelwise, min_confidence=0.1), {}, "min_confidence"),
        (Predictor(pixelwise, scales=(1, 2)), {}, "scales"),
        (Predictor(network), {}, "of another model"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            predict_files(predictor, path, out, **options)
        assert "another output folder, or set overwrite" in str(caught.value)
        assert contents(out) == before
    predict_files(Predictor(pixelwise), path, out, alpha=0.25, overwrite=True)
    written = json.loads((out / "predictions.json").read_text())
    assert written["options"]["alpha"] == 0.25
    assert set(written) == {"model", "options", "versions"}
    (out / "predictions.json").write_text("{")
    with pytest.raises(ValueError, match="predictions.json is damaged"):
        predict_files(Predictor(pixelwise), path, out)


def test_two_models_of_one_network_differ_by_their_weights(tmp_path, picture, network):
    path = picture(tmp_path / "a.png")
    predict_files(Predictor(network), path, tmp_path / "out")
    variable = network.weights[0]
    kept = variable.numpy()
    try:
        variable.assign(kept * 1.01)
        with pytest.raises(ValueError, match="of another model"):
            predict_files(Predictor(network), path, tmp_path / "out")
    finally:
        variable.assign(kept)
    assert predict_files(Predictor(network), path, tmp_path / "out").skipped == (path,)


def test_files_of_another_origin_are_not_replaced(tmp_path, picture, pixelwise):
    # A folder of masks that belongs to the data set.
    path, mask = picture(tmp_path / "images" / "a.png"), picture(tmp_path / "labels" / "a.png")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="labels/a.png exists and is not an earlier prediction"):
        predict_files(Predictor(pixelwise), path, tmp_path)
    assert contents(tmp_path) == before
    predict_files(Predictor(pixelwise), path, tmp_path, overwrite=True)
    assert Image.open(mask).mode == "P"


# === Videos ===


def test_a_video_is_the_overlay_of_each_frame(tmp_path, pixelwise):
    # Uniform frames: at edges, chroma subsampling (4:2:0) would change the colours.
    colors = [(200 - 15 * n, 100 + 12 * n, 60) for n in range(9)]
    shown = [np.full((128, 192, 3), color, "uint8") for color in colors]
    clip = tmp_path / "clip.mp4"
    write_frames(clip, shown, rate=12)
    files = predict_files(Predictor(pixelwise), clip, tmp_path / "out", alpha=0.4)
    assert files.written == (clip,)
    target = tmp_path / "out" / "videos" / "clip.mp4"
    info = video_info(target)
    assert (info.num_frames, info.rate) == (9, 12)
    assert info.size[1] == 192 and info.size[0] > 128
    predictor = Predictor(pixelwise)
    for given, written in zip(read_frames(clip), read_frames(target), strict=True):
        expected = np.asarray(predictor(given).overlay(0.4, legend=False))
        assert np.abs(written[:120].astype(int) - expected[:120]).mean() < 3
        assert (written[128:] == 255).mean() > 0.1  # The legend below every frame.
    assert [path.name for path in target.parent.iterdir()] == ["clip.mp4"]
    assert predict_files(Predictor(pixelwise), clip, tmp_path / "out", alpha=0.4).skipped == (clip,)


def test_a_legend_does_not_outgrow_a_video(tmp_path, noise):
    images = keras.Input((None, None, 3))
    model = keras.Model(images, keras.layers.Conv2D(150, 1)(images))
    write_frames(tmp_path / "clip.mp4", [noise(64, 96)] * 2)
    predict_files(Predictor(model), tmp_path / "clip.mp4", tmp_path / "out")
    assert video_info(tmp_path / "out" / "videos" / "clip.mp4").size == (64, 96)


def test_a_video_damaged_inside_leaves_nothing(tmp_path, pixelwise, noise):
    clip = tmp_path / "clip.mp4"
    write_frames(clip, [noise(48, 64, seed) for seed in range(40)])
    content = bytearray(clip.read_bytes())
    # Overwrite the second half of the stream, including the size before each frame.
    start = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 2
    content[start:] = bytes(len(content) - start)
    clip.write_bytes(content)
    files = predict_files(Predictor(pixelwise), clip, tmp_path / "out")
    assert list(files.failed) == [clip] and "cannot be read as a video" in files.failed[clip]
    assert not list((tmp_path / "out").rglob("*clip*"))


# === Kills ===

JOB = """
import sys, time
import keras
from eseg_keras.inference import Predictor, predict_files

predictor = Predictor(keras.saving.load_model(sys.argv[1]), maps=["entropy"])
predict_files(predictor, *sys.argv[2:], on_progress=lambda *_: time.sleep(0.05))
"""


@pytest.fixture
def saved(tmp_path, network):
    """File of a model that this process and a child process load."""
    network.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def kill_when(found, *arguments):
    """Run the job in a child process and kill the process as soon as `found()` is true."""
    process = subprocess.Popen([sys.executable, "-c", JOB, *map(str, arguments)])
    try:
        end = time.monotonic() + 120
        while not found() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_pictures_after_a_kill_are_those_of_a_single_run(tmp_path, picture, saved):
    for index in range(60):
        picture(tmp_path / "in" / f"{index:02}.png", seed=index)
    out = tmp_path / "out"
    kill_when(lambda: len(list(out.glob("labels/*.png"))) > 5, saved, tmp_path / "in", out)
    predictor = Predictor(keras.saving.load_model(saved), maps=["entropy"])
    files = predict_files(predictor, tmp_path / "in", out)
    assert len(files.skipped) >= 2 and len(files.written) >= 2
    predict_files(predictor, tmp_path / "in", tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_video_after_a_kill_is_redone_from_its_start(tmp_path, saved, noise, monkeypatch):
    overlays = []

    @contextlib.contextmanager
    def recorder(path, info):
        """Record the frames: x264 can encode equal frames differently."""
        with video_writer(path, info) as write:
            yield lambda *frame: (overlays.append(frame), write(*frame))

    clip, out = tmp_path / "clip.mp4", tmp_path / "out"
    write_frames(clip, [noise(48, 64, seed) for seed in range(60)])
    kill_when(lambda: list(out.glob("videos/.eseg_tmp.*")), saved, clip, out)
    assert not (out / "videos" / "clip.mp4").exists()
    monkeypatch.setattr("eseg_keras.inference.video_writer.video_writer", recorder)
    predictor = Predictor(keras.saving.load_model(saved), maps=["entropy"])
    assert predict_files(predictor, clip, out).written == (clip,)
    assert list(contents(out / "videos")) == ["clip.mp4"]
    predict_files(predictor, clip, tmp_path / "whole")
    for resumed, whole in zip(overlays[:60], overlays[60:], strict=True):
        assert resumed[0] == whole[0]
        np.testing.assert_array_equal(resumed[1], whole[1])
    resumed, whole = (folder / "videos" / "clip.mp4" for folder in (out, tmp_path / "whole"))
    for pair in zip(read_frames(resumed), read_frames(whole), strict=True):
        assert np.abs(np.subtract(*pair, dtype=int)).mean() < 3
    assert video_info(resumed) == video_info(whole) and video_info(whole).num_frames == 60

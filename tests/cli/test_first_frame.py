"""Test `--first_frame` in the commands that read images."""

import json

import numpy as np
import pytest
from PIL import Image

from eseg_keras.cli import export
from eseg_keras.cli.flags import read_calibration
from eseg_keras.street_scenes import CLASS_NAMES
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config


@pytest.fixture
def pages(scenes, tmp_path):
    """Scenes as TIFF and masks as GIF; each has a second frame, upside down."""
    for kind, suffix in (("images", "tif"), ("annotations", "gif")):
        (tmp_path / kind).mkdir()
        for path in sorted((scenes / kind).iterdir()):
            first = Image.open(path)
            if kind == "annotations":
                first = Image.fromarray(np.asarray(first) % len(CLASS_NAMES), "P")
                first.putpalette(range(3 * 32))
            second = first.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
            target = tmp_path / kind / f"{path.stem}.{suffix}"
            first.save(target, save_all=True, append_images=[second])
    return tmp_path


def folders(pages):
    return ("--images", pages / "images", "--masks", pages / "annotations")


@pytest.mark.usefixtures("eagerly")
def test_predict_and_evaluate_read_the_first_frame_if_asked(eseg, preset, pages, tmp_path):
    command = ("predict", pages / "annotations", "--preset", preset, "--output", tmp_path / "out")
    status, _, err = eseg(*command)
    assert status == 2 and "first frame of .gif with first_frame=True (--first_frame)" in err
    assert eseg(*command, "--first_frame")[0] == 0
    for index in range(2):
        overlay = Image.open(tmp_path / "out" / "overlays" / f"{index}.png")
        assert overlay.width == 96 + 32 * index
    command = ("evaluate", "--preset", preset, *folders(pages), "--output", tmp_path / "a.json")
    assert eseg(*command, "--first_frame")[0] == 0
    assert json.loads((tmp_path / "a.json").read_text())["num_images"] == 2


def test_data_check_and_the_experiment_read_the_first_frame_if_asked(eseg, pages):
    command = ("data-check", *folders(pages), "--set", f"num_classes={len(CLASS_NAMES)}")
    status, _, err = eseg(*command)
    assert status == 2 and "(--first_frame)" in err
    status, out, _ = eseg(*command, "--first_frame")
    assert status == 0 and "2 images" in out and "Values in the masks" in out
    command = ("data-check", "--experiment", "smoke/street_scenes")
    assert "'first_frame' has no effect" in eseg(*command, "--first_frame")[2]


def test_calibration_reads_the_first_frame_if_asked_or_as_the_run(pages):
    import argparse

    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    run = pages / "run"
    write_config(run, Experiment(num_classes=2, first_frame=True), pages)
    (run / "preset").mkdir()
    flags = ["--format", "onnx", "--output", "a.onnx", "--precision", "int8"]
    flags += ["--calibration_images", str(pages / "annotations")]
    for more in (["--preset", "a", "--first_frame"], ["--model_dir", str(run)]):
        images = read_calibration(parser.parse_args(flags + more))["calibration_images"]
        assert [image.shape for image in images] == [(64, 96, 3), (64, 128, 3)]
    with pytest.raises(ValueError, match="--first_frame"):
        read_calibration(parser.parse_args([*flags, "--preset", "a"]))

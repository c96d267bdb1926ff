import importlib
import inspect
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import eseg_keras
from eseg_keras import ESeg
from eseg_keras.cli.export import FORMATS
from eseg_keras.export.tflite.exporter import read_tflite_classes
from eseg_keras.street_scenes import CLASS_NAMES, render_scene
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config

STREETS = ["--preset", "eseg_lite_s_streets"]

pytestmark = pytest.mark.usefixtures("module_eagerly")


@pytest.fixture(scope="module")
def clear(preset, tmp_path_factory):
    """Preset of an untrained network whose biases differ, so that labels are unambiguous."""
    model = ESeg.from_preset(str(preset))
    model.head.get_layer("classifier").bias.assign(np.arange(model.num_classes))
    directory = tmp_path_factory.mktemp("presets") / "clear"
    model.save_to_preset(directory)
    return directory


def test_tflite_of_a_run_with_photos_for_its_ranges(eseg, clear, tmp_path):
    write_config(tmp_path / "run", Experiment(data="street_scenes"), None)
    (tmp_path / "run" / "preset").symlink_to(clear)
    (tmp_path / "photos" / "val").mkdir(parents=True)
    for index in range(5):
        image, _ = render_scene(index, "validation", (64, 96))
        Image.fromarray(image).save(tmp_path / "photos" / "val" / f"{index}.png")
    output = tmp_path / "out" / "streets.tflite"
    command = [
        *("export", "--model_dir", tmp_path / "run", "--format", "tflite", "--output", output),
        *("--precision", "int8", "--image_size", 64, 96),
        *("--calibration_images", tmp_path / "photos"),
    ]
    status, out, err = eseg(*command)
    assert status == 0, err
    report = json.loads((tmp_path / "out" / "streets.tflite.verification.json").read_text())
    assert report["passed"] and report["sizes"] == [[64, 96]] * 2
    assert f"{report['label_agreement']:.3%}" in out and "ai-edge-litert" in out
    assert f"Written: {output}, {output.stat().st_size / 1e6:.1f} MB" in out
    assert read_tflite_classes(output)["class_names"] == list(CLASS_NAMES)

    # An existing file is kept without --overwrite.
    before = output.stat().st_mtime_ns
    status, _, err = eseg(*command)
    assert status == 2 and "--overwrite" in err and err.count("\n") == 1
    assert output.stat().st_mtime_ns == before
    status, _, err = eseg(*command, "--overwrite")
    assert status == 0, err
    assert output.stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("flags", "files"),
    [
        (
            ["--format", "saved_model", "--version", 3, "--max_pixels", 100_000],
            ["models.config", "net", "net.verification.json"],
        ),
        (["--format", "onnx", "--output_kind", "logits"], ["net", "net.verification.json"]),
        (["--format", "openvino"], ["net.bin", "net.xml", "net.xml.verification.json"]),
        (
            ["--format", "tensorrt", "--precision", "fp16", "--image_size", 64, 96],
            ["net", "net.trtexec.json", "net.verification.json"],
        ),
    ],
    ids=lambda value: value[1] if "--format" in value else "",
)
def test_other_formats(eseg, clear, tmp_path, flags, files, monkeypatch):
    monkeypatch.setattr("eseg_keras.export.tensorrt.exporter.installed_tensorrt", lambda: None)
    output = tmp_path / "new" / ("net.xml" if "openvino" in flags else "net")
    status, out, err = eseg("export", "--preset", clear, *flags, "--output", output)
    assert status == 0, err
    assert sorted(path.name for path in output.parent.iterdir()) == files
    report = json.loads((output.parent / f"{output.name}.verification.json").read_text())
    assert report["passed"] and report["runtime"] in out
    if "openvino" in flags:
        size = sum(output.with_suffix(end).stat().st_size for end in (".xml", ".bin"))
        assert f"net.xml, {size / 1e6:.1f} MB" in " ".join(out.split())
    assert f"{report['label_shortfall']:.2g} of the range" in out
    if "logits" in flags:
        assert f"{report['largest_difference']:.3g}" in out
    if "saved_model" in flags:
        assert [path.name for path in output.iterdir()] == ["3"]
        # The printed size is that of the new version, although it is not the highest.
        (output / "9").mkdir()
        flags[flags.index(3)] = 2
        _, again, _ = eseg("export", "--preset", clear, *flags, "--output", output)
        assert re.search(r"(\d\.\d) MB", again)[1] == re.search(r"(\d\.\d) MB", out)[1] != "0.0"


def test_a_network_that_does_not_pass_leaves_nothing(eseg, preset, tmp_path):
    model = ESeg.from_preset(str(preset))
    classifier = model.head.layers[-1]
    classifier.set_weights([np.zeros_like(values) for values in classifier.get_weights()])
    model.save_to_preset(tmp_path / "preset")
    flags = ["--preset", tmp_path / "preset", "--format", "tflite", "--image_size", 32, 48]
    status, _, err = eseg("export", *flags, "--output", tmp_path / "new" / "net.tflite")
    assert status == 2
    assert "eseg export: The outputs of the exported file differ" in err
    assert not (tmp_path / "new").exists()


def test_mistakes_get_one_sentence_before_anything_is_loaded(eseg, tmp_path):
    output = tmp_path / "net"
    (tmp_path / "empty").mkdir()
    for flags, message in [
        (["onnx", "--version", 2], "--version is for --format saved_model"),
        (["tflite", "--max_pixels", 2], "--max_pixels is for --format saved_model"),
        (["saved_model", "--precision", "int8"], "--precision is for --format tflite and onnx and"),
        (["saved_model", "--overwrite"], "--overwrite is for --format tflite"),
        (
            ["tensorrt", "--calibration_images", "x"],
            "--calibration_images is for --format tflite and onnx",
        ),
        (["onnx", "--precision", "float16"], "--precision of onnx must be one of float32, int8"),
        (["tensorrt", "--precision", "int8"], "--precision of tensorrt must be one of fp32, fp16"),
        (["tflite", "--calibration_images", "x"], "--calibration_images requires --precision int8"),
        (["tflite", "--image_size", 8, 64], "--image_size: must be at least 32"),
        (
            ["tflite", "--precision", "int8", "--input_dtype", "float32"],
            "needs input_dtype='uint8'",
        ),
        (["tflite", "--precision", "int8", "--calibration_images", "nowhere"], "no folder nowhere"),
        (
            ["onnx", "--precision", "int8", "--calibration_images", tmp_path / "empty"],
            "no image inside",
        ),
        (["docx"], "invalid choice: 'docx'"),
    ]:
        status, _, err = eseg("export", *STREETS, "--output", output, "--format", *flags)
        assert status == 2, flags
        assert message in err and err.count("\n") == 1
        assert not output.exists()
    (tmp_path / "file.engine").touch()
    for output, flags, message in [
        (tmp_path / "file.engine" / "net", ["onnx"], "file.engine is not a folder"),
        (tmp_path / "file.engine" / "new" / "net", ["saved_model"], "file.engine is not a folder"),
        (tmp_path / "file.onnx", ["tensorrt"], "file.engine exists"),
        (tmp_path / "net", ["openvino"], "--output of openvino must end in .xml"),
        (tmp_path / "net.bin", ["openvino"], "which is not a suffix of --format openvino"),
        (tmp_path / "net.xml", ["onnx"], "which is not a suffix of --format onnx"),
        (tmp_path / "new.engine", ["tensorrt"], "the engine beside it gets the suffix .engine"),
        (
            tmp_path / "new.tflite",
            ["onnx"],
            "ends in .tflite, which is not a suffix of --format onnx",
        ),
        (tmp_path / "new.ONNX", ["tflite"], "ends in .ONNX, which is not a suffix of --format tfl"),
        (tmp_path / "new.onnx", ["saved_model"], "which is not a suffix of --format saved_model"),
        (tmp_path / "new.keras", ["onnx"], "which is not a suffix of --format onnx"),
    ]:
        status, _, err = eseg("export", *STREETS, "--output", output, "--format", *flags)
        assert status == 2 and message in err and err.count("\n") == 1, err
    (tmp_path / "file.engine").unlink()
    status, _, err = eseg("export", *STREETS, "--format", "onnx", "--output", tmp_path / "empty")
    assert status == 2 and "is a directory" in err
    shutil.rmtree(tmp_path / "empty")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_public_exporter(name):
    format_ = FORMATS[name]
    module, _, function = format_.exporter.rpartition(".")
    exporter = getattr(importlib.import_module(module), function)
    assert getattr(eseg_keras.export, function) is exporter
    parameters = set(inspect.signature(exporter).parameters)
    common = {"model", "output_kind", "input_dtype", "image_size", "verification_images"}
    assert parameters >= common | set(format_.flags) - {"overwrite"}
    assert bool(format_.precisions) == ("precision" in format_.flags)

import json

import pytest
from PIL import Image

from eseg_keras.demo_page import browser_runtime
from eseg_keras.street_scenes import CLASS_NAMES, PALETTE
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import write_config


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """Folder of empty files that the checksum test accepts as onnxruntime-web."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in browser_runtime._SHA256:
        (folder / name).write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    monkeypatch.setattr(browser_runtime, "_SHA256", dict.fromkeys(browser_runtime._SHA256, empty))
    return folder


@pytest.mark.slow
def test_a_page_of_a_run(eseg, preset, runtime, tmp_path):
    write_config(tmp_path / "run", Experiment(class_names=CLASS_NAMES, long_side=320), tmp_path)
    (tmp_path / "run" / "preset").symlink_to(preset)
    Image.new("RGB", (64, 48)).save(tmp_path / "home.png")
    output = tmp_path / "page"
    command = ["demo-page", "--model_dir", tmp_path / "run", "--output", output]
    command += ["--runtime", runtime, "--title", "Our <roads>", "--examples", tmp_path / "home.png"]
    status, out, err = eseg(*command)
    assert status == 0, err
    assert f"python -m http.server --directory {output}" in out
    page = json.loads((output / "model" / "model.json").read_text("utf-8"))
    assert page["title"] == "Our <roads>"
    assert page["names"] == list(CLASS_NAMES)
    assert page["palette"] == [list(color) for color in PALETTE]
    assert [example["name"] for example in page["examples"]] == ["home"]
    assert page["sizes"] == [
        {"longSide": 320, "enlarge": True, "chosen": True},
        {"longSide": 512, "enlarge": False, "chosen": False},
        {"longSide": 1024, "enlarge": False, "chosen": False},
        {"longSide": None, "enlarge": False, "chosen": False},
    ]
    assert page["bytes"] == (output / "model" / "model.onnx").stat().st_size

    status, _, err = eseg(*command)
    assert status == 2 and err.startswith("eseg demo-page: ") and "--overwrite" in err
    (output / "index.html").write_text("changed")
    status, _, err = eseg(*command, "--overwrite", "--long_side", 1024)
    assert status == 0, err
    assert "<!DOCTYPE html>" in (output / "index.html").read_text("utf-8")
    page = json.loads((output / "model" / "model.json").read_text("utf-8"))
    assert [size["longSide"] for size in page["sizes"] if size["chosen"]] == [1024]
    names = {"run", "page", "runtime", "home.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_mistakes_are_one_sentence(eseg, preset, runtime, tmp_path):
    command = ["demo-page", "--preset", preset, "--output", tmp_path / "page"]
    for flags, sentence in (
        (["--runtime", tmp_path / "none.tgz"], "There is no file or folder"),
        (["--runtime", runtime, "--examples", tmp_path / "none.jpg"], "There is no file"),
        (["--runtime", runtime, "--long_side", 3], "long_side must be at least 32"),
        (["--calibration_images", tmp_path], "--calibration_images requires --precision int8"),
        (["--output", f"{__file__}/page"], "test_demo_page.py is not a folder"),
    ):
        status, _, err = eseg(*command, *flags)
        assert status == 2
        assert err.startswith("eseg demo-page: ") and sentence in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["runtime"]

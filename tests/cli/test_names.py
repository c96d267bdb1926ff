"""Names of classes and files are printed as text, never as markup or HTML, in any encoding."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from eseg_keras.street_scenes import render_scene

NAMES = ("[/]", "[red]car :smile: $x$", "<b>&\"'", "wörd\n\udcff", "=1+1,;", "a" * 300, "木", "x")
# The path of the second file contains "[/bold]", a closing tag of rich's markup.
FILES = (b"[bold].png", b"x[/bold].png", b"caf\xe9 <i>.png", b"a,b;c:smile:.png")


@pytest.fixture(scope="module")
def named(tmp_path_factory, small_eseg):
    """Preset whose class names contain markup, HTML and special characters."""
    directory = tmp_path_factory.mktemp("presets") / "named [red"
    model = small_eseg(num_classes=len(NAMES), class_names=NAMES)
    model.save_to_preset(directory)
    return directory


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders images/ and masks/ whose file names contain markup and special characters."""
    folder = tmp_path_factory.mktemp("data") / "[red]"
    for kind in ("images", "masks"):
        (folder / kind / "x[").mkdir(parents=True)
    for index, name in enumerate(map(os.fsdecode, FILES)):
        image, mask = render_scene(index, "train", (64, 96))
        Image.fromarray(image).save(folder / "images" / name)
        Image.fromarray(mask).save(folder / "masks" / name)
    return folder


@pytest.mark.filterwarnings("ignore:Glyph")
def test_evaluation(eseg, tmp_path, named, data):
    pytest.importorskip("matplotlib")
    for suffix in ("csv", "json"):
        status, out, err = eseg(
            "evaluate", "--preset", named, "--images", data / "images", "--masks", data / "masks",
            "--output", tmp_path / f"scores.{suffix}", "--report", tmp_path / "report",
        )  # fmt: skip
        assert status == 0, err
    for name in (
        "[/]",
        "[red]car :smile: $x$",
        "<b>&\"'",
        "=1+1,;",
        "木",
        "[bold].png",
        "x[/bold].png",
    ):
        assert name in out
    assert set(json.loads((tmp_path / "scores.json").read_text())["per_class_iou"]) == set(NAMES)
    with open(tmp_path / "scores.csv", encoding="utf-8", newline="") as file:
        found = [row["class"] for row in csv.DictReader(file)]
    assert found == [name.replace("\udcff", "\\udcff") for name in NAMES]
    with open(tmp_path / "report" / "images.csv", encoding="utf-8", newline="") as file:
        assert any("caf\\udce9 <i>.png" in row["name"] for row in csv.DictReader(file))
    page = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert "<b>" not in page and "<i>." not in page
    assert "&lt;b&gt;&amp;&quot;&#x27;" in page and "caf\\udce9 &lt;i&gt;.png" in page


def test_prediction(eseg, tmp_path, named, data):
    (tmp_path / os.fsdecode(b"\xff[i].png")).write_text("no image")
    command = ("predict", data / "images", tmp_path / os.fsdecode(b"\xff[i].png"), "--recursive")
    options = ("--preset", named, "--output", tmp_path / "out")
    for count in (4, 0):
        status, out, err = eseg(*command, *options)
        assert status == 2 and "\\udcff[i].png: cannot be read" in err
        assert ("4 files predicted" in out) == bool(count)
    labels = tmp_path / "out" / "labels"
    written = {os.fsencode(path.relative_to(labels)) for path in labels.rglob("*.png")}
    assert written == set(FILES)


def test_data_check(eseg, tmp_path, data):
    names = ",".join(name.replace(",", "") for name in NAMES)
    folders = ("--images", data / "images", "--masks", data / "masks", "--set")
    status, out, err = eseg(
        "data-check", *folders, f"class_names={names}", "--output", tmp_path / "check"
    )
    assert status == 0, err
    assert "[/]" in out and "[red]car :smile: $x$" in out
    assert (tmp_path / "check" / "contact_sheet.png").is_file()
    # Problems are printed with the file names.
    status, out, err = eseg("data-check", *folders, "num_classes=2", "--output", tmp_path / "two")
    assert status == 2 and "[bold].png" in out + err
    assert "x[/bold].png" in (tmp_path / "two" / "summary.json").read_text()


def test_summary(eseg, named):
    status, out, _ = eseg("summary", named, "--image_size", 64, 96)
    assert status == 0 and "named [red" in out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_any_encoding_of_the_terminal(tmp_path, encoding):
    name = os.fsdecode(b"caf\xe9 \xe6\x9c\xa8")
    done = subprocess.run(
        [sys.executable, "-m", "eseg_keras.cli.main", "train", "--experiment", name, "--model_dir",
         tmp_path / "run"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert b"There is no experiment 'caf\\udce9" in done.stderr


def test_legends(named):
    from eseg_keras import ESeg
    from eseg_keras.inference import Predictor

    image = np.zeros((64, 96, 3), np.uint8)
    assert Predictor(ESeg.from_preset(named))(image).overlay().width == 96

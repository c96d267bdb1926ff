"""README, docs and site: links, commands, code, and a complete reference of the API."""

import ast
import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eseg_keras
from eseg_keras.cli import main
from eseg_keras.training import Experiment, override

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
SCRIPTS = sorted(path for path in ROOT.glob("colab/*.py") if path.stem != "execute")

spec = importlib.util.spec_from_file_location("code_blocks", ROOT / "tests" / "code_blocks.py")
code_blocks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(code_blocks)

# In place of what would take long, or needs files of megabytes: the blocks themselves are as shown.
SMALLER = {
    '"eseg_s"': '"small"',
    '"eseg_lite_s_streets", num_classes': '"small", num_classes',
    "epochs=20": "epochs=1",
    "(512, 512)": "(32, 32)",
    "gradient_accumulation_steps=2": "gradient_accumulation_steps=1",
    '["images/", "drive.mp4"]': '["images/train"]',
}


def identifier(path):
    return path.relative_to(ROOT).as_posix()


def public_names():
    """Every public name, such as `eseg_keras.data.load`, by the module that offers it."""
    for module_name in eseg_keras.__all__:
        module = getattr(eseg_keras, module_name)
        if inspect.ismodule(module):
            names = getattr(module, "__all__", None) or [
                name
                for name, value in vars(module).items()
                if not name.startswith("_") and not inspect.ismodule(value)
            ]
            yield module_name, set(names)


@pytest.mark.parametrize(("module", "names"), list(public_names()))
def test_the_reference_has_every_public_name(module, names):
    page = (ROOT / "docs" / "api" / f"{module}.md").read_text("utf-8")
    assert set(re.findall(rf"^::: eseg_keras\.{module}\.(\w+)$", page, re.M)) == names


def test_every_trained_preset_has_its_card():
    page = (ROOT / "docs" / "model_cards.md").read_text("utf-8")
    cards = sorted(ROOT.glob("eseg_keras/presets/*/README.md"))
    assert cards and all(f'--8<-- "{identifier(card)}"' in page for card in cards)


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", path.read_text("utf-8"), re.M)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading)) for heading in headings)
    return {heading.strip().lower().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = page if not name else page.parent / name
        assert path.exists(), target
        # Those of the reference are made of its objects; the site's build checks them.
        if anchor and "docs/api" not in path.resolve().as_posix():
            assert anchor in anchors(path), target


@pytest.mark.parametrize("page", [*PAGES, *SCRIPTS], ids=identifier)
def test_commands_are_parsed(page):
    for arguments in code_blocks.commands(page.read_text("utf-8")):
        # Placeholders of notebooks, and of the table of formats.
        values = {"FORMAT": "onnx", "{FORMAT}": "labelme", "{MINUTES}": "3"}
        values |= {"{IMAGE_SIZE[0]}": "64", "{IMAGE_SIZE[1]}": "64"}
        main._parse(["eseg", *(values.get(argument, argument) for argument in arguments)])


def test_commands_are_found():
    """Every command is shown on a page; without this, the tests of commands could test none."""
    found = {
        arguments[0]
        for page in PAGES
        for arguments in code_blocks.commands(page.read_text("utf-8"))
    }
    assert found >= set(main.COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_settings_are_parsed(page):
    text = page.read_text("utf-8")
    for assignment in re.findall(r"--set (\w+=[^\s`)]*[^\s`),.])", text):
        if not assignment.endswith(("=FILE", "=PRESET")):
            override(Experiment(), [assignment])


def test_there_are_commands_and_blocks():
    texts = [page.read_text("utf-8") for page in PAGES]
    assert sum(len(code_blocks.commands(text)) for text in texts) > 40
    assert sum(len(code_blocks.executable_blocks(text)) for text in texts) > 8
    assert code_blocks.commands("    eseg a \\\n        --b 'c d'  # e\n") == [["a", "--b", "c d"]]


def test_every_extra_that_a_page_installs_exists():
    offered = re.findall(r'^    "([\w-]+)": ', (ROOT / "setup.py").read_text("utf-8"), re.M)
    asked = set()
    for page in [*PAGES, *SCRIPTS]:
        for names in re.findall(r"eseg-keras\[([\w,-]+)\]", page.read_text("utf-8")):
            asked |= set(names.split(","))
    assert asked and asked <= {*offered, "all"}


def test_the_errors_of_the_troubleshooting_page_exist():
    """Numbers aside, every quoted message is in a text of the package."""
    texts = [
        node.value
        for path in (ROOT / "eseg_keras").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    page = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text("utf-8")
    quoted = re.findall(r'\*\*"(.+?)"\*\*', page)
    assert len(quoted) > 8
    for message in quoted:
        for part in re.split(r"\d+|\bnan\b", message):
            assert any(part.strip(" ,") in text for text in texts), message


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_eseg, module_eagerly):
    """What the blocks of the pages read: images with masks, a small preset, exported files."""
    from eseg_keras.export import export_onnx, export_tflite
    from eseg_keras.street_scenes import render_scene

    folder = tmp_path_factory.mktemp("docs")
    for index in range(2):
        for kind in ("images", "annotations"):
            (folder / kind / "train").mkdir(parents=True, exist_ok=True)
        image, mask = render_scene(index, "test", (32, 64))
        Image.fromarray(image).save(folder / "images" / "train" / f"{index}.png")
        Image.fromarray(np.asarray(mask)).save(folder / "annotations" / "train" / f"{index}.png")
    (folder / "photos").mkdir()
    for index in range(2):
        Image.fromarray(image).save(folder / "photos" / f"{index}.jpg")
        shape = {"label": "cat", "shape_type": "rectangle", "points": [[8, 8], [20, 20]]}
        one = {"imagePath": f"{index}.jpg", "imageHeight": 32, "imageWidth": 64, "shapes": [shape]}
        (folder / "photos" / f"{index}.json").write_text(json.dumps(one))
    model = small_eseg(num_classes=8)
    model.save_to_preset(folder / "small")
    images = [render_scene(0, "test", (192, 384))[0]]
    export_onnx(model, folder / "streets.onnx", verification_images=images)
    export_tflite(
        model, folder / "streets.tflite", verification_images=images, image_size=(192, 384)
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if code_blocks.executable_blocks(page.read_text("utf-8"))],
    ids=identifier,
)
def test_blocks_run(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    # Two steps of a small network: tracing them would take longer.
    monkeypatch.setattr("keras.Model.run_eagerly", True)
    code = "\n".join(code_blocks.executable_blocks(page.read_text("utf-8")))
    for shown, smaller in SMALLER.items():
        code = code.replace(shown, smaller)
    exec(compile(code, str(page), "exec"), {"__name__": "blocks"})


@pytest.mark.slow
def test_the_site_has_every_public_name(tmp_path):
    """The build itself fails on links to pages and anchors that do not exist."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for module, names in public_names():
        html = (tmp_path / "api" / f"{module}.html").read_text("utf-8")
        assert {name for name in names if f'id="eseg_keras.{module}.{name}"' not in html} == set()

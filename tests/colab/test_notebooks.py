"""The notebooks run from top to bottom, and match their scripts."""

import importlib.util
import re
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest

from eseg_keras.street_scenes import CLASS_NAMES, PALETTE

COLAB = Path(__file__).parents[2] / "colab"

spec = importlib.util.spec_from_file_location("execute", COLAB / "execute.py")
execute = importlib.util.module_from_spec(spec)
spec.loader.exec_module(execute)

# Parameters that make each notebook fast.
TINY = {
    "quickstart": "IMAGE_SIZE = (64, 128)",
    "finetune_your_folder": "MINUTES, NUM_EXAMPLES, IMAGE_SIZE, PRESET = 0.1, 5, (96, 96), 'small'",
    "export_and_serve": "IMAGE_SIZE, PRESET = (64, 128), 'small'",
    "reproduce_paper": "PRESETS, EPOCHS = ('eseg_lite_s',), 1\n"
    "TRAIN_EXAMPLES, IMAGE_SIZE = 4, (64, 128)",
}


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def test_every_script_is_a_notebook():
    scripts = {path.stem for path in COLAB.glob("*.py")} - {"execute"}
    assert scripts == set(execute.NAMES) == set(TINY)
    assert {path.stem for path in COLAB.glob("*.ipynb")} == scripts


@pytest.mark.parametrize("name", TINY)
def test_a_notebook_is_its_script_with_outputs(name):
    notebook = nbformat.read(COLAB / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    script = execute.read_notebook(name)
    cells, wanted = (
        [(cell.cell_type, cell.source, cell.metadata.get("tags")) for cell in book.cells]
        for book in (notebook, script)
    )
    assert cells == wanted, f"python colab/execute.py {name}"
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert "pip" in notebook.cells[1].source  # The first code cell installs the package.
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in notebook.cells) == 1
    # Outputs contain no paths of the machine that ran the notebook.
    text = "".join(output.get("text", "") for output in outputs(notebook))
    assert not re.search(r"(?<![\w.])/\w+/", text)


@pytest.mark.parametrize("name", TINY)
def test_the_first_cell_installs_from_the_repository(name, tmp_path, monkeypatch):
    """The package is on no index: pip gets the checkout, or the ZIP file uploaded to Colab."""
    installed = []
    cell = next(cell for cell in execute.read_notebook(name).cells if cell.cell_type == "code")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", lambda command, check: installed.append(command[-1]))
    monkeypatch.chdir(COLAB)
    exec(cell.source, {})
    monkeypatch.chdir(tmp_path)
    Path("eseg_keras.zip").touch()
    exec(cell.source, {})
    (checkout, extras), (archive, _) = (re.match(r"(.+)\[(.+)\]$", p).groups() for p in installed)
    assert (COLAB / checkout / "setup.py").is_file() and archive == "eseg_keras.zip"
    offered = re.findall(r'^    "([\w-]+)": ', (COLAB.parent / "setup.py").read_text("utf-8"), re.M)
    assert set(extras.split(",")) <= set(offered)


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_notebook_runs(name, tmp_path, small_eseg):
    classes = {"num_classes": 8, "class_names": CLASS_NAMES, "palette": PALETTE}
    model = small_eseg(encoder="fused_efficientnet_s", **classes)
    # Make one class clearly the most likely: exported files are compared at pixels with a clear
    # label.
    model.head.get_layer("classifier").bias.assign(np.arange(8))
    model.save_to_preset(tmp_path / "small")
    notebook = execute.execute(name, tmp_path, TINY[name])
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))

"""The wheel, installed and used outside the checkout."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IGNORED = shutil.ignore_patterns(
    ".git", ".venv*", ".node", "runs", "build", "dist", "*.egg-info", "__pycache__", ".*_cache"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the wheel in a new environment.

    Returns the folder of scripts, an empty working folder, and site-packages.
    """
    folder = tmp_path_factory.mktemp("wheel")
    # Build in a copy, because a build leaves files behind in the source folder.
    shutil.copytree(ROOT, folder / "source", ignore=IGNORED)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    subprocess.run([*build, folder / "source"], check=True)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(folder / "source")

    # A .pth file adds the dependencies of this environment, without the editable install of the
    # checkout.
    venv.create(folder / "env", with_pip=False)
    scripts = folder / "env" / "bin"
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = [sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--no-deps"]
    subprocess.run([*pip, "--no-index", "--ignore-installed", wheel], check=True)
    (folder / "work").mkdir()
    return scripts, folder / "work", site


def call(installed, name, *arguments):
    scripts, work, _ = installed
    command = [scripts / name, *map(str, arguments)]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_everything(installed):
    site = installed[2]
    where = call(installed, "python", "-c", "import eseg_keras; print(eseg_keras.__file__)")
    assert Path(where.strip()).parent == site / "eseg_keras"
    names = call(
        installed, "python", "-c",
        "from eseg_keras.training import experiment_names; print(*experiment_names())",
    )  # fmt: skip
    paths = (ROOT / "experiments").glob("*/*.py")
    assert names.split() == sorted(f"{path.parent.name}/{path.stem}" for path in paths)
    assert (site / "eseg_keras" / "py.typed").is_file()
    for path in (ROOT / "eseg_keras").rglob("*"):
        if path.suffix in (".py", ".json", ".h5", ".md"):
            assert (site / path.relative_to(ROOT)).is_file(), path
    assert not (site / "tests").exists() and not (site / "experiments").exists()


@pytest.mark.slow
def test_the_commands_work_outside_the_checkout(installed):
    work = installed[1]
    assert "eseg_lite_s" in call(installed, "eseg", "presets")
    assert "receptive field" in call(installed, "eseg", "summary", "eseg_lite_s")
    tiny = ["epochs=1", "train_examples=4", "val_examples=2", "batch_size=2", "image_size=64,96"]
    flags = [flag for value in [*tiny, "warmup_steps=0"] for flag in ("--set", value)]
    call(
        installed, "eseg", "train", "--experiment", "smoke/street_scenes",
        "--model_dir", "run", *flags,
    )  # fmt: skip
    call(installed, "eseg", "evaluate", "--model_dir", "run", "--output", "scores.json")
    scores = json.loads((work / "scores.json").read_text())
    metrics = json.loads((work / "run" / "metrics.json").read_text())
    assert scores["mean_iou"] == pytest.approx(metrics["mean_iou"], rel=1e-5)
    call(installed, "eseg", "scenes", "--output", "held", "--num_examples", 2)
    call(installed, "eseg", "predict", "held/images", "--model_dir", "run", "--output", "out")
    assert len(list((work / "out" / "overlays").iterdir())) == 2

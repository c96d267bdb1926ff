import keras
import numpy as np
import pytest
from PIL import Image

from eseg_keras.cli import main
from eseg_keras.street_scenes import CLASS_NAMES, PALETTE, render_scene


@pytest.fixture
def eseg(capsys):
    """Run the command line in this process; return exit status, standard output, standard error."""

    def run(*arguments):
        capsys.readouterr()
        main._escape_names()
        try:
            status = main._run(main._parse(["eseg", *map(str, arguments)]))
        except SystemExit as exit_:
            status = exit_.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def save_untrained(tmp_path_factory, small_eseg):
    """Save a small untrained network with the classes of the street scenes as a preset."""

    def save(**arguments):
        directory = tmp_path_factory.mktemp("presets") / "untrained"
        # With some seeds, an untrained network predicts one class everywhere.
        keras.utils.set_random_seed(0)
        classes = {"num_classes": len(CLASS_NAMES), "class_names": CLASS_NAMES, "palette": PALETTE}
        small_eseg(**classes, **arguments).save_to_preset(directory)
        return directory

    return save


@pytest.fixture(scope="session")
def preset(save_untrained):
    """Preset directory of a small untrained network, for commands that run in this process."""
    return save_untrained()


@pytest.fixture(scope="session")
def preset_for_processes(save_untrained):
    """Preset directory of a network for commands in separate processes."""
    return save_untrained(encoder="fused_efficientnet_s")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Folder of two street scenes, with images/ and annotations/."""
    directory = tmp_path_factory.mktemp("scenes")
    for name in ("images", "annotations"):
        (directory / name).mkdir()
    for index in range(2):
        image, mask = render_scene(index, "test", (64, 96 + 32 * index))
        Image.fromarray(image).save(directory / "images" / f"{index}.png")
        Image.fromarray(np.asarray(mask)).save(directory / "annotations" / f"{index}.png")
    return directory

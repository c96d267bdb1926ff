import keras
import numpy as np
import pytest
from PIL import Image

from eseg_keras import ESeg
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
def preset(tmp_path_factory):
    """Preset directory of a small untrained network with the classes of the street scenes."""
    directory = tmp_path_factory.mktemp("presets") / "untrained"
    # With some seeds, an untrained network predicts one class everywhere.
    keras.utils.set_random_seed(0)
    model = ESeg(
        "fused_efficientnet_s",
        num_classes=len(CLASS_NAMES),
        min_level=3,
        max_level=5,
        decoder_channels=8,
        decoder_repeats=1,
        class_names=CLASS_NAMES,
        palette=PALETTE,
    )
    model.save_to_preset(directory)
    return directory


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

"""Effects of importing the package, tested in separate processes."""

import pathlib
import subprocess
import sys

import keras
import pytest

GOLDEN = pathlib.Path(__file__).parent / "golden"


# A layer of this package as a saved model stores it.
LAYER = {
    "module": "eseg_keras.layers",
    "class_name": "Resize",
    "registered_name": "eseg_keras>Resize",
    "config": {"name": "resized"},
}


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize(
    "imports",
    [
        "import eseg_keras, keras",
        "import keras, eseg_keras",
        # A module of this package imports Keras first.
        "from eseg_keras.layers import Resize; import keras",
    ],
)
def test_a_saved_model_loads_in_a_fresh_process(imports):
    path = str(GOLDEN / "tiny_eseg.keras")
    code = f"{imports}; print(keras.models.load_model({path!r}).num_classes)"
    assert run(code) == "3"


def test_every_class_is_found_by_name_in_a_fresh_process():
    names = [name for name in keras.saving.get_custom_objects() if name.startswith("eseg_keras>")]
    assert len(names) >= 20
    code = (
        "import eseg_keras, keras, sys\n"
        f"print(keras.saving.deserialize_keras_object({LAYER}).name)\n"
        f"print(all(keras.saving.get_registered_object(name) for name in {names}))\n"
    )
    assert run(code) == "resized\nTrue"


def test_importing_the_package_imports_no_keras_and_each_lazy_part_is_there():
    parts = (
        "data.from_folders",
        "evaluation.evaluate",
        "export.export_onnx",
        "inference.Predictor",
        "training.train",
        "visualization.overlay",
    )
    code = (
        "import sys, eseg_keras\n"
        "print('keras' in sys.modules, 'eseg_keras.data' in sys.modules)\n"
        + "".join(f"eseg_keras.{part}\n" for part in parts)
    )
    assert run(code) == "False False"

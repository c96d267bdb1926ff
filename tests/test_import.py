"""What importing the package does and does not do, in processes of their own."""

import pathlib
import subprocess
import sys

GOLDEN = pathlib.Path(__file__).parent / "golden"


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_a_saved_model_loads_in_a_fresh_process():
    path = str(GOLDEN / "tiny_eseg.keras")
    code = f"import eseg_keras, keras; print(keras.models.load_model({path!r}).num_classes)"
    assert run(code) == "3"


def test_each_lazy_part_is_there():
    parts = (
        "data.from_folders",
        "evaluation.evaluate",
        "export.export_onnx",
        "inference.Predictor",
        "training.train",
        "visualization.overlay",
    )
    run("import eseg_keras; " + "; ".join(f"eseg_keras.{part}" for part in parts))


def test_the_data_part_waits():
    assert run("import sys, eseg_keras; print('eseg_keras.data' in sys.modules)") == "False"

"""The ways to run a network that are compared, and the runtimes that run its files."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from eseg_keras.latency.any_onnx import onnx_call
from eseg_keras.latency.machine import installed_version
from eseg_keras.optional import require


@dataclasses.dataclass(frozen=True)
class Format:
    """One way to run a network.

    Args:
        runtime: The distributions that may be its runtime; none for the Keras model.
        suffix: Of the file; `None` for the Keras model itself.
        needs: Modules that it needs, and the extra of eseg-keras that brings each.
        precision: What the exporter takes as `precision`; `None` if it has no choice.
    """

    runtime: tuple[str, ...]
    suffix: str | None
    needs: tuple[tuple[str, str], ...] = ()
    precision: str | None = None

    @property
    def runtime_version(self) -> str:
        """Name and version of the runtime, and the backend of Keras."""
        if self.suffix is None:
            return f"keras {keras.__version__} on {keras.backend.backend()}"
        installed = [(name, installed_version(name)) for name in self.runtime]
        return next((f"{name} {version}" for name, version in installed if version), "")

    def missing(self) -> str | None:
        """Return why this way cannot be taken here, with the remedy, or `None` if it can."""
        if self.suffix is not None and keras.backend.backend() != "tensorflow":
            return (
                "It is written by TensorFlow: set the environment variable "
                "KERAS_BACKEND=tensorflow."
            )
        for module, extra in self.needs:
            try:
                require(module, extra)
            except ImportError as error:
                return str(error)
        return None


_TENSORFLOW = ("tensorflow", "tensorflow-cpu")
_TFLITE = (("tensorflow", "tensorflow-cpu"), ("ai_edge_litert.interpreter", "export"))
_ONNX = (
    ("tensorflow", "tensorflow-cpu"),
    ("tf2onnx", "export"),
    ("onnx", "export"),
    ("onnxruntime", "export"),
)

FORMATS = {
    "keras": Format((), None),
    "saved_model": Format(_TENSORFLOW, "", (("tensorflow", "tensorflow-cpu"),)),
    "tflite": Format(("ai-edge-litert",), ".tflite", _TFLITE, "float32"),
    "tflite_int8": Format(("ai-edge-litert",), ".tflite", _TFLITE, "int8"),
    "onnx": Format(("onnxruntime",), ".onnx", _ONNX, "float32"),
    "onnx_int8": Format(("onnxruntime",), ".onnx", _ONNX, "int8"),
}
"""By name. All take a uint8 image and give its label map."""


def keras_call(model: keras.Model, image: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function that labels an image, uint8 [H, W, C], by the Keras model itself."""
    return lambda: model.segment(image)


def load(name: str, path: str | os.PathLike, image: np.ndarray, threads: int) -> Callable:
    """Load an exported file, by its own runtime.

    Args:
        name: One of `FORMATS`, other than `"keras"`.
        path: The file or directory.
        image: uint8 [H, W, C].
        threads: Number of threads; that of a SavedModel is TensorFlow's, see
            `limit_tensorflow_threads`.

    Returns:
        A function that labels the image, and returns arrays in a list.
    """
    if name == "saved_model":
        return _saved_model_call(path, image)
    if name.startswith("onnx"):
        return onnx_call(path, image, threads)
    from eseg_keras.export.tflite.exporter import litert_runner

    run = litert_runner(path, threads)
    return lambda: [run(image[None])]


def limit_tensorflow_threads(threads: int) -> None:
    """Let TensorFlow use so many threads in this process.

    Raises:
        ValueError: If TensorFlow runs already, with another number.
    """
    tf = require("tensorflow", "tensorflow-cpu")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise ValueError(
            f"TensorFlow runs already in this process, and not with {threads} threads. Measure in "
            "a new process."
        ) from error


def _saved_model_call(path, image):
    tf = require("tensorflow", "tensorflow-cpu")
    loaded = tf.saved_model.load(str(Path(path) / "1"))
    serve = loaded.signatures["serving_default"]

    def call():
        # The object owns the variables.
        answer = serve(images=tf.constant(image[None]))
        return [values.numpy() for values in answer.values()]

    call.loaded = loaded
    return call

"""The formats whose latency is measured, and functions that run their files."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from eseg_keras.export.onnx.conversion import onnx_session
from eseg_keras.machine import installed_version
from eseg_keras.optional import require

_TENSORFLOW = ("tensorflow", "tensorflow-cpu")
# Pairs of a module and the extra of eseg-keras that installs it.
_TFLITE_NEEDS = (_TENSORFLOW, ("ai_edge_litert.interpreter", "export"))
_ONNX_NEEDS = (_TENSORFLOW, *((name, "export") for name in ("tf2onnx", "onnx", "onnxruntime")))
_OPENVINO_NEEDS = (
    _TENSORFLOW,
    *((name, "export") for name in ("tf2onnx", "onnx")),
    ("openvino",) * 2,
)
# {ONNX Runtime's type of an input: NumPy dtype}.
_ONNX_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16"}


@dataclasses.dataclass(frozen=True)
class Format:
    """A format in which networks are stored and run.

    `suffix` is `None` for the Keras model and `""` for a directory. `runtime` lists the packages
    that may contain the runtime; `needs` lists pairs of a required module and its extra.
    """

    suffix: str | None = None
    runtime: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    precision: str | None = None

    @property
    def runtime_version(self) -> str:
        """Name and version of the runtime; for the Keras model, also the backend."""
        if self.suffix is None:
            return f"keras {keras.__version__} on {keras.backend.backend()}"
        installed = [(name, installed_version(name)) for name in self.runtime]
        return next((f"{name} {version}" for name, version in installed if version), "")

    def missing(self) -> str | None:
        """Return why the format cannot be used and what to do, or `None` if it can be used."""
        if self.suffix is not None and keras.backend.backend() != "tensorflow":
            return (
                "The format needs the Keras backend 'tensorflow'. Set the environment variable "
                "KERAS_BACKEND=tensorflow."
            )
        try:
            for module, extra in self.needs:
                require(module, extra)
        except ImportError as error:
            return str(error)
        return None


FORMATS = {
    "keras": Format(),
    "saved_model": Format("", _TENSORFLOW, (_TENSORFLOW,)),
    "tflite": Format(".tflite", ("ai-edge-litert",), _TFLITE_NEEDS, "float32"),
    "tflite_int8": Format(".tflite", ("ai-edge-litert",), _TFLITE_NEEDS, "int8"),
    "onnx": Format(".onnx", ("onnxruntime",), _ONNX_NEEDS, "float32"),
    "onnx_int8": Format(".onnx", ("onnxruntime",), _ONNX_NEEDS, "int8"),
    # OpenVINO chooses bfloat16 on CPUs that have it.
    "openvino": Format(".xml", ("openvino",), _OPENVINO_NEEDS),
}
"""Formats by name. Networks in all formats take a uint8 image and return the label map."""


def load(name: str, path: str | os.PathLike, image: np.ndarray, threads: int) -> Callable:
    """Return a function that runs an exported file on an image and returns a list of arrays."""
    if name == "saved_model":
        return _saved_model_call(path, image)
    if name.startswith("onnx"):
        return onnx_call(path, image, threads)
    if name == "openvino":
        from eseg_keras.export.openvino import openvino_runner as runner
    else:
        from eseg_keras.export.tflite.exporter import litert_runner as runner
    run = runner(path, threads)
    return lambda: [run(image[None])]


def limit_tensorflow_threads(threads: int) -> None:
    """Set TensorFlow's threads: `threads` within an operator, and one operator at a time.

    Raise `ValueError` if TensorFlow was initialized with other numbers.
    """
    tf = require(*_TENSORFLOW)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise ValueError(
            "TensorFlow was initialized in this process with other numbers of threads than "
            f"{threads} within an operator and 1 between operators. Measure in a new process."
        ) from error


def _saved_model_call(path, image):
    tf = require(*_TENSORFLOW)
    loaded = tf.saved_model.load(str(Path(path) / "1"))
    serve = loaded.signatures["serving_default"]

    def call():
        answer = serve(images=tf.constant(image[None]))
        return [values.numpy() for values in answer.values()]

    call.loaded = loaded  # Without a reference, the variables would be deleted.
    return call


def onnx_call(
    path: str | os.PathLike, image: np.ndarray, threads: int
) -> Callable[[], list[np.ndarray]]:
    """Return a function that runs the ONNX file `path`, whose only input must be an image.

    The image is converted to the layout and dtype of the file's input; if that is a float dtype,
    pixel values are scaled to 0..1.
    """
    path = Path(path)
    require("onnxruntime", "export")
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    try:
        session = onnx_session(path, threads)
    except Exception as error:  # ONNX Runtime's exceptions have no common base class.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{path} cannot be loaded by onnxruntime: {lines[0][:300]}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs)
        raise ValueError(f"{path} has {len(inputs)} inputs ({names}). Expected one: the image.")
    feed = {inputs[0].name: _as_input(path, inputs[0], image)}
    return lambda: session.run(None, feed)


def _as_input(path, entry, image):
    expected = f"{entry.type} of shape {entry.shape}"
    if entry.type not in _ONNX_DTYPES or len(entry.shape) != 4:
        raise ValueError(
            f"The input of {path} is {expected}. Expected an image: uint8, float32 or float16 of "
            "shape [1, height, width, channels] or [1, channels, height, width]."
        )
    batches = [image[None], image[None].transpose(0, 3, 1, 2)]
    # Dynamic dimensions are strings or None. The number of channels must be fixed.
    fitting = [
        batch
        for batch, channels in zip(batches, (entry.shape[3], entry.shape[1]), strict=True)
        if isinstance(channels, int)
        and all(
            n == size or not isinstance(n, int)
            for n, size in zip(entry.shape, batch.shape, strict=True)
        )
    ]
    if len(fitting) != 1:
        height, width, channels = image.shape
        raise ValueError(
            f"The input of {path} is {expected}, which does not fit one image of {height}x{width} "
            f"with {channels} channels. Export the file for this size, or with dynamic height and "
            "width and a fixed number of channels."
        )
    dtype = _ONNX_DTYPES[entry.type]
    batch = fitting[0] if dtype == "uint8" else fitting[0] / np.float32(255)
    return np.ascontiguousarray(batch.astype(dtype))

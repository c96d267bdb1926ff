"""ONNX files of any maker, run on one image."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eseg_keras.optional import require

# Types of images, by the name that onnxruntime gives them.
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16"}


def onnx_call(
    path: str | os.PathLike, image: np.ndarray, threads: int
) -> Callable[[], list[np.ndarray]]:
    """Load an ONNX file and give it an image in the layout and the type that it asks for.

    Args:
        path: A file with one input: a batch of images as uint8, float32 or float16, with the
            channels first or last.
        image: uint8 [H, W, C]. For an input of floats it is scaled to 0..1.
        threads: Number of threads.

    Returns:
        A function that runs the network on the image and returns all of its outputs.

    Raises:
        ValueError: If there is no such file, it is no ONNX model, its input is no image, or an
            image of another size.

    Reference:
        [onnxruntime](https://onnxruntime.ai/docs/api/python/api_summary.html)
    """
    runtime = require("onnxruntime", "export")
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Else its threads go on for a while after a run, and take time from what is measured next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen of its own, which derive from nothing.
        raise ValueError(f"{path} cannot be loaded by onnxruntime: {_first_line(error)}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs)
        raise ValueError(f"{path} has {len(inputs)} inputs ({names}). Expected one, the image.")
    feed = {inputs[0].name: _as_asked(path, inputs[0], image)}
    return lambda: session.run(None, feed)


def _as_asked(path, entry, image):
    asked = f"{entry.type} of shape {entry.shape}"
    if entry.type not in _DTYPES or len(entry.shape) != 4:
        raise ValueError(
            f"The input of {path} is {asked}. Expected an image: uint8, float32 or float16 of "
            "shape [1, height, width, channels] or [1, channels, height, width]."
        )
    height, width, channels = image.shape
    # Sizes that are left open have a name, or none.
    layouts = {"last": (1, height, width, channels), "first": (1, channels, height, width)}
    fitting = [
        layout
        for layout, shape in layouts.items()
        if all(not isinstance(a, int) or a == b for a, b in zip(entry.shape, shape, strict=True))
        and isinstance(entry.shape[3 if layout == "last" else 1], int)
    ]
    if len(fitting) != 1:
        raise ValueError(
            f"The input of {path} is {asked}, which does not fit one image of {height}x{width} "
            f"with {channels} channels. Export it for this size, or with open height and width and "
            "the channels' number."
        )
    batch = image[None] if fitting == ["last"] else image[None].transpose(0, 3, 1, 2)
    dtype = _DTYPES[entry.type]
    if dtype != "uint8":
        batch = batch / np.float32(255)
    return np.ascontiguousarray(batch.astype(dtype))


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]

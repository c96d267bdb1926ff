"""Segment images with an exported file, in TensorFlow, LiteRT, ONNX Runtime or OpenVINO."""

import os
from pathlib import Path
from typing import Any

from eseg_keras.data.images.image_reader import MAX_PIXELS, ImageFileError, read_image
from eseg_keras.export.onnx.conversion import onnx_runner, read_onnx_classes
from eseg_keras.export.openvino import openvino_runner, read_openvino_classes
from eseg_keras.export.tflite.exporter import litert_runner, read_tflite_classes
from eseg_keras.files import read_json
from eseg_keras.image_size import check_image_range
from eseg_keras.inference import Prediction
from eseg_keras.optional import require
from eseg_keras.visualization import default_palette


class ExportedPredictor:
    """Segment images with an exported file instead of the Keras network.

    The evaluation accepts an `ExportedPredictor` in place of a `Predictor`. The scores are then
    those of the exported file, including the errors of 8-bit arithmetic.

    Args:
        path: A `.tflite`, `.onnx` or `.xml` (OpenVINO) file, or the directory of a SavedModel,
            either of one version or with all versions, of which the highest is used.
        threads: Number of threads of the runtime. Defaults to the runtime's choice. Ignored for a
            SavedModel.
        max_pixels, image_range, first_frame: How images are read, as for `Predictor`.

    Attributes:
        num_classes, class_names, palette, ignore_label: The values of the exported network.
        image_size: (height, width) of all images, or `None` for any size.
        max_pixels, image_range, first_frame: The values of these arguments.

    Raises:
        ValueError: If the file was not written by `export_saved_model`, `export_tflite`,
            `export_onnx` or `export_openvino`.

    Example:

    >>> from eseg_keras.export import ExportedPredictor
    >>> label_map = ExportedPredictor("streets.onnx")("street.jpg").label_map  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike,
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
        image_range: tuple[float, float] | None = None,
        first_frame: bool = False,
    ):
        path = Path(path)
        self.max_pixels = max_pixels
        self.image_range = None if image_range is None else check_image_range(image_range)
        self.first_frame = first_frame
        suffix = path.suffix.lower()
        if not path.exists():
            raise ValueError(f"There is no exported file {path}.")
        if path.is_dir():
            self._run, classes = _load_saved_model(path)
        elif suffix in _FILES:
            runner, read_classes = _FILES[suffix]
            # Read the classes first: for files of other programs, this raises a clear error.
            classes = read_classes(path)
            self._run = runner(path, threads)
        else:
            raise ValueError(
                f"{path} is not an exported network. Expected the directory of a SavedModel, or a "
                f"file that ends in {' or '.join(_FILES)}."
            )
        height, width, self.num_channels = self._run.image_shape
        self.image_size = None if height is None or width is None else (height, width)
        self.num_classes, self.ignore_label = classes["num_classes"], classes["ignore_label"]
        names, palette = classes["class_names"], classes["palette"]
        self.class_names = tuple(names or (f"class {n}" for n in range(self.num_classes)))
        self.palette = tuple(map(tuple, palette or default_palette(self.num_classes)))
        self._path = path

    def __call__(self, image: Any) -> Prediction:
        """Segment one image.

        Args:
            image: Path of an image file, array [H, W, C] or [H, W], or Pillow image.

        Returns:
            The prediction, with a label map of the image's size.

        Raises:
            ValueError: If `image` cannot be read as an image, or if the exported network has a
                fixed image size and `image` has another size.
        """
        name = str(image) if isinstance(image, str | os.PathLike) else "image 0"
        pixels = read_image(
            image,
            self.num_channels,
            self.max_pixels,
            image_range=self.image_range,
            first_frame=self.first_frame,
        )
        if self.image_size not in (None, pixels.shape[:2]):
            problem = (
                f"has {pixels.shape[0]}x{pixels.shape[1]} pixels, but {self._path} takes images of "
                f"{self.image_size[0]}x{self.image_size[1]} only: resize the image, or export the "
                "model for its size"
            )
            raise ImageFileError(name, [problem])
        (answer,) = self._run(pixels[None])
        return Prediction(
            name=name,
            image=pixels,
            # The answer is a label map [H, W], or logits or probabilities [H, W, num_classes].
            label_map=(answer if answer.ndim == 2 else answer.argmax(-1)).astype("uint8"),
            class_names=self.class_names,
            palette=self.palette,
            ignore_label=self.ignore_label,
        )


def _load_saved_model(path):
    """Return a function that runs a SavedModel, like that of `onnx_runner`, and the classes."""
    versions = [file.parent for file in path.glob("*/saved_model.pb") if file.parent.name.isdigit()]
    if versions:
        path = max(versions, key=lambda version: int(version.name))
    classes = path / "assets" / "classes.json"
    if not classes.is_file():
        raise ValueError(
            f"{path} contains no {classes.name}. Expected a folder that export_saved_model wrote."
        )
    tf = require("tensorflow", "tensorflow-cpu")
    loaded = tf.saved_model.load(os.fspath(path))
    serve = loaded.signatures["serving_default"]
    images = serve.structured_input_signature[1]["images"]

    def run(batch):
        (answer,) = serve(images=tf.constant(batch, images.dtype)).values()
        return answer.numpy()

    run.image_shape = tuple(images.shape.as_list()[1:])
    run.loaded = loaded  # Without a reference, the variables would be deleted.
    fields = {"num_classes": int, "ignore_label": int}
    fields |= dict.fromkeys(("class_names", "palette"), (list, type(None)))
    return run, read_json(classes, "Export the model again.", fields)


_FILES = {
    ".tflite": (litert_runner, read_tflite_classes),
    ".onnx": (onnx_runner, read_onnx_classes),
    ".xml": (openvino_runner, read_openvino_classes),
}

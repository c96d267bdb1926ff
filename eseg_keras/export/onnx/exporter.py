"""Export to ONNX, for ONNX Runtime on CPUs and in browsers, OpenVINO and other runtimes."""

import os
from collections.abc import Sequence

import keras
import numpy as np

from eseg_keras.export.onnx.conversion import DEFAULT_OPSET, convert_to_onnx, onnx_runner
from eseg_keras.export.onnx.int8 import quantize_onnx
from eseg_keras.export.preparation import (
    VERIFIED_SIZES,
    check_choice,
    exported_size,
    in_float32,
    one_writer,
    prepare_images,
)
from eseg_keras.export.served_graph.network import serving_model
from eseg_keras.export.verification import TOLERANCES, Verification, verify
from eseg_keras.files import atomic_file
from eseg_keras.optional import require

PRECISIONS = ("float32", "int8")


@one_writer
def export_onnx(
    model: keras.Model,
    output: str | os.PathLike,
    *,
    output_kind: str = "labels",
    input_dtype: str = "uint8",
    image_size: tuple[int, int] | None = None,
    precision: str = "float32",
    calibration_images: Sequence[np.ndarray] | None = None,
    verification_images: Sequence[np.ndarray] | None = None,
    opset: int = DEFAULT_OPSET,
) -> Verification:
    """Write a model as an ONNX file, and verify it in ONNX Runtime.

    The file takes `images` [B, H, W, C] of any batch size. Class names, palette and ignore label
    are entries of its `metadata_props` (see `read_onnx_classes`). An existing file is replaced. The
    comparison with the model is written beside the file, as `OUTPUT.verification.json`.

    Args:
        model: An `ESeg` model, on the TensorFlow backend. The dtype policy is ignored: the export
            starts from float32 weights.
        output: The file, such as `"streets.onnx"`.
        output_kind: `"labels"` for uint8 label maps [B, H, W], `"logits"` or `"probabilities"` for
            float32 [B, H, W, num_classes].
        input_dtype: dtype of the images, `"uint8"` or `"float32"`, with values of 0..255 for both.
        image_size: (height, width) of the images. Defaults to the network's fixed size if it has
            one, else any size from 32x32.
        precision: `"float32"`, or `"int8"` for 8-bit convolutions in the QDQ format (pairs of
            QuantizeLinear and DequantizeLinear) with one scale per filter. `"int8"` about halves
            the latency of `eseg_lite_s`, and reduces that of larger ESeg-Lite networks more. It
            reduces the latency of the other presets by a third at most; of these, ESeg-S, M and L
            are faster in `"int8"` files of TFLite.
        calibration_images: Required for `"int8"`: a few dozen uint8 arrays [H, W, C], of any size,
            that resemble the training images. They are resized to `image_size`.
        verification_images: A few uint8 arrays [H, W, C] that resemble the training images but were
            not used for training, for the comparison with the model. They are resized to the size
            that the file takes or, if it takes any size, to several sizes in turn. By default,
            about a quarter of `calibration_images`, at most three, are held out for the comparison.
            Required without `calibration_images`.
        opset: Version of the ONNX operator set, 13 to 18. Defaults to 17.

    Returns:
        The comparison of the file's outputs with the model's.

    Raises:
        ValueError: If an argument is invalid.
        FileInUseError: If another process writes the same output.
        VerificationError: If the outputs of the file differ from the model's. Nothing is written
            then.

    Example:

    >>> import tempfile
    >>> import eseg_keras
    >>> from eseg_keras.export import export_onnx
    >>> from eseg_keras.street_scenes import scene_images
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> path = tempfile.mkdtemp() + "/streets.onnx"
    >>> images = scene_images("test", 2, (96, 160))
    >>> export_onnx(model, path, image_size=(96, 160), verification_images=images).passed
    True

    Reference:
        [ONNX](https://onnx.ai), [ONNX Runtime](https://onnxruntime.ai)
    """
    check_choice("precision", precision, PRECISIONS)
    image_size = exported_size(model, image_size)
    if opset not in range(13, 19):
        raise ValueError(f"opset must be from 13 to 18. Received: {opset}")
    model = in_float32(model)
    onnx = require("onnx", "export")
    channels = model.image_shape[-1]
    calibration, held_out = prepare_images(
        calibration_images, verification_images, precision, image_size, VERIFIED_SIZES, channels
    )
    size = image_size or (None, None)
    served = serving_model(
        model, output_kind, input_dtype, size, channels_first=True, pack_columns=True
    )
    converted = convert_to_onnx(served, model, batch=None, opset=opset)
    if precision == "int8":
        converted = quantize_onnx(converted, calibration)
    with atomic_file(output) as temporary:
        onnx.save(converted, temporary)
        verification = verify(
            onnx_runner(temporary),
            model,
            held_out,
            output_kind=output_kind,
            tolerance=TOLERANCES[precision],
            package="onnxruntime",
        )
        verification.check()
        verification.write(output)
    return verification

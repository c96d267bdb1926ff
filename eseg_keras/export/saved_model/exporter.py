"""Export to SavedModel for TF Serving, including pre- and post-processing."""

import dataclasses
import io
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from eseg_keras.export.preparation import (
    classes_json,
    exported_size,
    in_float32,
    one_writer,
    require_tensorflow,
    resize_verification_images,
)
from eseg_keras.export.quiet import quiet
from eseg_keras.export.saved_model.assets import (
    choose_version,
    encode_image,
    write_models_config,
    write_warmup,
)
from eseg_keras.export.saved_model.image_codec import MAX_SERVED_PIXELS
from eseg_keras.export.saved_model.signatures import ENCODED, SERVING_DEFAULT, serving_module
from eseg_keras.export.served_graph.network import check_kinds
from eseg_keras.export.verification import (
    TOLERANCES,
    Verification,
    VerificationError,
    verify,
)
from eseg_keras.files import atomic_directory, temporary_directory

_WARMUP_SIZE = (96, 160)
# Sizes of the verification images for files that take images of any size: a size that the encoder's
# strides divide, and an odd size.
_CHECKED_SIZE, _ODD_SIZE = (192, 384), (135, 201)

# Small, because the compared probabilities are computed from the same logits.
_PROBABILITY_TOLERANCE = 1e-5


@one_writer
def export_saved_model(
    model: keras.Model,
    output: str | os.PathLike,
    *,
    output_kind: str = "labels",
    input_dtype: str = "uint8",
    verification_images: Sequence[np.ndarray],
    image_size: tuple[int, int] | None = None,
    version: int | None = None,
    max_pixels: int = MAX_SERVED_PIXELS,
) -> Verification:
    """Write a model as a version of a SavedModel for TF Serving, and verify it in TensorFlow.

    `OUTPUT/1/` (or the next version) contains the network after BN folding with pre- and
    post-processing, the classes as `assets/classes.json`, and warm-up requests. Serving needs
    neither Keras nor this package. `models.config` for TF Serving and the comparison with the
    model, `OUTPUT.verification.json`, are written beside `OUTPUT/`.

    Signatures:

    - `serving_default`: `images` [N, H, W, C] to `labels`, uint8 [N, H, W], or another
      `output_kind`;
    - `logits`: `images` to `logits`, float32 [N, H, W, num_classes];
    - `probabilities`: `images` to `probabilities`, float32 [N, H, W, num_classes];
    - `encoded`: `image_bytes`, JPEG and PNG files [N] of any sizes (of the network's size if it is
      fixed), to `png_bytes` [N], label maps as greyscale PNG files with the classes as metadata,
      and `height` and `width`, int32 [N]. Only for networks with 3 input channels.

    A request with an empty batch, or with a file that cannot be decoded, gets an error response and
    does not affect other requests.

    Args:
        model: See `export_onnx`.
        output: Directory of the model; its name is the name of the model on the server. It must be
            new or contain only other versions, which are kept.
        output_kind: Output of `serving_default`: `"labels"`, `"logits"` or `"probabilities"`.
        input_dtype: dtype of `images`, `"uint8"` or `"float32"`, with values of 0..255 for both.
        verification_images: See `export_onnx`; also used for the warm-up requests.
        image_size: (height, width) of `images`. Defaults to the network's fixed size if it has one,
            else any size.
        version: Version number. Defaults to the highest existing version plus 1.
        max_pixels: Largest number of pixels of a file. `encoded` rejects larger files before it
            decodes them, to limit the memory of the server (eseg_lite_s needs 57 bytes per pixel).
            One request may contain up to 256 files with up to `8 * max_pixels` pixels in total.
            Defaults to 2^24, 16.8 million.

    Returns:
        The comparison of `serving_default` with the model. If `output_kind` is `"labels"`,
        `largest_difference` and `relative_difference` are those of the signature `logits`. The
        other signatures are verified, too.

    Raises:
        ValueError: If an argument is invalid.
        FileInUseError: If another process writes the same output.
        VerificationError: If the outputs of the SavedModel differ from the model's. Nothing is
            written then.

    Example:

    >>> import tempfile
    >>> import eseg_keras
    >>> from eseg_keras.export import export_saved_model
    >>> from eseg_keras.street_scenes import scene_images
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> path = tempfile.mkdtemp() + "/streets"
    >>> images = scene_images("test", 2, (192, 384))
    >>> export_saved_model(model, path, verification_images=images).passed
    True

    Reference:
        [TF Serving](https://www.tensorflow.org/tfx/guide/serving)
    """
    tf = require_tensorflow("SavedModel")
    check_kinds(output_kind, input_dtype)
    image_size = exported_size(model, image_size)
    height, width = image_size or _CHECKED_SIZE
    if type(max_pixels) is not int or max_pixels < height * width:
        raise ValueError(
            f"max_pixels must be a whole number of at least {height * width}: the file is verified "
            f"on images of {height}x{width}. Received: {max_pixels!r}"
        )
    # At least two images of the first size, and one of the odd size if the network takes any size.
    sizes = [image_size or _CHECKED_SIZE] * 2
    channels = model.image_shape[-1]
    images = resize_verification_images(verification_images, sizes, channels)
    last_size = image_size or _ODD_SIZE
    images += resize_verification_images(verification_images[:1], [last_size], channels)
    output = Path(output).resolve()
    version = choose_version(output, version)
    model = in_float32(model)
    size = image_size or (None, None)
    module, functions = serving_module(model, output_kind, input_dtype, tuple(size), max_pixels)
    with atomic_directory(output / str(version)) as directory:
        with temporary_directory() as assets:
            classes = Path(assets) / "classes.json"
            classes.write_text(classes_json(model), "utf-8")
            module.classes = tf.saved_model.Asset(str(classes))
            # Without custom gradients: tracing the gradients of SiLU would take most of the time.
            options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
            with quiet("tensorflow"):
                tf.saved_model.save(module, str(directory), signatures=functions, options=options)
        dtypes = {name: "bytes" if name == ENCODED else input_dtype for name in functions}
        warmup_size = image_size or _WARMUP_SIZE
        (image,) = resize_verification_images(verification_images[:1], [warmup_size], channels)
        write_warmup(directory, output.name, dtypes, image)
        loaded = tf.saved_model.load(str(directory))
        verification = _compare(tf, loaded.signatures, model, output_kind, input_dtype, images)
    verification.write(output)
    write_models_config(output.parent)
    return verification


def _compare(tf, signatures, model, output_kind, input_dtype, images):
    """Verify every signature of the loaded SavedModel; return the result of `serving_default`."""
    options = {"tolerance": TOLERANCES["float32"], "package": "tensorflow"}
    last = images[-1]

    def run(signature, kind, images):
        return signatures[signature](images=tf.constant(images.astype(input_dtype)))[kind].numpy()

    def run_on_file(images):
        outputs = signatures[ENCODED](image_bytes=tf.constant([encode_image(images[0], "PNG")]))
        return np.asarray(Image.open(io.BytesIO(outputs["png_bytes"].numpy()[0])))[None]

    def compare(run, images, kind):
        found = verify(run, model, images, output_kind=kind, **options)
        found.check()
        return found

    result = compare(partial(run, SERVING_DEFAULT, output_kind), images, output_kind)
    logits = compare(partial(run, "logits", "logits"), [last], "logits")
    if ENCODED in signatures:
        compare(run_on_file, [last], "labels")
    expected = tf.nn.softmax(run("logits", "logits", last[None])).numpy()
    largest = np.abs(run("probabilities", "probabilities", last[None]) - expected).max()
    if not largest < _PROBABILITY_TOLERANCE:
        raise VerificationError(
            f"The signature 'probabilities' differs from the softmax of 'logits' by {largest:.2g} "
            f"(allowed: {_PROBABILITY_TOLERANCE:g}). Nothing was written."
        )
    if output_kind != "labels":
        return result
    return dataclasses.replace(
        result,
        largest_difference=logits.largest_difference,
        relative_difference=logits.relative_difference,
    )

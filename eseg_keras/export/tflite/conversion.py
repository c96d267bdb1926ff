"""Convert a Keras network to TFLite."""

import contextlib
import re
from collections.abc import Sequence

import keras
import numpy as np

from eseg_keras.export.quiet import quiet
from eseg_keras.export.served_graph.network import serving_model
from eseg_keras.optional import require
from eseg_keras.standard_error import hidden_standard_error


def convert(
    model: keras.Model,
    output_kind: str,
    input_dtype: str,
    image_size: tuple[int, int] | None,
    precision: str,
    images: Sequence[np.ndarray] = (),
) -> bytes:
    """Convert a model to the content of a TFLite file; `images` are for calibration to `"int8"`."""
    tf = require("tensorflow", "tensorflow-cpu")
    is_int8 = precision == "int8"
    size = image_size or (None, None)
    if is_int8:
        # The converter adds the conversion from uint8. `serving_model` is not used, because its
        # sums over pyramid levels would compute pixel positions in 8 bits, which is not enough for
        # hundreds of rows.
        dtype, network = "float32", model.fold()
    else:
        dtype, network = input_dtype, serving_model(model, "logits", input_dtype, size)

    def serve(images):
        answer = network(images, training=False)
        if output_kind == "probabilities":
            answer = tf.nn.softmax(answer)
        elif output_kind == "labels":
            # Keras' argmax distinguishes -0.0 from 0.0 with an operator that TFLite lacks.
            answer = tf.cast(tf.argmax(answer, axis=-1, output_type=tf.int32), tf.uint8)
        return {output_kind: answer}

    spec = tf.TensorSpec((1, *size, model.image_shape[-1]), dtype, name="images")
    function = tf.function(serve, input_signature=[spec], autograph=False)
    # A module of plain variables: saving the Keras model would take as long as the conversion.
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    with quiet("tensorflow"):
        concrete = function.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if is_int8:
            converter.representative_dataset = lambda: _batches(images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
            if output_kind != "labels":
                converter.inference_output_type = tf.uint8
        try:
            # The 8-bit converter writes the types of its inputs to standard error.
            with hidden_standard_error() if is_int8 else contextlib.nullcontext():
                return converter.convert()
        except Exception as error:
            if missing := re.search(r"TF Select ops: (.+)", str(error)):
                raise ValueError(
                    f"TFLite lacks operators of this network: {missing[1]}. Use other layers, or "
                    "another format."
                ) from error
            raise


def _batches(images):
    for index, image in enumerate(images):
        image = image.astype("float32")
        if index == 0:
            # Include both ends of the range 0..255, so that the quantized input equals the image.
            image[0, 0], image[-1, -1] = 0, 255
        yield [image[None]]

"""The functions that a SavedModel offers, and the weights that they share."""

import hashlib
from collections.abc import Callable

import keras
import numpy as np

from eseg_keras.export.saved_model.image_codec import classes_chunk, decode_image, encode_label_map
from eseg_keras.export.served_graph.network import serving_model
from eseg_keras.optional import require

SERVING_DEFAULT = "serving_default"
ENCODED = "encoded"


def serving_module(
    model: keras.Model,
    output_kind: str,
    input_dtype: str,
    image_size: tuple[int | None, int | None],
    max_pixels: int,
):
    """Make the object that is saved, and its signatures; see `export_saved_model`.

    Args:
        model: An `ESeg` model.
        output_kind: What `serving_default` answers with.
        input_dtype: `"uint8"` or `"float32"`.
        image_size: (height, width) of the images; `None` for any.
        max_pixels: Files with more pixels are refused.

    Returns:
        A `tf.Module` without any Keras object, and {signature: `tf.function`}.
    """
    tf = require("tensorflow", "tensorflow-cpu")
    weights = _SharedWeights(tf)
    calls = {}
    for name in ("labels", "logits"):
        # Of the size that it is built for, most often any: one network for all signatures.
        network = serving_model(model, name, input_dtype, model.image_shape[:2])
        calls[name] = weights.function(network)
    calls["probabilities"] = lambda images: tf.nn.softmax(calls["logits"](images))
    images = tf.TensorSpec((None, *image_size, model.image_shape[-1]), input_dtype, name="images")
    functions = {
        signature: _of_images(tf, calls[name], name, images)
        for signature, name in (
            (SERVING_DEFAULT, output_kind),
            ("logits", "logits"),
            ("probabilities", "probabilities"),
        )
    }
    if model.image_shape[-1] == 3:
        classes = classes_chunk(model.class_names, model.palette)

        def label(image):
            batch = tf.ensure_shape(tf.cast(image, input_dtype)[None], (1, *model.image_shape))
            return calls["labels"](batch)[0]

        functions[ENCODED] = _of_files(tf, label, classes, max_pixels)
    module = tf.Module()
    module.weights = weights.variables()
    return module, functions


class _SharedWeights:
    """Weights of several networks as TensorFlow variables, each value only once.

    Networks for labels and for logits are built apart and have most of their weights in common.
    Nothing of Keras is left in a call, so none of it is saved.
    """

    def __init__(self, tf):
        self._tf = tf
        self._variables = {}

    def function(self, network: keras.Model) -> Callable:
        """Return what a network computes as a `tf.function` with these variables as its weights."""
        trainable = [self._shared(variable) for variable in network.trainable_variables]
        others = [self._shared(variable) for variable in network.non_trainable_variables]
        convert = self._tf.convert_to_tensor

        def call(images):
            weights = [convert(variable) for variable in trainable]
            other_weights = [convert(variable) for variable in others]
            return network.stateless_call(weights, other_weights, images, training=False)[0]

        # Traced once, for however many signatures there are.
        spec = self._tf.TensorSpec(network.input.shape, network.input.dtype)
        return self._tf.function(call, input_signature=[spec], autograph=False)

    def variables(self) -> list:
        """Return the variables."""
        return list(self._variables.values())

    def _shared(self, variable):
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        key = (value.dtype.str, value.shape, hashlib.sha256(value).digest())
        if key not in self._variables:
            self._variables[key] = self._tf.Variable(value, trainable=False)
        return self._variables[key]


def _of_images(tf, call, name, spec):
    def serve(images):
        # Servers compare a request with the signature's dtype, not with its shape, and convolutions
        # may end the process over an image of another rank.
        images = tf.ensure_shape(images, spec.shape)
        with _not_empty(tf, images):
            images = tf.identity(images)
        return {name: call(images)}

    return tf.function(serve, input_signature=[spec], autograph=False)


def _of_files(tf, label, classes, max_pixels):
    def serve_one(content_and_position):
        image = decode_image(*content_and_position, max_pixels)
        label_map = label(image)
        height, width = tf.unstack(tf.shape(label_map))
        return encode_label_map(label_map, classes), height, width

    def serve(image_bytes):
        image_bytes = tf.ensure_shape(image_bytes, (None,))
        with _not_empty(tf, image_bytes):
            positions = tf.range(tf.size(image_bytes))
        # One after the other: the network uses every core, and the memory of one image is enough.
        files, heights, widths = tf.map_fn(
            serve_one,
            (image_bytes, positions),
            fn_output_signature=(tf.string, tf.int32, tf.int32),
            parallel_iterations=1,
        )
        # TF Serving sends strings in base64 under names that end so, and takes them alike.
        return {"png_bytes": files, "height": heights, "width": widths}

    spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
    return tf.function(serve, input_signature=[spec], autograph=False)


def _not_empty(tf, batch):
    message = "The request holds no image"
    return tf.control_dependencies([tf.debugging.Assert(tf.size(batch) > 0, [message])])

"""Build the signatures of a SavedModel, which share their weights."""

import keras

from eseg_keras.export.saved_model.image_codec import (
    MAX_SERVED_FILES,
    REQUEST_FACTOR,
    classes_chunk,
    count_pixels,
    decode_image,
    encode_label_map,
)
from eseg_keras.export.served_graph.network import serving_models
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
    """Return a `tf.Module` with the weights, and {signature: `tf.function`}.

    Neither contains Keras objects.
    """
    tf = require("tensorflow", "tensorflow-cpu")
    variables = {}
    # The networks are built for the model's image size (usually any size), not for `image_size`,
    # because the signature `encoded`, which takes files of any size, uses the same network.
    networks = serving_models(model, ("labels", "logits"), input_dtype, model.image_shape[:2])
    calls = {kind: _without_keras(tf, network, variables) for kind, network in networks.items()}
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
    module.weights = list(variables.values())
    return module, functions


def _without_keras(tf, network, variables):
    """Turn a network into a `tf.function`; networks share their weights through `variables`."""

    def shared(variable):
        if id(variable) not in variables:
            variables[id(variable)] = tf.Variable(variable.numpy(), trainable=False)
        return variables[id(variable)]

    trainable = [shared(variable) for variable in network.trainable_variables]
    others = [shared(variable) for variable in network.non_trainable_variables]

    def call(images):
        weights = [tf.convert_to_tensor(variable) for variable in trainable]
        other_weights = [tf.convert_to_tensor(variable) for variable in others]
        return network.stateless_call(weights, other_weights, images, training=False)[0]

    # With one input signature, the network is traced only once.
    spec = tf.TensorSpec(network.input.shape, network.input.dtype)
    return tf.function(call, input_signature=[spec], autograph=False)


def _of_images(tf, call, name, spec):
    def serve(images):
        # TF Serving checks the dtype of a request but not its shape, and a tensor of another rank
        # may crash the server in a convolution.
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
        with _not_empty(tf, image_bytes), _not_too_many(tf, image_bytes):
            positions = tf.range(tf.size(image_bytes))
        with _not_too_large(tf, image_bytes, positions, REQUEST_FACTOR * max_pixels):
            positions = tf.identity(positions)
        # One image at a time: the network uses all cores anyway, and this saves memory.
        files, heights, widths = tf.map_fn(
            serve_one,
            (image_bytes, positions),
            fn_output_signature=(tf.string, tf.int32, tf.int32),
            parallel_iterations=1,
        )
        # TF Serving encodes strings in base64 if the name of the tensor ends in `_bytes`.
        return {"png_bytes": files, "height": heights, "width": widths}

    spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
    return tf.function(serve, input_signature=[spec], autograph=False)


def _not_too_many(tf, files):
    message = f"The request contains more than {MAX_SERVED_FILES} images"
    return tf.control_dependencies(
        [tf.debugging.Assert(tf.size(files) <= MAX_SERVED_FILES, [message])]
    )


def _not_too_large(tf, files, positions, max_pixels):
    """Check the total pixels of all files, according to their headers, before decoding any."""
    pixels = tf.map_fn(
        lambda file: count_pixels(*file), (files, positions), fn_output_signature=tf.float64
    )
    message = f"The images of the request have more than {max_pixels} pixels in total"
    return tf.control_dependencies(
        [tf.debugging.Assert(tf.reduce_sum(pixels) <= max_pixels, [message])]
    )


def _not_empty(tf, batch):
    message = "The request contains no image"
    return tf.control_dependencies([tf.debugging.Assert(tf.size(batch) > 0, [message])])

"""Encoders of a smaller output stride: dilated convolutions in place of strided ones."""

import keras


def dilate(encoder: keras.Model, output_stride: int) -> keras.Model:
    """Return a copy, with weights of its own, whose levels have at most the given stride.

    A strided convolution beyond that stride becomes dense, and convolutions behind it are dilated,
    so that each sees the same pixels of the image as before (DeepLabV3, section 3.1,
    https://arxiv.org/abs/1706.05587).
    """
    strides = _input_strides(encoder)

    def clone_layer(layer):
        config, stride = layer.get_config(), strides[layer.name]
        if "dilation_rate" in config:
            if stride * layer.strides[0] > output_stride:
                config["strides"] = (1, 1)
            config["dilation_rate"] = (max(1, stride // output_stride),) * 2
        return layer.__class__.from_config(config)

    clone = keras.models.clone_model(encoder, clone_function=clone_layer)
    return keras.Model(clone.input, clone.output, name=encoder.name)


def _input_strides(encoder):
    """The stride of every layer's input, in pixels of the image."""
    inputs, tensors = {}, {}
    for operation in encoder.operations:
        for node in operation._inbound_nodes:
            stride = max((tensors.get(id(tensor), 1) for tensor in node.input_tensors), default=1)
            inputs[operation.name] = stride
            own = getattr(operation, "strides", (1, 1))[0]
            tensors.update((id(tensor), stride * own) for tensor in node.output_tensors)
    return inputs

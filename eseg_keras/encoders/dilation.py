"""Encoders with a smaller output stride: dilated convolutions in place of strided ones."""

import keras


def dilate(encoder: keras.Model, output_stride: int) -> keras.Model:
    """Return a copy of an encoder, with new weights, whose levels have at most the given stride.

    Strided convolutions that would exceed this stride get stride 1, and the convolutions after them
    are dilated, so that all keep their receptive fields (DeepLabV3, section 3.1,
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
    """Return {layer name: stride of the layer's input in image pixels}."""
    inputs, tensors = {}, {}
    for operation in encoder.operations:
        for node in operation._inbound_nodes:
            stride = max((tensors.get(id(tensor), 1) for tensor in node.input_tensors), default=1)
            inputs[operation.name] = stride
            own = getattr(operation, "strides", (1, 1))[0]
            tensors.update((id(tensor), stride * own) for tensor in node.output_tensors)
    return inputs

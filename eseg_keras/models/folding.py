"""Folding batch normalisation and fusion weights into constants."""

import keras
import numpy as np
from keras import layers, ops

from eseg_keras.layers import WeightedFusion


def fold_layers(model: keras.Model) -> keras.Model:
    """Rebuild a functional model without the batch normalisation layers that can be folded.

    The convolutions before these layers keep their names and get a bias; `WeightedFusion` layers
    get constant scalars; functional models nested in the model are folded, too. The new model has
    initial weights: call `transfer_folded` to copy the folded weights.
    """
    pairs = _foldable_pairs(model)
    linear_ids = {id(linear) for linear, _ in pairs}
    norm_ids = {id(norm) for _, norm in pairs}
    removed = []

    def clone_layer(layer):
        config = layer.get_config()
        if id(layer) in linear_ids:
            config["use_bias"] = True
        if isinstance(layer, WeightedFusion) and layer.normalization != "sum":
            config["normalization"] = "constant"
        clone = layer.__class__.from_config(config)
        if id(layer) in norm_ids:
            removed.append(clone)
        return clone

    def call(layer, *args, **kwargs):
        if any(layer is norm for norm in removed):
            return args[0]
        return layer(*args, **kwargs)

    clone = keras.models.clone_model(
        model, clone_function=clone_layer, call_function=call, recursive=True
    )
    return keras.Model(clone.input, clone.output, name=model.name)


def transfer_folded(model: keras.Model, folded: keras.Model):
    """Fold the weights of `model` and copy them into `folded`, which `fold_layers` returned."""
    norms = {id(linear): norm for linear, norm in _foldable_pairs(model)}
    folded_ids = {id(norm) for norm in norms.values()}
    for layer in model.layers:
        if not layer.weights or id(layer) in folded_ids:
            continue
        target = folded.get_layer(layer.name)
        if _is_functional(layer):
            transfer_folded(layer, target)
        elif id(layer) in norms:
            target.set_weights(_folded_weights(layer, norms[id(layer)]))
        elif isinstance(layer, WeightedFusion):
            target.set_weights([ops.convert_to_numpy(layer.scalars())])
        else:
            target.set_weights(layer.get_weights())


def unfoldable_layers(model: keras.Model) -> list[str]:
    """Return the names of the batch normalisation layers that `fold_layers` cannot fold."""
    folded_ids = {id(norm) for _, norm in _foldable_pairs(model)}
    return [
        layer.name
        for layer in model._flatten_layers()
        if isinstance(layer, layers.BatchNormalization) and id(layer) not in folded_ids
    ]


def _is_functional(layer) -> bool:
    return isinstance(layer, keras.Model) and not isinstance(layer, keras.Sequential)


def _foldable_pairs(model: keras.Model) -> list[tuple]:
    """Return pairs (linear layer, batch normalisation that is the layer's only consumer)."""
    pairs, consumers = [], {}
    for operation in model.operations:
        for node in operation._inbound_nodes:
            for tensor in node.input_tensors:
                consumers.setdefault(id(tensor), []).append(operation)
    outputs = {id(tensor) for tensor in model.outputs}
    for operation in model.operations:
        if _is_functional(operation):
            pairs += _foldable_pairs(operation)
        if not _is_linear(operation) or len(operation._inbound_nodes) != 1:
            continue
        output = operation._inbound_nodes[0].output_tensors[0]
        following = consumers.get(id(output), [])
        if len(following) == 1 and id(output) not in outputs and _is_foldable_norm(following[0]):
            pairs.append((operation, following[0]))
    return pairs


def _is_linear(operation) -> bool:
    return (
        type(operation) in (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
        and operation.activation is keras.activations.linear
        and getattr(operation, "data_format", "channels_last") == "channels_last"
    )


def _is_foldable_norm(operation) -> bool:
    return (
        isinstance(operation, layers.BatchNormalization)
        and len(operation._inbound_nodes) == 1
        and operation.axis in (-1, len(operation.output.shape) - 1)
    )


def _folded_weights(linear, norm) -> list[np.ndarray]:
    def numpy(variable):
        return ops.convert_to_numpy(variable).astype("float64")

    gamma = numpy(norm.gamma) if norm.scale else 1.0
    beta = numpy(norm.beta) if norm.center else 0.0
    factor = gamma / np.sqrt(numpy(norm.moving_variance) + norm.epsilon)
    bias = numpy(linear.bias) if linear.use_bias else 0.0
    kernel = numpy(linear.kernel)
    if isinstance(linear, layers.DepthwiseConv2D):
        # [height, width, channels, multiplier]: the output's channels are the last two axes.
        kernel = kernel * factor.reshape(kernel.shape[2:])
    else:
        kernel = kernel * factor
    return [kernel, beta + (bias - numpy(norm.moving_mean)) * factor]

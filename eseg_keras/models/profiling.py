"""Parameters, multiply-adds and memory of a network by layer, without running it."""

import dataclasses
import math

import keras
from keras import layers

from eseg_keras.layers import NearestUpsampling, Resize


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """Cost of one layer at a given image size.

    Attributes:
        name: Path of the layer, such as `"decoder/bifpn_1/P3_top_down_bn"`.
        kind: Class name.
        output_shape: Shape of the output without the batch axis: (height, width, channels) for
            feature maps.
        params: Parameters, moving statistics included.
        macs: Multiply-adds of convolutions and dense layers; multiplications by the zeros of the
            padding are counted, too.
        batched_macs: `macs` if dilated convolutions (except depthwise and 1x1) run by SpaceToBatch,
            as in TensorFlow 1: each output side is padded to a multiple of the dilation rate. The
            published FLOPs of DeepLab are counted in this way.
        activation_bytes: Size of the float32 output for one image.
        receptive_field: Pixels of the image along one axis that the output can depend on through
            convolutions, pooling windows and bilinear upsampling (global pooling, also that of
            squeeze-and-excitation, is not counted: it covers the whole image).
        step: Stride of the output: image pixels per output cell along one axis.
    """

    name: str
    kind: str
    output_shape: tuple
    params: int
    macs: int
    batched_macs: int
    activation_bytes: int
    receptive_field: int
    step: int

    @property
    def stage(self) -> str:
        """The part of the network, such as an encoder stride, a BiFPN repeat or the head."""
        parts = self.name.split("/")
        if parts[0] == "encoder":
            return f"encoder /{self.step}"
        return "/".join(parts[:-1]) or parts[0]


@dataclasses.dataclass(frozen=True)
class Profile:
    """Cost of a network at one image size.

    Attributes:
        image_shape: (height, width, channels) of the image.
        layers: One `LayerProfile` per layer, in the order of computation.
        trainable_params: Trainable parameters.
        total_params: All parameters.
    """

    image_shape: tuple[int, int, int]
    layers: tuple[LayerProfile, ...]
    trainable_params: int
    total_params: int

    @property
    def macs(self) -> int:
        """Multiply-adds of the whole network for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def batched_macs(self) -> int:
        """Multiply-adds if dilated convolutions run by SpaceToBatch, see `LayerProfile`."""
        return sum(layer.batched_macs for layer in self.layers)

    @property
    def stages(self) -> list[dict]:
        """One dict per stage: name, layers, params, macs, activation_bytes, receptive_field."""
        stages = {}
        for layer in self.layers:
            row = stages.setdefault(
                layer.stage,
                {"name": layer.stage, "layers": 0, "params": 0, "macs": 0,
                 "activation_bytes": 0, "receptive_field": 1},
            )  # fmt: skip
            row["layers"] += 1
            for key in ("params", "macs", "activation_bytes"):
                row[key] += getattr(layer, key)
            row["receptive_field"] = max(row["receptive_field"], layer.receptive_field)
        return list(stages.values())


def profile(
    model: keras.Model | str, image_size: tuple[int, int] = (1024, 2048), **overrides
) -> Profile:
    """Count parameters, multiply-adds, activation memory and receptive field by layer.

    Args:
        model: An ESeg, or the name of a preset. Presets are built without allocating weights.
        image_size: (height, width) of the image, batch 1. Defaults to (1024, 2048).
        **overrides: For a preset: arguments of `ESeg` to change, such as `num_classes`.

    Returns:
        A `Profile`.

    Example:

    >>> from eseg_keras.models import profile
    >>> profile("eseg_lite_s", (1024, 2048)).macs
    17141686784
    """
    from eseg_keras.models.eseg import ESeg

    if isinstance(model, str):
        with _without_weights():
            model = ESeg.from_preset(
                model, load_weights=False, **{"image_shape": (*image_size, 3), **overrides}
            )
    elif overrides:
        raise ValueError(
            "Overrides can only be given with the name of a preset. Received: a model, and the "
            f"overrides {overrides}"
        )
    image_shape = (*image_size, model.image_shape[-1])
    if tuple(model.image_shape) != image_shape:
        if model.encoder_name is None:
            raise ValueError(
                "A model with a custom encoder can only be profiled at its own image_shape. "
                f"Received: image_size={tuple(image_size)}, "
                f"image_shape={tuple(model.image_shape)}."
            )
        with _without_weights():
            model = ESeg.from_config({**model.get_config(), "image_shape": image_shape})
    rows = []
    _walk(model, {id(model.input): (1, 1)}, "", rows)
    trainable = sum(math.prod(v.shape) for v in model.trainable_variables)
    return Profile(image_shape, tuple(rows), trainable, model.count_params())


def _without_weights():
    return keras.StatelessScope(initialize_variables=False)


def _walk(model, fields, prefix, rows):
    """Append a profile of each layer of a functional model to `rows`."""
    # `fields` maps the ids of tensors to (receptive field, step).
    for operation in model.operations:
        if isinstance(operation, layers.InputLayer):
            continue
        node = _node_within(operation, fields)
        inputs = [fields[id(t)] for t in node.input_tensors]
        if isinstance(operation, keras.Model) and not isinstance(operation, keras.Sequential):
            inner = {id(own): field for own, field in zip(operation.inputs, inputs, strict=True)}
            _walk(operation, inner, f"{prefix}{operation.name}/", rows)
            outputs = [inner[id(t)] for t in operation.outputs]
        else:
            outputs = [_field(operation, inputs, node)] * len(node.output_tensors)
            rows.append(_row(operation, node, f"{prefix}{operation.name}", outputs[0]))
        for tensor, field in zip(node.output_tensors, outputs, strict=True):
            fields[id(tensor)] = field


def _node_within(operation, fields):
    """Return the node (call) of an operation that belongs to the walked model."""
    for node in operation._inbound_nodes:
        if all(id(tensor) in fields for tensor in node.input_tensors):
            return node
    raise ValueError(f"Layer {operation.name!r} has no call within the model.")


def _row(operation, node, name, field):
    inputs, output = node.input_tensors, node.output_tensors[0]
    shape = tuple(output.shape[1:])
    macs = _macs(operation, tuple(inputs[0].shape), tuple(output.shape))
    return LayerProfile(
        name=name,
        kind=type(operation).__name__,
        output_shape=shape,
        params=operation.count_params() if isinstance(operation, layers.Layer) else 0,
        macs=macs,
        batched_macs=_batched_macs(operation, macs, shape),
        activation_bytes=4 * math.prod(shape),
        receptive_field=field[0],
        step=field[1],
    )


def _macs(operation, input_shape, output_shape):
    if isinstance(operation, keras.Sequential):
        total, shape = 0, input_shape
        for layer in operation.layers:
            after = layer.compute_output_shape(shape)
            total += _macs(layer, shape, after)
            shape = after
        return total
    if isinstance(operation, layers.Conv2D | layers.DepthwiseConv2D):
        # Every output position multiplies each entry of the kernel once.
        return math.prod(operation.kernel.shape) * math.prod(output_shape[1:3])
    if isinstance(operation, layers.Dense):
        return math.prod(operation.kernel.shape) * math.prod(output_shape[1:-1])
    return 0


def _batched_macs(operation, macs, shape):
    # TensorFlow 1 runs dilated depthwise convolutions directly; 1x1 convolutions need no dilation.
    if type(operation) is not layers.Conv2D or operation.kernel_size == (1, 1):
        return macs
    cells = [
        -(-size // rate) * rate
        for size, rate in zip(shape[:2], operation.dilation_rate, strict=True)
    ]
    return macs // math.prod(shape[:2]) * math.prod(cells)


def _field(operation, inputs, node):
    """Return (receptive field, step) of an output from those of its inputs."""
    spatial = [
        field
        for field, tensor in zip(inputs, node.input_tensors, strict=True)
        if len(tensor.shape) == 4 and tensor.shape[1:3] != (1, 1)
    ] or inputs
    if isinstance(operation, Resize | NearestUpsampling):
        # The second input gives the size; each output pixel reads at most two cells per axis.
        field, step = inputs[0]
        reach = step if isinstance(operation, Resize) else 0
        return field + reach, inputs[1][1]
    field, step = max(spatial)[0], max(step for _, step in spatial)
    if isinstance(operation, keras.Sequential):
        for layer in operation.layers:
            field, step = _extend(layer, field, step)
        return field, step
    return _extend(operation, field, step)


def _extend(operation, field, step):
    window = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
    if window is None:
        return field, step
    dilation = getattr(operation, "dilation_rate", (1, 1))[0]
    return field + (window[0] - 1) * dilation * step, step * operation.strides[0]

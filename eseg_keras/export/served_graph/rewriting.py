"""Replace slow layers of a folded network by faster ones with the same outputs."""

import functools
import operator

import keras
import numpy as np
from keras import layers, ops

from eseg_keras.export.served_graph.level_sum import LevelSum, ResizeByProducts
from eseg_keras.export.served_graph.packing import (
    MOST_FILTERS,
    CenterRows,
    PackedConv,
    PackingConv,
    RowConv,
)
from eseg_keras.layers import ImageScaling, NearestUpsampling, Resize, WeightedFusion

# The first scalar of a fusion is folded into the next depthwise convolution only if it is larger
# than this share of the largest scalar. Folding divides the other scalars by the first, and a small
# divisor would lose precision.
_SMALLEST_RATIO = 1e-3


def faster_network(
    model: keras.Model,
    images: keras.KerasTensor | None = None,
    channels_first: bool = False,
    images_channels_first: bool = False,
    pack_columns: bool = False,
) -> keras.Model:
    """Replace slow layers of `model`, the encoder, decoder or head of a network after BN folding.

    - The scale of `ImageScaling` is folded into the next convolution; a `CenterImages` remains. If
      `images_channels_first`, it computes in [B, C, H, W].
    - The first scalar of a fusion is folded into the next depthwise convolution. The scalars of
      upsampled inputs are applied before the upsampling.
    - Nearest-neighbour upsampling and cropping become one `NearestResize`.
    - A sum of resized levels becomes one `LevelSum`, which also resizes. If `channels_first`, other
      `Resize` layers become `ResizeByProducts`.
    - If `pack_columns`, the first convolution computes on rows of images (see `RowConv`), and a
      convolution with few filters before one of stride 2 packs its columns (see `PackingConv`).

    `model` must not be used afterwards: its layers are reused, and some weights change. `images`
    replaces the input of an encoder and may have any dtype.
    """
    rewriting = _Rewriting(channels_first, images_channels_first, pack_columns)
    rewriting.plan(model)
    clone = keras.models.clone_model(
        model,
        input_tensors=images,
        clone_function=lambda layer: rewriting.replaced.get(id(layer), layer),
        call_function=rewriting.call,
        recursive=True,
    )
    return keras.Model(clone.input, clone.output, name=model.name)


def only_scales_images(encoder: keras.Model) -> bool:
    """Return whether an encoder's images go only to `ImageScaling`, which takes any dtype."""
    entered = _consumers(encoder)[id(encoder.input._keras_history.operation)]
    return all(isinstance(operation, ImageScaling) for operation in entered)


class _Rewriting:
    """Plans and applies the replacement of the slow layers."""

    def __init__(self, channels_first, images_channels_first, pack_columns):
        self.channels_first = channels_first
        self.images_channels_first = images_channels_first
        self.pack_columns = pack_columns
        self.replaced = {}
        self.skipped = set()

    def plan(self, model):
        consumers = _consumers(model)
        for operation in model.operations:
            # `Sequential` has no `operations`, so `Sequential` blocks of ConvNeXt are not changed.
            if isinstance(operation, keras.Model) and not isinstance(operation, keras.Sequential):
                self.plan(operation)
            following = consumers.get(id(operation), [])
            if isinstance(operation, ImageScaling):
                self._plan_scaling(operation, following)
            if isinstance(operation, Resize) and self.channels_first:
                self.replaced[id(operation)] = ResizeByProducts(
                    name=operation.name, dtype=operation.dtype_policy
                )
            if isinstance(operation, WeightedFusion):
                self._plan_fusion(operation, following, consumers)
            if isinstance(operation, layers.ReLU) and self.pack_columns:
                self._plan_packing(operation, following, consumers)

    def call(self, layer, *args, **kwargs):
        return args[0] if id(layer) in self.skipped else layer(*args, **kwargs)

    def _plan_scaling(self, scaling, following):
        if not _is_alone(following, layers.Conv2D) or following[0].groups != 1:
            return
        kernel, *others = following[0].get_weights()
        channels = kernel.shape[2]
        scale = np.broadcast_to(np.asarray(scaling.scale, "float64"), channels)
        means = -np.asarray(scaling.offset, "float64") / scale
        kernel = kernel * scale[:, None]
        if scaling.reverse_channels:
            kernel, means = kernel[:, :, ::-1], means[::-1]
        following[0].set_weights([kernel, *others])
        if self.pack_columns and _is_same(following[0]):
            self.replaced[id(scaling)] = CenterRows(means, name=scaling.name)
            self._replace(following[0], RowConv)
        else:
            self.replaced[id(scaling)] = CenterImages(
                means, self.images_channels_first, name=scaling.name
            )

    def _plan_packing(self, relu, following, consumers):
        before = relu._inbound_nodes[0].input_tensors[0]._keras_history.operation
        if (
            _is_alone(consumers[id(before)], layers.ReLU)
            and _is_alone(following, layers.Conv2D)
            and _is_same(before, (3, 3), (1, 1))
            and _is_same(following[0], (3, 3), (2, 2))
            and before.activation is keras.activations.linear
            and before.filters <= MOST_FILTERS
        ):
            self._replace(before, PackingConv)
            self._replace(following[0], PackedConv)

    def _replace(self, convolution, kind):
        self.replaced[id(convolution)] = kind(
            convolution, name=convolution.name, dtype=convolution.dtype_policy
        )

    def _plan_fusion(self, fusion, following, consumers):
        inputs = [tensor._keras_history.operation for tensor in fusion.input]
        scalars = np.ones(len(inputs))
        if fusion.normalization != "sum":
            scalars = ops.convert_to_numpy(fusion.scalars()).astype("float64")
        is_before_depthwise = _is_alone(following, layers.DepthwiseConv2D)
        if is_before_depthwise and scalars[0] > _SMALLEST_RATIO * scalars.max():
            kernel, *others = following[0].get_weights()
            following[0].set_weights([kernel * scalars[0], *others])
            scalars = scalars / scalars[0]
        options = {"name": fusion.name, "dtype": fusion.dtype_policy}

        def is_own(layer, kind):
            return isinstance(layer, kind) and consumers[id(layer)] == [fusion]

        if all(is_own(layer, Resize) and layer.input[1] is fusion.input[0] for layer in inputs[1:]):
            for layer in inputs[1:]:
                self.skipped.add(id(layer))
                self.replaced.pop(id(layer), None)
            self.replaced[id(fusion)] = LevelSum(scalars, self.channels_first, **options)
            return
        for i, layer in enumerate(inputs):
            if is_own(layer, NearestUpsampling):
                self.replaced[id(layer)] = NearestResize(
                    scalars[i], name=layer.name, dtype=layer.dtype_policy
                )
                scalars[i] = 1.0
        self.replaced[id(fusion)] = ScaledSum(scalars, **options)


def _is_alone(following, kind):
    """Return whether exactly one layer follows, has the class `kind`, and is called only once."""
    return len(following) == 1 and (
        type(following[0]) is kind and len(following[0]._inbound_nodes) == 1
    )


def _is_same(layer, kernel_size=None, strides=None):
    """Return whether a layer is a `Conv2D` with `padding="same"` and, if given, these sizes."""
    return (
        type(layer) is layers.Conv2D
        and (layer.padding, layer.groups, layer.dilation_rate) == ("same", 1, (1, 1))
        and kernel_size in (None, layer.kernel_size)
        and strides in (None, layer.strides)
    )


def _consumers(model):
    """Return {id of an operation: operations that use its result, `None` for a model output}."""
    consumers = {}
    for tensor in model.outputs:
        consumers.setdefault(id(tensor._keras_history.operation), []).append(None)
    for operation in model.operations:
        for node in operation._inbound_nodes:
            for tensor in node.input_tensors:
                consumers.setdefault(id(tensor._keras_history.operation), []).append(operation)
    return consumers


class CenterImages(keras.layers.Layer):
    """Cast images [B, H, W, C] to float32 and subtract one constant per channel.

    The scale of `ImageScaling` can be folded into the next convolution. The offset cannot be folded
    into the bias, because the convolution pads the scaled image with zeros, which correspond to the
    mean colour.
    """

    def __init__(self, means: list[float], channels_first: bool = False, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.means = [float(mean) for mean in means]
        self.channels_first = channels_first

    def call(self, images):
        """Return the centred images."""
        images = ops.cast(images, "float32")
        means = ops.convert_to_tensor(self.means, "float32")
        if not self.channels_first:
            return images - means
        # Converters remove the second transpose, because convolutions take [B, C, H, W] in ONNX.
        centred = ops.transpose(images, (0, 3, 1, 2)) - means[:, None, None]
        return ops.transpose(centred, (0, 2, 3, 1))

    def compute_output_spec(self, images):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor(images.shape, dtype="float32")


class ScaledSum(keras.layers.Layer):
    """Weighted sum of a list of feature maps [B, H, W, C]; multiplications by 1 are skipped."""

    def __init__(self, scalars: list[float], **kwargs):
        super().__init__(**kwargs)
        self.scalars = [float(scalar) for scalar in scalars]

    def call(self, inputs):
        """Return the weighted sum of the inputs."""
        # A chain of binary additions, because int8 converters keep an n-ary addition in float.
        return functools.reduce(operator.add, map(_times, inputs, self.scalars))

    def compute_output_spec(self, inputs):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)


class NearestResize(NearestUpsampling):
    """Multiply a feature map by a constant, and upsample it to the size of a finer level.

    The replaced layer repeats pixels and crops, because these operations have gradients under XLA.
    If h rows are upsampled to H = 2h or H = 2h - 1 rows, nearest-neighbour resizing gives the same
    result, provided that it takes row `i` from row `floor(i * h / H)`; the same holds for columns.
    """

    def __init__(self, scalar: float, **kwargs):
        super().__init__(**kwargs)
        self.scalar = float(scalar)

    def call(self, x, like):
        """Return `x`, scaled and upsampled to the height and width of `like`."""
        x = _times(x, self.scalar)
        if keras.backend.backend() != "tensorflow":
            return super().call(x, like)
        import tensorflow as tf

        size = wanted = ops.shape(like)[1:3]
        if all(isinstance(n, int) for n in (*size, *x.shape[1:3])):
            # For fixed sizes, ONNX files store the scale factor. Upsample by 2, which is exact, and
            # crop, because a factor such as 5 / 3 is not exact.
            size = (2 * x.shape[1], 2 * x.shape[2])
        x = tf.raw_ops.ResizeNearestNeighbor(
            images=x, size=size, align_corners=False, half_pixel_centers=False
        )
        return x if size == wanted else x[:, : wanted[0], : wanted[1]]


def _times(x, scalar):
    return x if scalar == 1 else x * scalar

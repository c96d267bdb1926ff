"""The bidirectional feature pyramid network of EfficientDet: one repeat, and the decoder."""

import keras
from keras import layers

from eseg_keras.decoders.feature_pyramid import align_pyramid, extend_pyramid, project_laterals
from eseg_keras.layers import AveragePooling, BatchNormalization, NearestUpsampling, WeightedFusion


@keras.saving.register_keras_serializable(package="eseg_keras")
class BiFPN(keras.Model):
    """One BiFPN repeat: a top-down pass, then a bottom-up pass over all levels.

    P_l are the inputs, T_l the features of the top-down pass and O_l the outputs:

        T_hi = P_hi,    T_l = node(P_l, up(T_{l+1}))
        O_lo = T_lo,    O_l = node(P_l, T_l, down(O_{l-1})),    O_hi = node(P_hi, down(O_{hi-1}))

    A node is a fast normalised fusion, a depthwise 3x3 and a 1x1 convolution without bias, batch
    normalisation and the activation. `up` is nearest-neighbour upsampling, and `down` is 3x3
    average pooling with stride 2.

    Args:
        feature_shapes: Dict from level name (`"P2"`, ...; consecutive levels, lowest first) to
            the feature's (height, width, channels); heights and widths may be `None`, and all
            channels must be equal.
        activation: Keras activation name. Defaults to `"silu"`.
        **kwargs: Keras model arguments such as `name`.

    Call arguments:
        features: Dict of float tensors [B, h_l, w_l, C], each level half the size of the one
            below it, rounded up.

    Returns:
        Dict of the same levels and shapes.

    Raises:
        ValueError: With fewer than two levels or unequal channels.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.decoders import BiFPN
    >>> bifpn = BiFPN({f"P{level}": (None, None, 8) for level in (3, 4, 5)})
    >>> out = bifpn({f"P{l}": np.zeros((1, 64 >> l, 64 >> l, 8), "float32") for l in (3, 4, 5)})
    >>> sorted(out)
    ['P3', 'P4', 'P5']

    Reference:
        [EfficientDet: Scalable and Efficient Object Detection](https://arxiv.org/abs/1911.09070)
    """

    def __init__(self, feature_shapes: dict, activation: str = "silu", **kwargs):
        feature_shapes = {level: tuple(shape) for level, shape in feature_shapes.items()}
        levels = list(feature_shapes)
        if len(levels) < 2 or len({shape[-1] for shape in feature_shapes.values()}) != 1:
            raise ValueError(
                "BiFPN needs at least two levels of equal channels. "
                f"Received: feature_shapes={feature_shapes}"
            )
        # === Functional Model ===
        inputs = {level: keras.Input(shape, name=level) for level, shape in feature_shapes.items()}
        top_down = {levels[-1]: inputs[levels[-1]]}
        for level, above in zip(levels[-2::-1], levels[:0:-1], strict=True):
            up = NearestUpsampling(name=f"{above}_up")(top_down[above], inputs[level])
            top_down[level] = _node([inputs[level], up], activation, f"{level}_top_down")
        outputs = {levels[0]: top_down[levels[0]]}
        for level, below in zip(levels[1:], levels[:-1], strict=True):
            down = AveragePooling(name=f"{below}_down")(outputs[below])
            parts = [inputs[level], top_down[level], down]
            if level == levels[-1]:
                parts.pop(1)  # T_hi is P_hi.
            outputs[level] = _node(parts, activation, f"{level}_bottom_up")
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.feature_shapes = feature_shapes
        self.activation = activation

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {
            "name": self.name,
            "feature_shapes": self.feature_shapes,
            "activation": self.activation,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build a model from a dict of `get_config`."""
        return cls(**config)


def bifpn_decoder(
    feature_shapes: dict,
    max_level: int,
    channels: int,
    repeats: int,
    activation: str,
    align: bool = False,
) -> keras.Model:
    """Build the decoder: a model from encoder features to fused features of `channels` channels.

    Args:
        feature_shapes: Dict from level name to (height, width, channels) of the encoder's
            features, lowest level first; heights and widths may be `None`.
        max_level: Highest level of the pyramid.
        channels: Number of channels of every level in the decoder.
        repeats: Number of BiFPN repeats; weights are not shared between them.
        activation: Keras activation name.
        align: Whether to pad the levels, for encoders that round sizes down. Defaults to `False`.

    Returns:
        A Keras model from the dict of features to a dict with the keys `"P<min>"`..`"P<max>"`. Each
        value is [B, h, w, channels], with the height and width of its level.

    Example:

    >>> from eseg_keras.decoders import bifpn_decoder
    >>> decoder = bifpn_decoder({"P2": (None, None, 24), "P3": (None, None, 40)}, 5, 16, 2, "silu")
    >>> sorted(decoder.output)
    ['P2', 'P3', 'P4', 'P5']
    """
    inputs = {level: keras.Input(shape, name=level) for level, shape in feature_shapes.items()}
    features = align_pyramid(inputs) if align else inputs
    features = project_laterals(extend_pyramid(features, max_level), channels)
    for repeat in range(1, repeats + 1):
        shapes = {level: x.shape[1:] for level, x in features.items()}
        features = BiFPN(shapes, activation, name=f"bifpn_{repeat}")(features)
    return keras.Model(inputs, features, name="decoder")


def _node(inputs, activation, name):
    x = WeightedFusion("fast", name=f"{name}_fusion")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.Conv2D(x.shape[-1], 1, use_bias=False, name=f"{name}_pointwise")(x)
    x = BatchNormalization(name=f"{name}_bn")(x)
    return layers.Activation(activation, name=f"{name}_activation")(x)

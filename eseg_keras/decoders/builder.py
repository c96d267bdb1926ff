"""Decoders by name."""

import keras

from eseg_keras.decoders.bifpn import BiFPN
from eseg_keras.decoders.feature_pyramid import align_pyramid, extend_pyramid, project_laterals


def bifpn_decoder(
    feature_shapes: dict,
    max_level: int,
    channels: int,
    repeats: int,
    activation: str,
    align: bool = False,
) -> keras.Model:
    """Build the decoder from encoder features to fused features of one width.

    Args:
        feature_shapes: Dict from level name to (height, width, channels) of the encoder's
            features, lowest level first; heights and widths may be `None`.
        max_level: Highest level of the pyramid.
        channels: Width of every level in the decoder.
        repeats: Number of BiFPN repeats; weights are not shared between them.
        activation: Keras activation name.
        align: Pad levels of an encoder that rounds its sizes down. Defaults to `False`.

    Returns:
        A Keras model from a dict of features to a dict `"P<min>"`..`"P<max>"` of
        [B, h_l, w_l, channels].

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


# `ESeg(decoder=NAME)` calls NAME's function with the arguments of `bifpn_decoder`.
DECODERS = {"bifpn": bifpn_decoder}

"""Checks of the arguments of ESeg."""

import keras

from eseg_keras.models.freezing import PARTS

DECODERS = ("bifpn",)
FUSIONS = ("softmax", "sum")


def check_arguments(
    encoder, num_classes, decoder, min_level, max_level, fusion, image_shape, ignore_label,
    class_names, palette, encoder_weights, frozen,
):  # fmt: skip
    """Raise one error for the first argument of `ESeg` that does not fit.

    Args:
        encoder: As in `ESeg`, like all others.
        num_classes: Number of classes.
        decoder: Name of the decoder.
        min_level: Lowest level.
        max_level: Highest level.
        fusion: Name of the fusion.
        image_shape: (H, W, C).
        ignore_label: Ignored label.
        class_names: Names or `None`.
        palette: Colours or `None`.
        encoder_weights: Weights of a named encoder.
        frozen: Names of parts.

    Raises:
        ValueError: With what was received and what was expected.
    """

    def check(holds, name, value, expected):
        if not holds:
            raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")

    check(isinstance(encoder, str | keras.Model), "encoder", encoder, "a name or a Keras model")
    check(
        isinstance(num_classes, int) and 1 <= num_classes <= 255,
        "num_classes", num_classes, "a whole number from 1 to 255 (label maps are uint8)",
    )  # fmt: skip
    check(decoder in DECODERS, "decoder", decoder, f"one of {list(DECODERS)}")
    check(fusion in FUSIONS, "fusion", fusion, f"one of {list(FUSIONS)}")
    check(
        1 <= min_level < max_level, "min_level", min_level, f"from 1 to below max_level={max_level}"
    )
    check(
        len(image_shape) == 3
        and all(size is None or size >= 32 for size in image_shape[:2])
        and isinstance(image_shape[2], int),
        "image_shape", image_shape, "(H, W, C) with H and W at least 32 or None",
    )  # fmt: skip
    check(
        not 0 <= ignore_label < num_classes,
        "ignore_label", ignore_label, f"outside the classes 0..{num_classes - 1}",
    )  # fmt: skip
    for name, value in (("class_names", class_names), ("palette", palette)):
        check(
            value is None or len(value) == num_classes,
            name, value, f"None or one entry for each of the {num_classes} classes",
        )  # fmt: skip
    check(
        palette is None or all(len(c) == 3 and all(0 <= v <= 255 for v in c) for c in palette),
        "palette", palette, "(r, g, b) of 0..255 for every class",
    )  # fmt: skip
    check(
        encoder_weights is None or isinstance(encoder, str),
        "encoder_weights", encoder_weights, "None when the encoder is a Keras model",
    )  # fmt: skip
    check(set(frozen) <= set(PARTS), "frozen", frozen, f"any of {list(PARTS)}")

"""Checks of the arguments of ESeg."""

import numbers
import re

import keras

from eseg_keras.decoders import DECODERS, DecoderSpec
from eseg_keras.image_size import SMALLEST_SIDE

_FUSIONS = ("softmax", "sum")
_PARTS = ("encoder", "decoder", "head", "batch_norm")


def decoder_spec(name: str) -> DecoderSpec:
    """Return the entry of `DECODERS` named `name`, or raise ValueError."""
    if name not in DECODERS:
        raise ValueError(f"`decoder` must be one of {list(DECODERS)}. Received: decoder={name!r}")
    return DECODERS[name]


def check_arguments(
    encoder, num_classes, decoder, min_level, max_level, sizes, output_stride, activation, fusion,
    image_shape, ignore_label, class_names, palette, encoder_weights, frozen,
):  # fmt: skip
    """Raise ValueError for the first invalid argument of `ESeg`."""

    def check(holds, name, value, expected):
        if not holds:
            raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")

    check(isinstance(encoder, str | keras.Model), "encoder", encoder, "a name or a Keras model")
    check(
        _is_whole(num_classes) and 1 <= num_classes <= 255,
        "num_classes", num_classes, "a whole number from 1 to 255 (label maps are uint8)",
    )  # fmt: skip
    strides = DECODERS[decoder].output_strides
    check(
        output_stride in strides,
        "output_stride", output_stride,
        f"{' or '.join(map(str, strides))} for the decoder {decoder!r}",
    )  # fmt: skip
    check(
        output_stride == 32 or isinstance(encoder, str),
        "output_stride", output_stride, "32 when the encoder is a Keras model",
    )  # fmt: skip
    check(fusion in _FUSIONS, "fusion", fusion, f"one of {list(_FUSIONS)}")
    check(isinstance(activation, str), "activation", activation, "the name of a Keras activation")
    for name, value in (("min_level", min_level), ("max_level", max_level)):
        check(_is_whole(value) and value >= 1, name, value, "a whole number, at least 1")
    check(min_level < max_level, "min_level", min_level, f"below max_level={max_level}")
    for name, value in sizes.items():
        check(_is_whole(value) and value >= 1, name, value, "a whole number, at least 1")
    check(
        len(image_shape) == 3
        and all(
            size is None or (_is_whole(size) and size >= SMALLEST_SIDE) for size in image_shape[:2]
        )
        and _is_whole(image_shape[2]),
        "image_shape", image_shape, f"(H, W, C) with H and W at least {SMALLEST_SIDE} or None",
    )  # fmt: skip
    check(
        _is_whole(ignore_label) and not 0 <= ignore_label < num_classes,
        "ignore_label", ignore_label, f"a whole number outside the classes 0..{num_classes - 1}",
    )  # fmt: skip
    for name, value in (("class_names", class_names), ("palette", palette)):
        check(
            value is None or (not isinstance(value, str) and len(value) == num_classes),
            name, value, f"None or one entry for each of the {num_classes} classes",
        )  # fmt: skip
    check(
        class_names is None or len(set(class_names)) == num_classes,
        "class_names", class_names, "unique names",
    )  # fmt: skip
    check(
        palette is None or all(len(c) == 3 and all(0 <= v <= 255 for v in c) for c in palette),
        "palette", palette, "one (r, g, b) per class, each value 0..255",
    )  # fmt: skip
    check(
        encoder_weights is None or isinstance(encoder, str),
        "encoder_weights", encoder_weights, "None when the encoder is a Keras model",
    )  # fmt: skip
    check(set(frozen) <= set(_PARTS), "frozen", frozen, f"any of {list(_PARTS)}")
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "ESeg works on channels_last images. Received: image_data_format='channels_first' in "
            "Keras' settings. Call keras.config.set_image_data_format('channels_last') first."
        )


def check_parts(parts) -> None:
    """Raise ValueError for names that are not in `_PARTS`."""
    if unknown := set(parts) - set(_PARTS):
        raise ValueError(f"Unknown parts {sorted(unknown)}. Expected any of {list(_PARTS)}.")


def check_encoder(encoder: keras.Model, image_shape: tuple):
    """Raise ValueError if a Keras model cannot be the encoder for images of `image_shape`."""
    outputs = encoder.output
    levels = list(outputs) if isinstance(outputs, dict) else None
    if not levels or not all(re.fullmatch(r"P?[1-9]", str(level)) for level in levels):
        received = f"a dict of {levels}" if levels else type(outputs).__name__
        raise ValueError(
            "The encoder must return a dict of features 'P2', 'P3', ... (or 2, 3, ...), with Pl at "
            f"stride 2^l. Received: {received}"
        )
    expected = encoder.input_shape[1:]
    if len(expected) != 3 or any(
        have is not None and have != want for have, want in zip(expected, image_shape, strict=True)
    ):
        raise ValueError(
            f"The encoder takes images of shape {expected}. Received: image_shape={image_shape}. "
            f"Pass image_shape={expected}, or an encoder for that image_shape."
        )


def check_decoder(name: str, decoder: keras.Model, min_level: int, max_level: int):
    """Raise ValueError if the name or the levels of a decoder are wrong.

    The name must be "decoder", because weights are found by the name.
    """
    levels = [f"P{level}" for level in range(min_level, max_level + 1)]
    found = list(decoder.output) if isinstance(decoder.output, dict) else type(decoder.output)
    if decoder.name != "decoder" or found not in (levels, levels[:1]):
        raise ValueError(
            f"The decoder {name!r} must be a model named 'decoder' that returns a dict of the "
            f"levels {levels} or of {levels[0]} only. Received: name={decoder.name!r}, "
            f"levels {found}"
        )


def _is_whole(value) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)

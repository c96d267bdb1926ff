"""The exported network, with pre- and post-processing: images in, label maps out."""

from collections.abc import Sequence

import keras
from keras import ops

from eseg_keras.export.preparation import check_choice
from eseg_keras.export.served_graph.argmax import CellArgmax
from eseg_keras.export.served_graph.level_sum import ResizeByProducts, resize_by_products
from eseg_keras.export.served_graph.rewriting import faster_network, only_scales_images
from eseg_keras.layers import Resize
from eseg_keras.layers.resize import resize

OUTPUT_KINDS = ("labels", "logits", "probabilities")


def serving_model(
    model: keras.Model,
    output_kind: str = "labels",
    input_dtype: str = "uint8",
    image_size: tuple[int | None, int | None] = (None, None),
    *,
    channels_first: bool = False,
    shortcut: bool = True,
    ends_channels_first: bool = False,
    pack_columns: bool = False,
) -> keras.Model:
    """Build the network that is exported: with folded batch norm, pre- and post-processing.

    Some layers are replaced by faster ones; the outputs equal the model's up to rounding.

    Args:
        model: An `ESeg` model. Its averaged weights are used if it has any.
        output_kind: `"labels"` for uint8 label maps [B, H, W], `"logits"` for float32
            [B, H, W, num_classes], or `"probabilities"`, their softmax.
        input_dtype: dtype of the images, `"uint8"` or `"float32"`, with values of 0..255 for both.
        image_size: (height, width) of the images; `None` for any height or width.
        channels_first: Whether the faster layers, such as sums over pyramid levels, compute in [B,
            C, H, W], the layout of convolutions in ONNX Runtime. Defaults to `False`.
        shortcut: For `"labels"`: whether logits are interpolated only near boundaries between
            classes (see `CellArgmax`). The latency then depends on the image. Defaults to `True`;
            `False` should be faster on GPUs, but was not measured there.
        ends_channels_first: Whether the first and the last layer move the channel axis forward: the
            images are centred in [B, C, H, W], and, for `"labels"`, `CellArgmax` moves the class
            axis before the argmax. This is faster in OpenVINO. Defaults to `False`.

    Returns:
        A functional Keras model with folded batch normalisation (see `ESeg.fold`). It has one
        input, `"images"`, and one output, named after `output_kind`.

    Raises:
        ValueError: If `output_kind` or `input_dtype` is invalid.

    Example:

    >>> import numpy as np
    >>> import eseg_keras
    >>> from eseg_keras.export import serving_model
    >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
    >>> np.asarray(serving_model(model)(np.zeros((1, 40, 60, 3), "uint8"))).shape
    (1, 40, 60)
    """
    check_kinds(output_kind, input_dtype)
    network = serving_models(
        model,
        [output_kind],
        input_dtype,
        image_size,
        channels_first=channels_first,
        shortcut=shortcut,
        ends_channels_first=ends_channels_first,
        pack_columns=pack_columns,
    )
    return network[output_kind]


def serving_models(
    model: keras.Model,
    output_kinds: Sequence[str],
    input_dtype: str,
    image_size: tuple[int | None, int | None],
    *,
    channels_first: bool = False,
    shortcut: bool = True,
    ends_channels_first: bool = False,
    pack_columns: bool = False,
) -> dict[str, keras.Model]:
    """Return {output kind: `serving_model`}; the models of several kinds share their layers."""
    folded = model.fold()
    channels = folded.image_shape[-1]
    images = keras.Input((*image_size, channels), dtype=input_dtype, name="images")
    layouts = {
        "channels_first": channels_first,
        "images_channels_first": channels_first or ends_channels_first,
        "pack_columns": pack_columns,
    }
    if only_scales_images(folded.encoder):
        encoder = faster_network(folded.encoder, images, **layouts)
        features = encoder(images)
    else:
        encoder = faster_network(folded.encoder, **layouts)
        features = encoder(ops.cast(images, "float32"))
    by_level = {int(str(level).lstrip("P")): x for level, x in features.items()}
    decoder = faster_network(folded.decoder, channels_first=channels_first)
    head = faster_network(folded.head, channels_first=channels_first)
    cells = head(decoder({level: by_level[int(level[1:])] for level in decoder.input}))
    served = {}
    for kind in output_kinds:
        if kind == "labels":
            stride = 2**folded.min_level if shortcut else None
            in_full = resize_by_products if channels_first else resize
            argmax = CellArgmax(stride, in_full, ends_channels_first, name="cell_argmax")
            result = argmax(cells, images)
        else:
            layer = ResizeByProducts if channels_first else Resize
            result = layer(dtype="float32", name="upsample")(cells, images)
            if kind == "probabilities":
                result = ops.softmax(result)
        served[kind] = keras.Model(images, keras.layers.Identity(name=kind)(result), name="eseg")
        served[kind].autocast = False
    return served


def check_kinds(output_kind: str, input_dtype: str) -> None:
    """Raise `ValueError` unless both arguments are valid for `serving_model`."""
    check_choice("output_kind", output_kind, OUTPUT_KINDS)
    check_choice("input_dtype", input_dtype, ("uint8", "float32"))

"""ESeg: encoder, pyramid up to P9, BiFPN, learnable-softmax fusion, head."""

import functools
import logging

import keras
import numpy as np
from keras import ops

from eseg_keras.decoders.head import segmentation_head
from eseg_keras.image_size import SMALLEST_SIDE, to_pixel_values
from eseg_keras.layers import Resize
from eseg_keras.layers.likeliest_class import label_map
from eseg_keras.losses import CrossEntropy
from eseg_keras.metrics import SegmentationScores
from eseg_keras.models.arguments import (
    check_arguments,
    check_decoder,
    check_parts,
    decoder_spec,
)
from eseg_keras.models.encoder_model import EncoderModel, dtype_scope, encoder_and_name
from eseg_keras.models.folding import fold_layers, transfer_folded, unfoldable_layers
from eseg_keras.presets.catalog import PRESETS

# For batch size 8 and training from random or ImageNet weights. The paper uses 0.08, for batch size
# 16 and with warm-up.
DEFAULT_LEARNING_RATE = 0.02
DEFAULT_MOMENTUM = 0.9

_log = logging.getLogger("eseg_keras")


@keras.saving.register_keras_serializable(package="eseg_keras")
class ESeg(EncoderModel):
    """Semantic segmentation network of "Revisiting Multi-Scale Feature Fusion".

    Most users start from a preset, with their own number of classes:

        model = ESeg.from_preset("eseg_edge_s", num_classes=3)
        model.compile()
        model.fit(dataset)  # Batches (images, masks), see `eseg_keras.data.from_folders`.
        label_map = model.segment(image)
        model.save_to_preset("my_preset")

    `ESeg.presets` lists the presets. The constructor is for networks of other sizes.

    The encoder computes features up to P5, average pooling adds P6 to P9, and a BiFPN fuses them.
    All levels are upsampled to the resolution of the lowest level and summed with learnable softmax
    weights, and a light head classifies every cell. The logits are upsampled bilinearly to the size
    of the image. The model is a functional Keras model with Keras' `fit`, `predict`, `save` and
    `summary`.

    Args:
        encoder: Name of an encoder (`eseg_keras.encoders.encoder_names()`), or any Keras model from
            images to a dict of features `"P2"`, `"P3"`, ... (or 2, 3, ...), with Pl at stride 2^l.
        num_classes: Number of classes, 1 to 255.
        decoder: Name of a decoder (`eseg_keras.decoders.DECODERS`). Defaults to `"bifpn"`.
        min_level: Lowest level of the decoder; the head runs at its resolution. Defaults to 2.
        max_level: Highest level of the decoder; for `"deeplabv3plus"`, it must be a level of the
            encoder. Defaults to 9, or 5 for `"deeplabv3plus"`.
        decoder_channels: Width of the decoder. Defaults to 96, or 256 for `"deeplabv3plus"`.
        decoder_repeats: Number of BiFPN repeats, of top-down passes of `"fpn"`, or of separable
            convolutions of `"deeplabv3plus"`. Defaults to 4 for a BiFPN, else to 1.
        activation: Activation of the decoder and the head. Defaults to `"silu"`.
        fusion: `"softmax"` for the learnable fusion over levels, `"sum"` for a plain sum.
        image_shape: (H, W, C) of the images; H and W are at least 32, or `None` for any size.
        ignore_label: Label that the loss and the metrics ignore. Defaults to 255.
        class_names: Names of the classes, or `None`.
        palette: One (r, g, b) of 0..255 per class, or `None`.
        encoder_weights: For an encoder given by name: `None`, `"imagenet"` or a path, see
            `build_encoder`.
        output_stride: Stride of the encoder's last stage: 32, or 16 by dilated convolutions. 16
            requires the decoder `"deeplabv3plus"` and an encoder given by name. Defaults to 32.
        folded: Build without batch normalisation and with constant fusion weights: the structure
            that `fold()` returns. Defaults to `False`.
        frozen: Parts that are not trained, see `freeze`.
        dtype: Keras dtype policy of the network, such as `"mixed_bfloat16"`; the global policy by
            default. Logits are float32 under every policy.
        name: Name of the model.

    Attributes:
        training_long_side: Typical length in pixels of the longer side of the training images, at
            the size at which the network saw them; `None` if unknown. `eseg_keras.training.train`
            sets this attribute, and presets store it.

    Call arguments:
        images: Tensor [B, H, W, C], uint8 or float, with values 0..255; RGB if C is 3.

    Returns:
        Float32 logits [B, H, W, num_classes].

    Raises:
        ValueError: For an invalid argument; the message has the received and the expected value.

    Example:

    >>> import numpy as np
    >>> import eseg_keras
    >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=11, min_level=3)
    >>> tuple(model(np.zeros((1, 45, 60, 3), "uint8")).shape)
    (1, 45, 60, 11)

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683)
    """

    presets = PRESETS

    def __init__(
        self,
        encoder: str | keras.Model,
        num_classes: int,
        decoder: str = "bifpn",
        min_level: int = 2,
        max_level: int | None = None,
        decoder_channels: int | None = None,
        decoder_repeats: int | None = None,
        activation: str = "silu",
        fusion: str = "softmax",
        image_shape: tuple[int | None, int | None, int] = (None, None, 3),
        ignore_label: int = 255,
        class_names: tuple[str, ...] | None = None,
        palette: tuple[tuple[int, int, int], ...] | None = None,
        encoder_weights: str | None = None,
        output_stride: int = 32,
        folded: bool = False,
        frozen: tuple[str, ...] = (),
        dtype=None,
        name: str = "eseg",
    ):
        image_shape = tuple(image_shape)
        spec = decoder_spec(decoder)
        max_level = spec.max_level if max_level is None else max_level
        decoder_channels = spec.channels if decoder_channels is None else decoder_channels
        decoder_repeats = spec.repeats if decoder_repeats is None else decoder_repeats
        sizes = {"decoder_channels": decoder_channels, "decoder_repeats": decoder_repeats}
        check_arguments(
            encoder, num_classes, decoder, min_level, max_level, sizes, output_stride, activation,
            fusion, image_shape, ignore_label, class_names, palette, encoder_weights, frozen,
        )  # fmt: skip
        num_classes, ignore_label = int(num_classes), int(ignore_label)
        with dtype_scope(dtype):
            # === Layers ===
            encoder, encoder_name = encoder_and_name(
                encoder, image_shape, encoder_weights, output_stride
            )
            if folded:
                encoder = fold_layers(encoder)
            # No autocast: half precision would round float images before they are scaled.
            encoder.autocast = False
            features = _pyramid_levels(encoder.output, min_level, max_level)
            shapes = {level: tuple(x.shape[1:]) for level, x in features.items()}
            decoder_model = spec.build(
                shapes,
                max_level,
                decoder_channels,
                decoder_repeats,
                activation,
                align=not _rounds_up(encoder, image_shape),
            )
            check_decoder(decoder, decoder_model, min_level, max_level)
            shapes = {level: tuple(x.shape[1:]) for level, x in decoder_model.output.items()}
            head = segmentation_head(shapes, num_classes, activation, fusion)
            if folded:
                decoder_model, head = fold_layers(decoder_model), fold_layers(head)

            # === Functional Model ===
            images = keras.Input(image_shape, name="images")
            features = _pyramid_levels(encoder(images), min_level, max_level)
            fused = decoder_model({level: features[level] for level in decoder_model.input})
            logits = head(fused)
            logits = Resize(dtype="float32", name="logits")(logits, images)
            super().__init__(inputs=images, outputs=logits, name=name)

        # === Config ===
        self.autocast = False
        self.encoder = encoder
        self.decoder = decoder_model
        self.head = head
        self.encoder_name = encoder_name
        self.decoder_name = decoder
        self.num_classes = num_classes
        self.min_level = min_level
        self.max_level = max_level
        self.decoder_channels = decoder_channels
        self.decoder_repeats = decoder_repeats
        self.activation = activation
        self.fusion = fusion
        self.output_stride = output_stride
        self.image_shape = image_shape
        self.ignore_label = ignore_label
        # Stored as tuples: Keras does not track tuples of strings or numbers.
        self.class_names = None if class_names is None else tuple(class_names)
        self.palette = None if palette is None else tuple(tuple(map(int, c)) for c in palette)
        self.training_long_side = None
        self.folded = folded
        self.frozen = ()
        if frozen:
            self.freeze(*frozen)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "auto",
        loss: str | keras.losses.Loss = "auto",
        metrics: str | list | None = "auto",
        **kwargs,
    ):
        """Configure training; without arguments the model is ready for `fit`.

        Args:
            optimizer: `"auto"` is SGD with momentum 0.9 and learning rate 0.02.
            loss: `"auto"` is `eseg_keras.losses.CrossEntropy` with the model's ignore label.
            metrics: `"auto"` is mean IoU and pixel accuracy.
            **kwargs: The other arguments of `TrainingModel.compile`, such as `weight_decay`,
                `ema_decay` and `global_clipnorm`, and of `keras.Model.compile`.

        Example:

        >>> import eseg_keras
        >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
        >>> model.compile()
        >>> type(model.optimizer).__name__
        'SGD'
        """
        if isinstance(optimizer, str) and optimizer == "auto":
            optimizer = keras.optimizers.SGD(DEFAULT_LEARNING_RATE, momentum=DEFAULT_MOMENTUM)
        if isinstance(loss, str) and loss == "auto":
            loss = CrossEntropy(ignore_label=self.ignore_label)
        if isinstance(metrics, str) and metrics == "auto":
            metrics = [SegmentationScores(self.num_classes, ignore_label=self.ignore_label)]
        # In a closure, because Keras tracks assigned attributes: metrics would be tracked twice.
        self._compile_arguments = lambda: {"loss": loss, "metrics": metrics, **kwargs}
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def segment(self, image, image_range: tuple[float, float] | None = None) -> np.ndarray:
        """Predict the class of every pixel of an image.

        Args:
            image: Array [H, W, C], or a batch [B, H, W, C], H and W at least 32.
            image_range: (lowest, highest) possible pixel value. Defaults to (0, 65535) for uint16
                images and (0, 255) for all others; with these defaults, values that suggest another
                range, such as floats up to 1, raise ValueError.

        Returns:
            NumPy label map [H, W] (or [B, H, W]), uint8.

        Raises:
            ValueError: If the array is not an image with the model's number of channels, is too
                small, or has values out of range.

        Example:

        >>> import numpy as np
        >>> import eseg_keras
        >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
        >>> model.segment(np.zeros((33, 47, 3), "uint8")).shape
        (33, 47)
        """
        image = np.asarray(image)
        channels = self.image_shape[-1]
        if (
            image.ndim not in (3, 4)
            or image.shape[-1] != channels
            or min(image.shape[-3:-1]) < SMALLEST_SIDE
            or not image.size
        ):
            raise ValueError(
                f"Expected an image [H, W, {channels}] or a batch [B, H, W, {channels}] with "
                f"height and width at least {SMALLEST_SIDE}. Received an array of shape "
                f"{image.shape}."
            )
        image = to_pixel_values(image, image_range)
        images = image if image.ndim == 4 else image[None]
        with self.averaged_weights():
            labels = np.asarray(self._label_model.predict_on_batch(images))
        return labels if image.ndim == 4 else labels[0]

    @functools.cached_property
    def _label_model(self):
        # `cached_property` bypasses Keras' attribute tracking: this model shares all layers and
        # must not become a layer itself.
        model = keras.Model(self.input, label_map(self.output))
        model.autocast = False
        return model

    def level_weights(self) -> dict[str, float]:
        """Return the weight of every pyramid level in the fusion.

        Returns:
            Dict from level name (`"P2"`, ...) to weight; with `fusion="softmax"`, the weights sum
            to 1.

        Example:

        >>> import eseg_keras
        >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
        >>> round(model.level_weights()["P3"], 4)
        0.1429
        """
        levels = list(self.head.input)
        fusion = self.head.get_layer("fusion") if len(levels) > 1 else None
        if fusion is None or fusion.normalization == "sum":
            return dict.fromkeys(levels, 1.0)
        return dict(zip(levels, ops.convert_to_numpy(fusion.scalars()).tolist(), strict=True))

    def fold(self) -> "ESeg":
        """Fold batch normalisation and fusion weights into constants, for inference.

        Returns:
            A new ESeg with the same outputs, up to rounding; it is saved and loaded like any other.
            Batch normalisation layers that do not directly follow a convolution cannot be folded;
            they are logged and listed in the returned model's `unfolded_layers`.

        Example:

        >>> import eseg_keras
        >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
        >>> model.fold().count_params() < model.count_params()
        True
        """
        encoder = self.encoder_name or self.encoder
        folded = self.from_config({**self.get_config(), "encoder": encoder, "folded": True})
        with self.averaged_weights():
            if self.folded:
                folded.set_weights(self.get_weights())
            else:
                for part in ("encoder", "decoder", "head"):
                    transfer_folded(getattr(self, part), getattr(folded, part))
        folded.training_long_side = self.training_long_side
        if left := folded.unfolded_layers:
            _log.warning("%d batch normalisation layers cannot be folded: %s", len(left), left)
        return folded

    @property
    def unfolded_layers(self) -> list[str]:
        """Names of the batch normalisation layers that cannot be folded."""
        return [
            f"{part}/{name}"
            for part in ("encoder", "decoder", "head")
            for name in unfoldable_layers(getattr(self, part))
        ]

    def freeze(self, *parts: str):
        """Freeze parts of the model; the frozen parts are saved with the model.

        Batch normalisation in a frozen part uses its moving statistics and does not update them. If
        the model is compiled, it is compiled again and the optimizer's state is lost.

        Args:
            *parts: Any of `"encoder"`, `"decoder"`, `"head"` and `"batch_norm"` (all batch
                normalisation layers).

        Raises:
            ValueError: For an unknown part.

        Example:

        >>> import eseg_keras
        >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
        >>> model.freeze("encoder")
        >>> len(model.encoder.trainable_variables)
        0
        """
        check_parts(parts)
        self._set_frozen((*self.frozen, *parts))

    def unfreeze(self, *parts: str):
        """Make frozen parts trainable again; without arguments, all parts.

        Layers that were frozen in another way, by `trainable = False`, become trainable, too.

        Args:
            *parts: As in `freeze`.

        Raises:
            ValueError: For an unknown part.
        """
        check_parts(parts)
        # Set layer by layer: on the TensorFlow backend, assigning `trainable = True` to a model
        # where it is already True does not change its layers.
        for layer in self._flatten_layers(include_self=False):
            layer.trainable = True
        self._set_frozen([part for part in self.frozen if parts and part not in parts])

    def _set_frozen(self, parts):
        self.frozen = tuple(dict.fromkeys(parts))
        for part in self.frozen:
            if part == "batch_norm":
                for layer in self._flatten_layers():
                    if isinstance(layer, keras.layers.BatchNormalization):
                        layer.trainable = False
            else:
                getattr(self, part).trainable = False
        if self.compiled:
            # The optimizer and the compiled step still use the previous trainable variables.
            optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
            self.compile(optimizer, **self._compile_arguments())

    def save_to_preset(self, directory: str, weights_dtype: str = "float32"):
        """Write the model as a preset directory that `from_preset` reads.

        Args:
            directory: Directory to write; must be new or empty.
            weights_dtype: `"float32"`, or `"float16"` for half the size on disk.

        Raises:
            ValueError: If the encoder is a custom Keras model: save such a model as `.keras`.
            FileExistsError: If the directory is not empty.

        Example:

        >>> import eseg_keras, tempfile
        >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
        >>> model.save_to_preset(tempfile.mkdtemp())
        """
        from eseg_keras.presets.writer import save_to_preset

        with self.averaged_weights():
            save_to_preset(self, directory, weights_dtype)

    @classmethod
    def from_preset(
        cls, preset: str, num_classes: int | None = None, load_weights: bool = True, **overrides
    ) -> "ESeg":
        """Build a model from a preset.

        Args:
            preset: A name in `ESeg.presets` or in an installed package of presets, a preset
                directory, a `.zip` file of a preset directory, or `"hf://user/repository"`. The
                name of an architecture, such as `"eseg_s"`, gives a network with ImageNet weights
                in the encoder (random weights for ESeg-Lite) and random weights in the decoder.
            num_classes: `None` or the preset's number keeps all weights. With another number, the
                classifier gets random weights; if `class_names` is given too, classes that are also
                in the preset keep their weights. For an architecture, `None` means 19.
            load_weights: `False` builds with random weights and reads no weights file. Defaults to
                `True`.
            **overrides: Constructor arguments to change, such as `image_shape` or `class_names`.

        Returns:
            The model.

        Raises:
            ValueError: For an unknown name or argument, or damaged files.
            FileNotFoundError: If a file is missing.

        Example:

        >>> import eseg_keras
        >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s", num_classes=11, load_weights=False)
        >>> model.num_classes
        11
        """
        from eseg_keras.presets.loader import from_preset

        return from_preset(cls, preset, num_classes, load_weights, overrides)

    def copy_weights(self, source: "ESeg"):
        """Copy the weights of a network of the same architecture.

        If both networks have class names and these differ, the classifier's weights are copied for
        classes with the same name, ignoring case; other classes keep their weights. Otherwise, the
        classifier is copied only if both networks have the same number of classes.

        Args:
            source: The network to copy from; if it has averaged weights, these are copied.

        Raises:
            ValueError: If weights other than those of the classifier differ in number or shape.

        Example:

        >>> import eseg_keras
        >>> options = dict(encoder="fused_efficientnet_s", min_level=3)
        >>> source, model = (eseg_keras.ESeg(num_classes=n, **options) for n in (2, 5))
        >>> model.copy_weights(source)
        """
        pairs = [(self.encoder, source.encoder), (self.decoder, source.decoder)]
        # Heads have different layers only if the decoders differ, which is an error below.
        pairs += zip(self.head.layers, source.head.layers, strict=False)
        theirs, ours = source.class_names, self.class_names
        are_matched = bool(theirs and ours and theirs != ours)
        if are_matched or self.num_classes != source.num_classes:
            pairs = [(new, old) for new, old in pairs if new.name != "classifier"]
        for new, old in pairs:
            shapes = [[tuple(w.shape) for w in part.weights] for part in (new, old)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"The weights of {source.name!r} do not fit {self.name!r}: their {new.name!r} "
                    "parts have different shapes. Start from a network with the same encoder and "
                    "decoder."
                )
        with source.averaged_weights():
            for new, old in pairs:
                new.set_weights(old.get_weights())
            if are_matched:
                self._copy_classes(source)

    def _copy_classes(self, source):
        ids = {name.lower(): index for index, name in enumerate(source.class_names)}
        pairs = [
            (index, ids[name.lower()])
            for index, name in enumerate(self.class_names)
            if name.lower() in ids
        ]
        _log.info("%d of %d classes are copied from %s.", len(pairs), self.num_classes, source.name)
        new, old = (model.head.get_layer("classifier") for model in (self, source))
        weights = new.get_weights()
        for array, values in zip(weights, old.get_weights(), strict=True):
            for to, of in pairs:
                array[..., to] = values[..., of]
        new.set_weights(weights)

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        names = (
            "num_classes", "min_level", "max_level", "decoder_channels", "decoder_repeats",
            "activation", "fusion", "output_stride", "image_shape", "ignore_label", "class_names",
            "palette", "folded", "frozen",
        )  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        return super().get_config() | {"decoder": self.decoder_name, **values}


def _pyramid_levels(features, min_level, max_level):
    by_level = {int(str(key).lstrip("P")): x for key, x in features.items()}
    levels = sorted(level for level in by_level if min_level <= level <= max_level)
    if not levels or levels != list(range(min_level, levels[-1] + 1)):
        raise ValueError(
            f"The encoder must return consecutive levels from P{min_level}. "
            f"Received: {[f'P{level}' for level in sorted(by_level)]}. Change min_level or the "
            "encoder's outputs."
        )
    return {f"P{level}": by_level[level] for level in levels}


def _rounds_up(encoder, image_shape):
    """Return whether each level is half the size of the level below, rounded up."""
    # 513 and its halves, rounded up, are all odd: rounding down gives another size at every level.
    height, width = (513 if size is None else size for size in image_shape[:2])
    shapes = encoder.compute_output_shape((1, height, width, image_shape[2]))
    return all(
        tuple(shape[1:3]) == (-(-height // 2**level), -(-width // 2**level))
        for level, shape in ((int(str(key).lstrip("P")), shape) for key, shape in shapes.items())
    )

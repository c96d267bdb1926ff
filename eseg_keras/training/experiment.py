"""Experiments: all options of a training run in one frozen dataclass."""

import dataclasses
import typing
from typing import Literal

from eseg_keras.image_size import check_image_range, check_image_size
from eseg_keras.step_options import check_step_options

READING = (
    "class_map", "mask_colors", "mask_suffix", "image_suffix", "reduce_zero_label", "image_range",
    "first_frame",
)  # fmt: skip
"""Attributes of `Experiment` that define how the files in folders are read."""


def shorten(text: str, most: int = 80) -> str:
    """Shorten a text to at most `most` characters, for messages."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of both segmentation and classification experiments.

    Attributes:
        num_classes: Number of classes; `None` takes it from the class names or class folders.
        mixed_precision: Compute dtype of most layers, `None` for float32; weights stay float32.

        image_size: (height, width) in pixels of the training crops.
        batch_size: Number of images per step, over all devices.
        epochs: Number of passes over the training images.
        steps: Number of training steps; replaces `epochs` if it is set.

        label_smoothing: Label smoothing of the cross-entropy: share of the target that is spread
            over all classes.
        optimizer: `"sgd"` with momentum, as in the paper, or `"adamw"`.
        learning_rate: Peak learning rate; a cosine schedule decays it to zero.
        warmup_steps: Number of steps of linear warm-up from zero.
        momentum: Momentum of SGD, or `beta_1` of AdamW.
        weight_decay: With SGD, coupled (L2): the loss includes weight_decay / 2 times the sum of
            the squares of all kernels, as in the paper's code base (see `TrainingModel.compile`).
            With AdamW, decoupled; it applies to all kernels.
        ema_decay: Decay of the moving average of weights and batch normalization statistics. The
            averages are validated and saved; `None` disables them.
        global_clipnorm: Maximum norm of the gradient; `None` disables clipping.
        gradient_accumulation_steps: Number of parts of each batch, which are computed one after
            the other to save memory.
        remat: Whether to recompute intermediate results for the gradients, which takes about half
            of the memory and about 20% more time (see `TrainingModel.compile`).
        steps_per_execution: Number of steps per call of the compiled function.

        val_every: Number of epochs between validations; the last epoch is always validated.
        checkpoint_steps: Number of steps between checkpoints within an epoch; `None` saves only at
            the end of each epoch.
        keep: Weights of the result: `"last"`, or `"best"`, those with the best validation score,
            which is then an optimistic estimate.
        seed: Seed of the initial weights, the order of images, the augmentation, and street scenes.
    """

    # The network.
    num_classes: int | None = None
    mixed_precision: Literal["bfloat16", "float16"] | None = None

    # The input pipeline.
    image_size: tuple[int, int] = (512, 512)
    batch_size: int = 8
    epochs: int = 10
    steps: int | None = None

    # The loss and the optimizer.
    label_smoothing: float = 0.0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.08
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 0.0
    ema_decay: float | None = None
    global_clipnorm: float | None = None
    gradient_accumulation_steps: int = 1
    remat: bool = False
    steps_per_execution: int = 1

    # Validation, checkpoints and the result.
    val_every: int = 1
    checkpoint_steps: int | None = None
    keep: Literal["last", "best"] = "last"
    seed: int = 0

    # Attributes that may be "auto".
    automatic = ()

    def __post_init__(self):
        for name, hint in typing.get_type_hints(type(self)).items():
            if typing.get_origin(hint) is Literal:
                self._check_choice(name, typing.get_args(hint))
        self._check_at_least(
            1, "num_classes", "batch_size", "epochs", "steps", "steps_per_execution", "val_every",
            "checkpoint_steps",
        )  # fmt: skip
        self._check_at_least(0, "warmup_steps", "seed")
        check_image_size("image_size", self.image_size)
        self._check_share("momentum", "label_smoothing")
        self._check("learning_rate", lambda rate: 0 < rate < 1e38, "positive and below 1e38")
        check_step_options(
            weight_decay=self.weight_decay,
            ema_decay=None if self._is_auto("ema_decay") else self.ema_decay,
            global_clipnorm=self.global_clipnorm,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            batch_size=None if self._is_auto("batch_size") else self.batch_size,
        )

    def _is_auto(self, name):
        return name in self.automatic and getattr(self, name) == "auto"

    def _check(self, name, is_right, expected):
        value = getattr(self, name)
        if value is None or self._is_auto(name):
            return
        try:
            fits = is_right(value)
        except TypeError:  # The value has another type, such as str.
            fits = False
        if not fits:
            raise ValueError(f"{name} must be {expected}. Received: {name}={shorten(repr(value))}")

    def _check_choice(self, name, choices):
        self._check(name, lambda value: value in choices, f"one of {', '.join(choices)}")

    def _check_at_least(self, least, *names):
        for name in names:
            self._check(name, lambda value: value >= least, f"at least {least}")
            self._check(name, lambda value: value < 1 << 32, "below 2**32")

    def _check_share(self, *names):
        for name in names:
            self._check(name, lambda value: 0 <= value < 1, "from 0 to below 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(TrainingOptions):
    """All options of a run that trains a segmentation network.

    Attributes:
        preset: Name of a preset, or a preset directory, to start from.
        load_weights: Whether to start from the preset's weights. Defaults to `True`.
        encoder_weights: File of initial encoder weights, such as the result of an ImageNet
            experiment; `None` for the preset's.
        init_from: Source of all initial weights: a preset, a `.keras` file or the model directory
            of a finished run. If its classes differ, the classes with the same names are copied.
        freeze: Parts of the model that are not trained, such as `("encoder",)`.
        encoder, decoder, min_level, max_level, decoder_channels, decoder_repeats, output_stride,
            fusion: Arguments of `ESeg` that replace the preset's; `None` keeps the preset's value.
            They require a preset without trained weights, such as `"eseg_s"`, or
            `load_weights=False`.
        stochastic_depth: Whether the EfficientNet encoders of keras.applications drop blocks at
            random in training.
        batch_norm_momentum: Momentum of all batch normalization statistics; `None` keeps the
            defaults, which are those of keras.applications in its encoders (0.9 in EfficientNetV2,
            0.999 in MobileNet, 0.99 in the others) and 0.97 elsewhere.
        class_names: One name per class.
        palette: One (red, green, blue) per class, 0..255, for overlays.
        ignore_label: Mask value of pixels without a class. Defaults to 255.

        data: `"folders"` for a user's images and masks, `"street_scenes"` for synthetic images, or
            a data set of `eseg_keras.data.load`.
        train_split, val_split: Splits of the data set; unused for folders and street scenes.
        train_images, train_masks, val_images, val_masks: Folders in the data directory.
        pseudo_images, pseudo_masks: Folders of pseudo-labelled training images and their masks, see
            `pseudo_label`; relative to the data directory, or absolute. Pseudo-labelled images are
            half of each batch.
        class_map: {value in the mask files: class id}.
        mask_colors: For masks in colour: one (red, green, blue) per class in the order of ids, or
            {colour: id}, where an id may also be `ignore_label`.
        mask_suffix, image_suffix: End of the mask names and of the image names, after the part that
            is equal in both, such as `"_labels"`.
        reduce_zero_label: Whether masks contain 0 for "no class" and 1..num_classes for the
            classes. Defaults to `False`.
        image_range, first_frame: How the images in folders are read, see `open_folders`.
        long_side: Longer side in pixels to which images are scaled first; `None` keeps their size.
        train_examples, val_examples: Number of street scenes; unused for other data.

        image_size: (height, width) in pixels of the training crops and street scenes.
        eval_size: (height, width) that validation images are scaled to fit into; `None` keeps their
            size. TPUs require it if images differ in size.
        augment: Whether to scale, crop and flip at random. Defaults to `True`.
        scale: Smallest and largest random scale.
        scale_step: Step between the possible random scales, counted from the smallest, such as 0.1;
            `None` for continuous scales.
        pad_color: (red, green, blue) of the padding around images smaller than the crop; `None`
            for the mean colour of the image.
        place_at_random: Whether images smaller than the crop have a random position in the crop;
            `False` for the top left.
        photometric_distortion: Whether to change brightness, contrast, saturation and hue at
            random.
        camera_variation: Whether to change colour cast, blur and noise at random (see
            `CameraVariation`), for images of other cameras and other light than in training.
        class_weights: One loss weight per class, `"balanced"` to compute the weights from the
            training masks, or `None`.

        loss: Name of the loss, see `eseg_keras.losses`.
        teacher: Teacher for distillation, given like `init_from`, with the same classes. Defaults
            to `None`.
        distillation: Weight of the distillation loss, above 0 and at most 1; the weight of `loss`
            is 1 - distillation.
        ohem_threshold, ohem_min_kept, ohem_min_kept_pixels: Arguments of `OHEMCrossEntropy` that
            define the pixels it keeps. HRNet's rule, which the paper cites, is a threshold of 0.9
            and at least 131,072 kept pixels per step and replica.

        batch_size, epochs, learning_rate, warmup_steps, ema_decay, val_every,
            photometric_distortion: `"auto"` chooses the value from the number of training images
            when the run starts, see `recipe.complete`.

        Further attributes: see `TrainingOptions`.

    Raises:
        ValueError: If a value is invalid; the message contains it.

    Example:

    >>> from eseg_keras.training import Experiment
    >>> Experiment(preset="eseg_lite_s", class_names=("road", "car"), epochs=3).num_classes
    2
    """

    task = "segmentation"
    automatic = (
        "batch_size", "epochs", "learning_rate", "warmup_steps", "ema_decay", "val_every",
        "photometric_distortion",
    )  # fmt: skip

    # The network.
    preset: str = "eseg_lite_s"
    load_weights: bool = True
    encoder_weights: str | None = None
    init_from: str | None = None
    freeze: tuple[str, ...] = ()
    encoder: str | None = None
    decoder: str | None = None
    min_level: int | None = None
    max_level: int | None = None
    decoder_channels: int | None = None
    decoder_repeats: int | None = None
    output_stride: int | None = None
    fusion: str | None = None
    stochastic_depth: bool = True
    batch_norm_momentum: float | None = None
    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    ignore_label: int = 255

    # The images.
    data: str = "folders"
    train_split: str = "train"
    val_split: str = "validation"
    train_images: str = "images/train"
    train_masks: str = "annotations/train"
    val_images: str = "images/val"
    val_masks: str = "annotations/val"
    pseudo_images: str | None = None
    pseudo_masks: str | None = None
    class_map: dict[int, int] | None = None
    mask_colors: dict[tuple[int, int, int], int] | tuple[tuple[int, int, int], ...] | None = None
    mask_suffix: str = ""
    image_suffix: str = ""
    reduce_zero_label: bool = False
    image_range: tuple[float, float] | None = None
    first_frame: bool = False
    long_side: int | None = None
    train_examples: int = 512
    val_examples: int = 64

    # The input pipeline.
    batch_size: int | Literal["auto"] = 8
    epochs: int | Literal["auto"] = 10
    eval_size: tuple[int, int] | None = None
    augment: bool = True
    scale: tuple[float, float] = (0.5, 2.0)
    scale_step: float | None = None
    pad_color: tuple[int, int, int] | None = None
    place_at_random: bool = True
    photometric_distortion: bool | Literal["auto"] = False
    camera_variation: bool = False
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None

    # The loss.
    loss: Literal["cross_entropy", "ohem", "dice", "lovasz_softmax", "focal"] = "cross_entropy"
    ohem_threshold: float = 0.7
    ohem_min_kept: float = 1 / 16
    ohem_min_kept_pixels: int | None = None
    teacher: str | None = None
    distillation: float = 0.5

    # The optimizer, validation.
    learning_rate: float | Literal["auto"] = 0.08
    warmup_steps: int | Literal["auto"] = 0
    ema_decay: float | Literal["auto"] | None = None
    val_every: int | Literal["auto"] = 1

    def __post_init__(self):
        super().__post_init__()
        self._set_known_classes()
        if self.num_classes is None and self.class_names is not None:
            object.__setattr__(self, "num_classes", len(self.class_names))
        self._check_at_least(1, "num_classes", "train_examples", "val_examples")
        if self.image_range is not None:
            check_image_range(self.image_range)
        check_image_size("long_side", self.long_side)
        names = self.class_names or ()
        if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(
                "class_names must be unique: they identify scores and files. Received more than "
                f"once: {shorten(', '.join(repeated))}"
            )
        self._check(
            "freeze",
            lambda parts: not {"encoder", "decoder", "head"} <= set(parts),
            "some, but not all, of encoder, decoder and head",
        )
        check_image_size("eval_size", self.eval_size)
        if self.class_names is not None and self.num_classes != len(self.class_names):
            raise ValueError(
                f"num_classes={self.num_classes}, but class_names contains "
                f"{len(self.class_names)} names. Pass one name per class, or omit num_classes."
            )
        weights = self.class_weights
        if isinstance(weights, tuple) and len(weights) != (self.num_classes or len(weights)):
            raise ValueError(
                f"class_weights must contain {self.num_classes} numbers, one per class. "
                f"Received: {len(weights)}"
            )
        if (self.pseudo_images is None) != (self.pseudo_masks is None):
            raise ValueError(
                "pseudo_images and pseudo_masks must be used together. Received: "
                f"pseudo_images={self.pseudo_images}, pseudo_masks={self.pseudo_masks}"
            )
        self._check("ohem_threshold", lambda share: 0 < share <= 1, "above 0 and at most 1")
        self._check("distillation", lambda share: 0 < share <= 1, "above 0 and at most 1")
        self._check("ohem_min_kept", lambda share: 0 <= share <= 1, "from 0 to 1")
        self._check_at_least(1, "ohem_min_kept_pixels")
        self._check_share("batch_norm_momentum")
        self._check("scale_step", lambda step: step > 0, "positive, or None")
        self._check("pad_color", lambda c: all(0 <= v <= 255 for v in c), "in 0..255, or None")
        self._check("scale", lambda s: 0 < s[0] <= s[1], "(smallest, largest), both positive")
        if self.label_smoothing and self.loss != "cross_entropy":
            raise ValueError(
                "label_smoothing requires loss='cross_entropy'. Received: "
                f"label_smoothing={self.label_smoothing} with loss={self.loss!r}"
            )
        if weights is not None and self.loss in ("dice", "lovasz_softmax"):
            raise ValueError(
                f"loss={self.loss!r} does not support class_weights. "
                f"Received: class_weights={shorten(str(weights))}"
            )
        if self._is_auto("learning_rate") and self.optimizer != "sgd":
            raise ValueError(
                "learning_rate='auto' requires optimizer='sgd'. Received: "
                f"optimizer={self.optimizer!r}. Pass a number, such as learning_rate=0.001."
            )
        if self.photometric_distortion is True and not self.augment:
            raise ValueError(
                "photometric_distortion requires augment=True. Received: augment=False"
            )
        if self.camera_variation and not self.augment:
            raise ValueError("camera_variation requires augment=True. Received: augment=False")

    def network_arguments(self) -> dict:
        """Return the arguments of `ESeg` that replace those of the preset."""
        names = (
            "encoder", "decoder", "min_level", "max_level", "decoder_channels", "decoder_repeats",
            "output_stride", "fusion",
        )  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def _set_known_classes(self):
        """Set the classes of data sets and scenes; raise ValueError for options of folders only."""
        if self.data == "folders":
            return
        if self.data == "street_scenes":
            from eseg_keras.street_scenes import CLASS_NAMES, IGNORE_LABEL, PALETTE

            names, palette, ignore_label = CLASS_NAMES, PALETTE, IGNORE_LABEL
        else:
            from eseg_keras.data.datasets import DATASETS

            self._check_choice("data", ("folders", "street_scenes", *DATASETS))
            splits = DATASETS[self.data]
            self._check_choice("train_split", splits)
            self._check_choice("val_split", splits)
            classes = splits[self.train_split].classes
            names, palette, ignore_label = classes.class_names, classes.palette, 255
        known = {
            "class_names": tuple(names),
            "num_classes": len(names),
            "palette": tuple(palette),
            "ignore_label": ignore_label,
        }
        for name, value in known.items():
            if getattr(self, name) not in (None, value):
                raise ValueError(
                    f"The {name} of {self.data} cannot be changed. "
                    f"Received: {name}={shorten(str(getattr(self, name)))}"
                )
            object.__setattr__(self, name, value)
        if self.class_weights == "balanced":
            raise ValueError(
                "class_weights='balanced' requires data='folders'. Pass numbers instead."
            )
        if self.data == "street_scenes" and self.long_side is not None:
            raise ValueError(
                "long_side has no effect on street scenes: they are rendered with image_size. "
                f"Received: long_side={self.long_side}"
            )
        for name in READING:
            if getattr(self, name):
                raise ValueError(
                    f"{name} requires data='folders'; it has no effect on {self.data}. "
                    f"Received: {name}={shorten(str(getattr(self, name)))}"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationExperiment(TrainingOptions):
    """All options of a run that pretrains an encoder by classifying images.

    Attributes:
        encoder: Name of an encoder, see `eseg_keras.encoders.encoder_names()`.
        channels: Channels of the convolution before the pooling, 1280 in EfficientNet.
        activation: Activation after this convolution.
        dropout: Dropout rate of the pooled features.

        data: `"imagenet2012"` from tensorflow-datasets, or `"class_folders"`.
        train_images, val_images: Folders in the data directory, each with one subfolder of images
            per class; unused for ImageNet.

        Further attributes: see `TrainingOptions`.

    Raises:
        ValueError: If a value is invalid; the message contains it.

    Example:

    >>> from eseg_keras.training import ClassificationExperiment
    >>> ClassificationExperiment(encoder="fused_efficientnet_s", epochs=100).channels
    1280
    """

    task = "classification"

    # The network.
    encoder: str = "fused_efficientnet_s"
    channels: int = 1280
    activation: str = "relu"
    dropout: float = 0.2

    # The images.
    data: Literal["imagenet2012", "class_folders"] = "imagenet2012"
    train_images: str = "train"
    val_images: str = "val"
    image_size: tuple[int, int] = (224, 224)
    batch_size: int = 256
    epochs: int = 300

    # The loss and the optimizer.
    label_smoothing: float = 0.1
    learning_rate: float = 0.1
    weight_decay: float = 1e-5

    def __post_init__(self):
        super().__post_init__()
        self._check_at_least(1, "channels")
        self._check_share("dropout")

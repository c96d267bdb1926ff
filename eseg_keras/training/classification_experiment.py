"""An experiment that pretrains an encoder by classifying images."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationExperiment:
    """Every choice of one pretraining run.

    Attributes:
        encoder: Name of an encoder, see `eseg_keras.encoders.encoder_names()`.
        num_classes: Number of classes; `None` counts the class folders.
        channels: Channels of the convolution before the pooling, 1280 in EfficientNet.
        activation: Activation after it.
        dropout: Share of the pooled features dropped in training.
        mixed_precision: Type that most of the network computes in; weights stay float32.

        data: `"imagenet2012"` from tensorflow-datasets, or `"class_folders"`.
        train_images, val_images: Folders below the data directory, which hold one folder of photos
            a class; unused for ImageNet.

        image_size: (height, width) in pixels of the crops.
        batch_size: Images a step, over all devices.
        epochs: Passes over the training images.
        steps: Steps of training, in place of `epochs`.
        label_smoothing: Share of the target spread over all classes.

        learning_rate: Peak learning rate, decayed to zero by a cosine.
        warmup_steps: Steps of linear warm-up from zero.
        momentum: Momentum of SGD.
        weight_decay, ema_decay, global_clipnorm, gradient_accumulation_steps: See
            `TrainingModel.compile`.
        steps_per_execution: Steps in one call of the compiled function.

        val_every: Epochs from one validation to the next.
        checkpoint_steps: Steps from one checkpoint to the next within an epoch, or `None`.
        keep: Weights written at the end: `"last"`, or `"best"` by accuracy in validation.
        seed: Seed of the initial weights, the order of images and the crops.

    Raises:
        ValueError: If a value is impossible, with the value received.

    Example:

    >>> from eseg_keras.training import ClassificationExperiment
    >>> ClassificationExperiment(encoder="fused_efficientnet_s", epochs=100).channels
    1280
    """

    # The network.
    encoder: str = "fused_efficientnet_s"
    num_classes: int | None = None
    channels: int = 1280
    activation: str = "relu"
    dropout: float = 0.2
    mixed_precision: Literal["bfloat16", "float16"] | None = None

    # The images.
    data: Literal["imagenet2012", "class_folders"] = "imagenet2012"
    train_images: str = "train"
    val_images: str = "val"
    image_size: tuple[int, int] = (224, 224)
    batch_size: int = 256
    epochs: int = 300
    steps: int | None = None
    label_smoothing: float = 0.1

    # The optimizer.
    learning_rate: float = 0.1
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 1e-5
    ema_decay: float | None = None
    global_clipnorm: float | None = None
    gradient_accumulation_steps: int = 1
    steps_per_execution: int = 1

    # The result.
    val_every: int = 1
    checkpoint_steps: int | None = None
    keep: Literal["last", "best"] = "last"
    seed: int = 0

    def __post_init__(self):
        from eseg_keras.step_options import check_step_options

        for name in (
            "num_classes", "channels", "batch_size", "epochs", "steps",
            "steps_per_execution", "val_every", "checkpoint_steps",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={value}")
        if min(self.image_size) < 32:
            raise ValueError(f"image_size must be at least 32x32. Received: {self.image_size}")
        for name, least in (("dropout", 0), ("label_smoothing", 0), ("momentum", 0)):
            value = getattr(self, name)
            if not least <= value < 1:
                raise ValueError(f"{name} must be from 0 to below 1. Received: {name}={value}")
        if self.learning_rate <= 0 or self.warmup_steps < 0 or self.seed < 0:
            raise ValueError(
                "learning_rate must be positive, warmup_steps and seed not negative. Received: "
                f"learning_rate={self.learning_rate}, warmup_steps={self.warmup_steps}, "
                f"seed={self.seed}"
            )
        check_step_options(
            weight_decay=self.weight_decay,
            ema_decay=self.ema_decay,
            global_clipnorm=self.global_clipnorm,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            batch_size=self.batch_size,
        )

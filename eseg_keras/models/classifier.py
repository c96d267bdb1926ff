"""A model that classifies images, to pretrain an encoder."""

import keras
from keras import layers, ops

from eseg_keras.layers import BatchNormalization
from eseg_keras.models.encoder_model import EncoderModel, dtype_scope, encoder_and_name


@keras.saving.register_keras_serializable(package="eseg_keras")
class Classifier(EncoderModel):
    """An encoder of `ESeg` with the classification head of EfficientNet.

    The head is a 1x1 convolution to 1280 channels, global average pooling and a linear classifier.
    No public ImageNet weights exist for the ESeg-Lite encoders. To pretrain one, train a
    `Classifier`, call `save_encoder_weights`, and pass the file to `ESeg(encoder_weights=...)`.

    Args:
        encoder: Name of an encoder (`eseg_keras.encoders.encoder_names()`), or a Keras model from
            images to a dict of features; the highest level, such as `"P5"`, is classified.
        num_classes: Number of classes. Defaults to 1000.
        channels: Channels of the convolution. Defaults to 1280.
        activation: Activation after the convolution. Defaults to `"relu"`, as in ESeg-Lite;
            EfficientNet uses `"silu"`.
        dropout: Dropout rate of the pooled features. Defaults to 0.2.
        image_shape: (H, W, C) of the images; H and W may be `None`.
        encoder_weights: For an encoder given by name: `None`, `"imagenet"` or a path, see
            `build_encoder`.
        dtype: Keras dtype policy of the network; the global policy by default. Logits are float32
            under every policy.
        name: Name of the model.

    Call arguments:
        images: Tensor [B, H, W, C], uint8 or float, with values 0..255; RGB if C is 3.

    Returns:
        Float32 logits [B, num_classes].

    Raises:
        ValueError: For an argument out of range.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.models import Classifier
    >>> model = Classifier("fused_efficientnet_s", num_classes=10)
    >>> tuple(model(np.zeros((2, 64, 64, 3), "uint8")).shape)
    (2, 10)

    Reference:
        [EfficientNet](https://arxiv.org/abs/1905.11946), table 1, stage 9
    """

    def __init__(
        self,
        encoder: str | keras.Model,
        num_classes: int = 1000,
        channels: int = 1280,
        activation: str = "relu",
        dropout: float = 0.2,
        image_shape: tuple[int | None, int | None, int] = (None, None, 3),
        encoder_weights: str | None = None,
        dtype=None,
        name: str = "classifier",
    ):
        image_shape = tuple(image_shape)
        if encoder_weights is not None and not isinstance(encoder, str):
            raise ValueError(
                "`encoder_weights` must be None when the encoder is a Keras model. Received: "
                f"encoder_weights={encoder_weights!r}"
            )
        with dtype_scope(dtype):
            # === Layers ===
            encoder, encoder_name = encoder_and_name(encoder, image_shape, encoder_weights)
            convolution = layers.Conv2D(
                channels,
                1,
                use_bias=False,
                kernel_initializer=keras.initializers.VarianceScaling(
                    2.0, "fan_out", "truncated_normal"
                ),
                name="top_conv",
            )
            classifier = layers.Dense(num_classes, dtype="float32", name="logits")

            # === Functional Model ===
            images = keras.Input(image_shape, name="images")
            features = encoder(images)
            x = convolution(features[max(features, key=_level)])
            x = BatchNormalization(name="top_bn")(x)
            x = layers.Activation(activation, name="top_activation")(x)
            x = layers.GlobalAveragePooling2D(name="pooling")(x)
            x = layers.Dropout(dropout, name="dropout")(x)
            super().__init__(inputs=images, outputs=classifier(x), name=name)

        # === Config ===
        self.encoder = encoder
        self.encoder_name = encoder_name
        self.num_classes = num_classes
        self.channels = channels
        self.activation = activation
        self.dropout = dropout
        self.image_shape = image_shape

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: str | keras.losses.Loss = "auto",
        metrics: str | list | None = "auto",
        **kwargs,
    ):
        """Configure training.

        Args:
            optimizer: As in `keras.Model.compile`.
            loss: `"auto"` is `LabelCrossEntropy` with label smoothing 0.1.
            metrics: `"auto"` is `"accuracy"` and, with more than five classes, `"top5_accuracy"`.
            **kwargs: The other arguments of `TrainingModel.compile`.

        Example:

        >>> from eseg_keras.models import Classifier
        >>> model = Classifier("fused_efficientnet_s", num_classes=10)
        >>> model.compile("sgd", weight_decay=1e-5, ema_decay=0.9999)
        """
        if isinstance(loss, str) and loss == "auto":
            loss = LabelCrossEntropy(label_smoothing=0.1)
        if isinstance(metrics, str) and metrics == "auto":
            metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
            if self.num_classes > 5:
                metrics.append(
                    keras.metrics.SparseTopKCategoricalAccuracy(k=5, name="top5_accuracy")
                )
        super().compile(optimizer, loss=loss, metrics=metrics, **kwargs)

    def save_encoder_weights(self, path: str):
        """Write the encoder's weights: the averaged weights if the model keeps averages.

        Args:
            path: File to write, ending in `.weights.h5`. `ESeg(encoder_weights=path)` and
                `build_encoder(name, weights=path)` read it.

        Example:

        >>> import os, tempfile
        >>> from eseg_keras import ESeg
        >>> from eseg_keras.models import Classifier
        >>> path = os.path.join(tempfile.mkdtemp(), "encoder.weights.h5")
        >>> Classifier("fused_efficientnet_s").save_encoder_weights(path)
        >>> model = ESeg("fused_efficientnet_s", num_classes=19, encoder_weights=path)
        """
        with self.averaged_weights():
            self.encoder.save_weights(path)

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        names = ("num_classes", "channels", "activation", "dropout", "image_shape")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable(package="eseg_keras")
class LabelCrossEntropy(keras.losses.CategoricalCrossentropy):
    """Cross-entropy of integer labels [B] and logits [B, C], with label smoothing.

    Keras' sparse cross-entropy has no label smoothing; its categorical cross-entropy takes no
    integer labels. `label_smoothing` is the share of the target that is spread over all classes.
    """

    def __init__(self, label_smoothing: float = 0.0, **kwargs):
        super().__init__(**{"from_logits": True, **kwargs}, label_smoothing=label_smoothing)

    def call(self, y_true, y_pred):
        """Return the loss of every image, float32 [B]."""
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        return super().call(ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype), y_pred)


def _level(key):
    return int(str(key).lstrip("P"))

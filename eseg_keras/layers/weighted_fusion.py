"""Weighted sums of feature maps with one learnable scalar per input."""

import functools
import operator

import keras
from keras import ops

EPSILON = 1e-4


@keras.saving.register_keras_serializable(package="eseg_keras")
class WeightedFusion(keras.layers.Layer):
    """Sum feature maps of equal shape, each multiplied by a scalar.

    The scalars are computed from one trainable weight w_i per input, initialised to 1:

    - `"softmax"`: `exp(w_i) / sum_j exp(w_j)`, the fusion over levels of ESeg (section 3.1).
    - `"fast"`: `relu(w_i) / (sum_j relu(w_j) + 1e-4)`, the fast normalised fusion of BiFPN nodes
      (EfficientDet, section 3.3).
    - `"sum"`: 1 for every input, without weights.
    - `"constant"`: `w_i`, not trainable; replaces `"softmax"` and `"fast"` in folded models (ESeg,
      section 3.1: "we can get rid of the softmax function").

    Args:
        normalization: `"softmax"`, `"fast"`, `"sum"` or `"constant"`.
        **kwargs: Keras layer arguments such as `name`.

    Call arguments:
        inputs: List of float tensors of equal shape [B, H, W, C].

    Returns:
        Tensor [B, H, W, C].

    Raises:
        ValueError: If `normalization` is unknown.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.layers import WeightedFusion
    >>> x = np.ones((1, 2, 2, 3), "float32")
    >>> float(WeightedFusion("softmax")([x, 3 * x])[0, 0, 0, 0])
    2.0

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683),
        [EfficientDet: Scalable and Efficient Object Detection](https://arxiv.org/abs/1911.09070)
    """

    def __init__(self, normalization: str, **kwargs):
        super().__init__(**kwargs)
        if normalization not in ("softmax", "fast", "sum", "constant"):
            raise ValueError(
                "`normalization` must be 'softmax', 'fast', 'sum' or 'constant'. "
                f"Received: normalization={normalization!r}"
            )
        self.normalization = normalization

    def build(self, input_shape):
        """Create the scalars: one weight of shape [number of inputs]."""
        if self.normalization != "sum":
            self.w = self.add_weight(
                name="w",
                shape=(len(input_shape),),
                initializer="ones",
                # Stored and normalised in float32 under every dtype policy.
                dtype="float32",
                autocast=False,
                trainable=self.normalization != "constant",
            )

    def scalars(self):
        """Return the float32 tensor [number of inputs] that multiplies the inputs."""
        if self.normalization == "softmax":
            return ops.softmax(self.w)
        if self.normalization == "fast":
            w = ops.relu(self.w)
            return w / (ops.sum(w) + EPSILON)
        return ops.convert_to_tensor(self.w)

    def call(self, inputs):
        """Return the weighted sum of the inputs."""
        # Add two tensors at a time: int8 converters leave an addition of more tensors in float.
        if self.normalization == "sum":
            return functools.reduce(operator.add, inputs)
        scalars = ops.cast(self.scalars(), self.compute_dtype)
        return functools.reduce(operator.add, [x * scalars[i] for i, x in enumerate(inputs)])

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return input_shape[0]

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {**super().get_config(), "normalization": self.normalization}

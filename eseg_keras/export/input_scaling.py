"""What the stem convolution cannot do of the input's scaling: the part before the zero padding."""

import keras
from keras import ops


class CenterImages(keras.layers.Layer):
    """Cast images to float32 and subtract one constant a channel.

    Of `image * scale + offset`, the scale can move into the convolution that follows, and the
    offset into its bias, but for the border: zeros that pad a scaled image stand for the mean
    colour, not for black. So the mean colour is subtracted here, and the scale is left to the
    convolution.

    Args:
        means: One float a channel.
        channels_first: Compute in [B, C, H, W], for runtimes whose convolutions have that layout.
            Defaults to `False`.
        **kwargs: Keras layer arguments such as `name`.

    Call arguments:
        images: Tensor [B, H, W, C], uint8 or float.

    Returns:
        float32 tensor of that shape.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.export.input_scaling import CenterImages
    >>> np.asarray(CenterImages([1.0, 2.5])(np.full((1, 1, 1, 2), 7, "uint8"))).ravel().tolist()
    [6.0, 4.5]
    """

    def __init__(self, means: list[float], channels_first: bool = False, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.means = [float(mean) for mean in means]
        self.channels_first = channels_first

    def call(self, images):
        """Return the centred images."""
        means = ops.convert_to_tensor(self.means, "float32")
        if not self.channels_first:
            return ops.cast(images, "float32") - means
        # Bytes are moved, not floats; the way back falls out when a file is written.
        images = ops.cast(ops.transpose(images, (0, 3, 1, 2)), "float32")
        return ops.transpose(images - means[:, None, None], (0, 2, 3, 1))

    def compute_output_spec(self, images):
        """Return the shape and dtype of the output."""
        return keras.KerasTensor(images.shape, dtype="float32")

"""The base class of models with an encoder, which is given by name or as a Keras model."""

import contextlib

import keras

from eseg_keras.encoders.builder import build_encoder
from eseg_keras.models.arguments import check_encoder
from eseg_keras.trainer.training_model import TrainingModel


class EncoderModel(TrainingModel):
    """A model with the attributes `encoder` and `encoder_name`.

    `encoder_name` is `None` for a custom encoder.
    """

    def get_config(self):
        """Return the encoder, the dtype policy and the name as plain types.

        An encoder that was given by name is stored as this name.
        """
        encoder = self.encoder_name
        if encoder is None:
            encoder = keras.saving.serialize_keras_object(self.encoder)
        return {"encoder": encoder, "dtype": self.dtype_policy.name, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build a model from a dict of `get_config`."""
        config = dict(config)
        if isinstance(config["encoder"], dict):
            config["encoder"] = keras.saving.deserialize_keras_object(
                config["encoder"], custom_objects=custom_objects
            )
        return cls(**config)


def encoder_and_name(
    encoder: str | keras.Model, image_shape: tuple, weights: str | None, output_stride: int = 32
) -> tuple[keras.Model, str | None]:
    """Build an encoder given by name, or check a Keras model.

    Return the encoder and its name, which is `None` for a Keras model.
    """
    if isinstance(encoder, str):
        return build_encoder(encoder, image_shape, weights, output_stride), encoder
    check_encoder(encoder, image_shape)
    return encoder, None


@contextlib.contextmanager
def dtype_scope(dtype):
    """Set the global dtype policy in a `with` block; `None` changes nothing.

    A global policy is needed because the constructors of keras.applications take no `dtype`.
    """
    before = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)

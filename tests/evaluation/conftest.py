import dataclasses

import keras
import numpy as np
import pytest

from eseg_keras.inference import Predictor


@dataclasses.dataclass
class Examples:
    """Masks, and images whose red channel contains the labels to predict."""

    label_maps: list
    masks: list

    def __len__(self):
        return len(self.masks)

    def read(self, index):
        image = np.repeat(np.asarray(self.label_maps[index], np.uint8)[..., None], 3, -1)
        return image, np.asarray(self.masks[index], np.uint8)

    def name(self, index):
        return f"photos/{index}.png"


@pytest.fixture(scope="session")
def make_examples():
    """Function (label maps to be predicted, masks) -> examples."""
    return Examples


@pytest.fixture(scope="session")
def red_predictor():
    """Function (number of classes) -> predictor that predicts the class in the red channel.

    If the value is no class, all classes are equally likely, and the pixel gets the ignore label.
    """
    made = {}

    def make(num_classes):
        if num_classes not in made:
            images = keras.Input((None, None, 3), dtype="uint8")
            red = keras.ops.cast(images[..., :1], "int32")
            is_class = keras.ops.equal(red, keras.ops.arange(num_classes, dtype="int32"))
            logits = 20.0 * keras.ops.cast(is_class, "float32")
            made[num_classes] = Predictor(keras.Model(images, logits), min_confidence=0.9)
        return made[num_classes]

    return make

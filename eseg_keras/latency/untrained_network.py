"""Networks to time where there are no trained weights."""

import keras
import numpy as np

from eseg_keras.models import ESeg
from eseg_keras.street_scenes import render_scene

# What eseg_lite_s_streets shows on street scenes, see `boundary_share`.
_BOUNDARY_SHARE = 0.2
# The top of the pyramid has a single cell for each scene, so there are several; layer by layer,
# eseg_l keeps 17 KB for each pixel, so they are small.
_SCENE_SIZE = (128, 256)
_NUM_SCENES = 6


def untrained_network(preset: str, image: np.ndarray) -> keras.Model:
    """Build an architecture with random weights that takes as long as a trained network.

    In a freshly built deep network everything fades to nothing, and its label maps are all noise
    or all one class. Exported networks save work where cells that touch have the same label, and
    8-bit ones need ranges. So batch normalisation gets the statistics of a few street scenes,
    blocks add little to their shortcut, as trained ones do, and the classifier gets the scale and
    the biases with which a fifth of the image's cells lies on a boundary.

    Args:
        preset: Name of an architecture, such as `"eseg_s"`.
        image: The image that is to be timed, uint8 [H, W, 3].

    Returns:
        An `ESeg` model, the same one every time.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.latency.untrained_network import untrained_network
    >>> untrained_network("eseg_lite_s", np.zeros((64, 96, 3), "uint8")).num_classes
    19
    """
    keras.utils.set_random_seed(0)
    model = ESeg.from_preset(preset, load_weights=False)
    size = tuple(min(*sides) for sides in zip(image.shape[:2], _SCENE_SIZE, strict=True))
    scenes = np.stack([render_scene(index, "train", size)[0] for index in range(_NUM_SCENES)])
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.name.endswith("project_bn"):
            norm.gamma.assign(norm.gamma * 0.25)
    model(scenes, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    stride = 2**model.min_level
    # Compiled: activations are let go of on the way.
    logits = np.asarray(model.predict_on_batch(image[None]))
    logits = logits[:, stride // 2 :: stride, stride // 2 :: stride]
    mean, deviation = logits.mean((0, 1, 2)), logits.std((0, 1, 2)) + 1e-12
    biases = _biases((logits - mean) / deviation)
    classifier = model.head.get_layer("classifier")
    classifier.kernel.assign(classifier.kernel / deviation)
    classifier.bias.assign((classifier.bias - mean) / deviation + biases)
    return model


def boundary_share(cells: np.ndarray) -> float:
    """Return the share of 2x2 cells whose labels differ.

    Args:
        cells: Logits [B, h, w, num_classes].

    Returns:
        0 where every image has one label, up to 1.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.latency.untrained_network import boundary_share
    >>> boundary_share(np.eye(2)[np.array([[[0, 0, 0], [0, 0, 1]]])])
    0.5
    """
    labels = cells.argmax(-1)
    corner = labels[:, :-1, :-1]
    others = (labels[:, 1:, :-1], labels[:, :-1, 1:], labels[:, 1:, 1:])
    return float(np.mean(np.any([corner != other for other in others], axis=0)))


def _biases(cells):
    """Biases that make the first classes more frequent, just as much as it takes."""
    steps = -np.arange(cells.shape[-1], dtype="float32")
    low, high = 0.0, 4.0
    for _ in range(12):
        middle = (low + high) / 2
        if boundary_share(cells + middle * steps) > _BOUNDARY_SHARE:
            low = middle
        else:
            high = middle
    return high * steps

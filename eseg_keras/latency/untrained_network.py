"""Networks with random weights that have the same latency as trained networks."""

import keras
import numpy as np

from eseg_keras.models import ESeg
from eseg_keras.street_scenes import render_scene

# The `boundary_share` of eseg_lite_s_streets on street scenes.
_BOUNDARY_SHARE = 0.2
# Several scenes, because the coarsest pyramid level has a single cell per scene. Small scenes,
# because eseg_l needs 17 KB per pixel for the activations of all layers.
_SCENE_SIZE = (128, 256)
_NUM_SCENES = 6


def untrained_network(preset: str, image: np.ndarray) -> keras.Model:
    """Build an architecture with random weights and the same latency as a trained network."""
    # With initial weights, the activations of a deep network vanish, and its label maps are noise
    # or a single class. But the latency of exported networks depends on the label map (no
    # interpolation where neighbouring cells have the same label), and 8-bit networks need realistic
    # ranges. Therefore:
    # - Batch normalisation gets the statistics of a few street scenes.
    # - The last scale of each residual block is reduced: as in trained networks, blocks add little
    #   to their shortcut.
    # - The scale and the biases of the classifier are chosen so that a fifth of the 2x2 blocks of
    #   cells contain a boundary.
    keras.utils.set_random_seed(0)
    model = ESeg.from_preset(preset, load_weights=False)
    size = tuple(min(*sides) for sides in zip(image.shape[:2], _SCENE_SIZE, strict=True))
    scenes = np.stack([render_scene(index, "train", size)[0] for index in range(_NUM_SCENES)])
    for layer in model._flatten_layers():
        if layer.name.endswith("project_bn"):
            layer.gamma.assign(layer.gamma * 0.25)
    model.update_batch_norm([scenes])
    stride = 2**model.min_level
    # `predict_on_batch` is compiled; an eager call would keep all activations in memory.
    logits = np.asarray(model.predict_on_batch(image[None]))
    logits = logits[:, stride // 2 :: stride, stride // 2 :: stride]
    mean, deviation = logits.mean((0, 1, 2)), logits.std((0, 1, 2)) + 1e-12
    biases = _biases((logits - mean) / deviation)
    classifier = model.head.get_layer("classifier")
    classifier.kernel.assign(classifier.kernel / deviation)
    classifier.bias.assign((classifier.bias - mean) / deviation + biases)
    return model


def boundary_share(labels: np.ndarray) -> float:
    """Return the share of 2x2 blocks in labels [B, h, w] that contain different labels."""
    corner = labels[:, :-1, :-1]
    others = (labels[:, 1:, :-1], labels[:, :-1, 1:], labels[:, 1:, 1:])
    return float(np.mean(np.any([corner != other for other in others], axis=0)))


def _biases(cells):
    """Find biases that give the target `boundary_share`; they are larger for earlier classes."""
    steps = -np.arange(cells.shape[-1], dtype="float32")
    low, high = 0.0, 4.0
    for _ in range(12):
        middle = (low + high) / 2
        if boundary_share((cells + middle * steps).argmax(-1)) > _BOUNDARY_SHARE:
            low = middle
        else:
            high = middle
    return high * steps

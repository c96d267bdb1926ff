"""A network as a function of images of any size: label maps, probabilities and what they say."""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np
from keras import ops

from eseg_keras.inference.uncertainty import MAPS
from eseg_keras.layers.likeliest_class import label_map
from eseg_keras.layers.resize import resize

# Probabilities are made of logits in blocks of rows, so many bytes at a time.
_BLOCK_BYTES = 2**27


class Network:
    """The forward pass, compiled once.

    Args:
        model: A functional Keras model from images [B, H, W, C] to logits [B, H, W, num_classes].
        maps: Names of `MAPS` to compute beside the label map.
    """

    def __init__(self, model: keras.Model, maps: Sequence[str]):
        self.model = model
        self.maps = tuple(maps)
        self.num_classes = model.output.shape[-1]
        # It shares the model's layers: what is trained or loaded later holds here too.
        self._direct = keras.Model(model.input, finish(model.output, None, self.maps))
        self._direct.autocast = False
        # Averages that a training keeps; other Keras models have none.
        self._weights = getattr(model, "averaged_weights", contextlib.nullcontext)

    def finished(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return label maps and maps of a batch, all computed in one graph.

        Args:
            images: uint8 [B, H, W, C].

        Returns:
            `"label_map"`, uint8 [B, H, W], and the maps by name, float32 [B, H, W] or
            [B, H, W, num_classes].
        """
        with self._weights():
            outputs = self._direct.predict_on_batch(images)
        return {name: np.asarray(values) for name, values in outputs.items()}

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of a batch, float32 [B, H, W, num_classes]."""
        with self._weights():
            return np.asarray(self.model.predict_on_batch(images))

    def finish_views(
        self, views: Sequence[np.ndarray], size: tuple[int, int]
    ) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Put several views of one image together, at another size.

        Args:
            views: Logits of each view, float32 [h, w, num_classes] of any sizes.
            size: (height, width) of the result.

        Yields:
            Rows of the result, and what `finished` returns for them, without the batch.
        """
        for rows, (logits, probabilities) in self._blocks(views, size):
            yield rows, _arrays(finish(logits, probabilities, self.maps))

    def finish_probabilities(self, probabilities: np.ndarray) -> dict[str, np.ndarray]:
        """Return what `finished` does for probabilities [h, w, num_classes], without the batch."""
        return _arrays(finish(None, ops.convert_to_tensor(probabilities), self.maps))

    def probabilities(self, views: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """Return the mean probabilities of several views, float32 [*size, num_classes]."""
        result = np.empty((*size, self.num_classes), np.float32)
        for rows, (logits, probabilities) in self._blocks(views, size):
            if probabilities is None:
                probabilities = ops.softmax(logits)
            result[rows] = ops.convert_to_numpy(probabilities)
        return result

    def _blocks(self, views, size):
        """Rows of the result, and either their logits or their probabilities."""
        height = max(1, _BLOCK_BYTES // (4 * self.num_classes * size[1]))
        for top in range(0, size[0], height):
            rows = slice(top, min(top + height, size[0]))
            if len(views) == 1:
                yield rows, (_resized_rows(views[0], size, rows), None)
            else:
                views_here = (ops.softmax(_resized_rows(view, size, rows)) for view in views)
                yield rows, (None, sum(views_here) / len(views))


def finish(logits, probabilities, maps: Sequence[str]) -> dict:
    """Make label maps of logits or of probabilities, whichever is given.

    Args:
        logits: Tensor [..., C], or `None`.
        probabilities: Tensor [..., C], or `None`.
        maps: Names of `MAPS`.

    Returns:
        `"label_map"`, uint8 [...], and the maps by name, float32.
    """
    scores = probabilities if logits is None else logits
    results = {"label_map": label_map(scores)}
    if maps and probabilities is None:
        probabilities = ops.softmax(ops.cast(logits, "float32"))
    return results | {name: ops.cast(MAPS[name](probabilities), "float32") for name in maps}


def _arrays(tensors):
    return {name: np.asarray(ops.convert_to_numpy(tensor)) for name, tensor in tensors.items()}


def _resized_rows(logits, size, rows):
    """Some rows of logits [h, w, C] resized bilinearly, half-pixel centres; [len(rows), W, C]."""
    if logits.shape[:2] == tuple(size):
        return ops.convert_to_tensor(logits[rows])
    height = logits.shape[0]
    centres = (np.arange(rows.start, rows.stop) + 0.5) * (height / size[0]) - 0.5
    centres = np.clip(centres, 0, height - 1).astype("float32")
    first = np.floor(centres).astype("int64")
    share = (centres - first).astype("float32")[:, None, None]
    # A copy of the rows in use only. Both sides of the seam between two blocks see the same rows.
    blended = logits[first] * (1 - share) + logits[np.minimum(first + 1, height - 1)] * share
    if logits.shape[1] == size[1]:
        return ops.convert_to_tensor(blended)
    return resize(ops.convert_to_tensor(blended[None]), (len(blended), size[1]))[0]

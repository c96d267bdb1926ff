"""Compute maps of images from one forward pass, several views or windows."""

import contextlib
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import keras
import numpy as np
from keras import ops

from eseg_keras.data.geometry import Size, resize_window, scaled
from eseg_keras.image_size import SMALLEST_SIDE
from eseg_keras.inference.sliding_window import slide
from eseg_keras.inference.uncertainty import MAPS
from eseg_keras.layers.likeliest_class import label_map
from eseg_keras.layers.resize import resize

# Size in bytes of the blocks of rows in which resized logits and probabilities are computed.
_BLOCK_BYTES = 2**24

AUTO_WINDOW = (640, 640)
"""Size of the sliding window for images above `LARGEST_WHOLE` pixels, if `window="auto"`."""

LARGEST_WHOLE = 2**23
"""With `window="auto"`, images with more pixels than this use windows.

Frames of 4K videos (3840x2160) have fewer pixels.
"""


class ImageMaps:
    """Computes the label map, and optionally other maps, of images of any size.

    `maps` are the names, from `MAPS`, of the other maps. `model` is a functional Keras model from
    images [B, H, W, C] to logits [B, H, W, num_classes]; see `Predictor` for the other arguments.
    """

    def __init__(
        self,
        model: keras.Model,
        maps: Sequence[str],
        batch_size: int,
        *,
        long_side: int | None,
        image_size: Size | None,
        scales: Sequence[float],
        flip: bool,
        window: Size | Literal["auto"] | None,
        overlap: Size | None,
    ):
        self.model = model
        self.maps = maps
        self.batch_size = batch_size
        self.long_side = long_side
        self.image_size = image_size
        self.scales = scales
        self.flip = flip
        self.window = window
        self.overlap = overlap
        # `_direct` shares the layers of `model`: it also uses weights that are trained or loaded
        # later.
        self._direct = keras.Model(model.input, self._finish(model.output, are_logits=True))
        self._direct.autocast = False
        # `TrainingModel` can apply its averaged weights; other Keras models have none.
        self._averaged_weights = getattr(model, "averaged_weights", contextlib.nullcontext)

    def __call__(self, images: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Return the maps of up to `batch_size` images [H, W, C] of the same size.

        Each dict contains `"label_map"`, uint8 [H, W], and the other maps by name, float32 [H, W]
        or [H, W, num_classes].
        """
        size = images[0].shape[:2]
        window = self._window(size)
        with self._averaged_weights():
            if window != size:
                return [self._assemble(self._slide(image, window), size) for image in images]
            if self._is_direct(size):
                maps = _arrays(self._direct.predict_on_batch(np.stack(images)))
                return [{name: x[i] for name, x in maps.items()} for i in range(len(images))]
            views = zip(*self._views(images), strict=True)
            return [self._assemble(_blocks(views_of_image, size), size) for views_of_image in views]

    def _window(self, size):
        """Return the window size for an image of a given size; `size` itself without windows."""
        window = self.window
        if window == "auto":
            window = AUTO_WINDOW if math.prod(size) > LARGEST_WHOLE else None
        return size if window is None else tuple(map(min, window, size))

    def seen_size(self, size: Size) -> Size:
        """Return the size to which an image of a given size is resized, at scale 1."""
        if self.long_side is not None:
            return scaled(size, self.long_side / max(size))
        if self.image_size is not None:
            height, width = self.image_size
            return scaled(size, min(height / size[0], width / size[1]))
        return size

    def _is_direct(self, size):
        """Return whether a single forward pass without resizing is enough."""
        seen = self.image_size or self.seen_size(size)
        return self.scales == (1.0,) and not self.flip and tuple(seen) == tuple(size)

    def _views(self, images):
        """Return the logits of each view (scale, flip): a list of arrays [B, h, w, C]."""
        views = []
        for scale in self.scales:
            seen = scaled(self.seen_size(images[0].shape[:2]), scale)
            seen = tuple(max(side, SMALLEST_SIDE) for side in seen)
            frame = seen
            if self.image_size is not None:
                frame = tuple(map(max, seen, scaled(self.image_size, scale)))
            shown = np.stack([_resized(image, seen, frame) for image in images])
            views.append(self._logits(shown)[:, : seen[0], : seen[1]])
            if self.flip:
                # Flip the image only, not its padding, which stays at the right.
                shown[:, : seen[0], : seen[1]] = shown[:, : seen[0], : seen[1]][:, :, ::-1].copy()
                views.append(self._logits(shown)[:, : seen[0], : seen[1]][:, :, ::-1])
        return views

    def _logits(self, images):
        return np.asarray(self.model.predict_on_batch(images))

    def _slide(self, image, window):
        """Yield (slices, probabilities, are_logits=False) of blended parts."""
        overlap = tuple(min(o, w - 1) for o, w in zip(self.overlap, window, strict=True))

        def score(parts):
            for first in range(0, len(parts), self.batch_size):
                tiles = [image[part] for part in parts[first : first + self.batch_size]]
                for views in zip(*self._views(tiles), strict=True):
                    probabilities = np.empty((*window, views[0].shape[-1]), np.float32)
                    for rows, scores, are_logits in _blocks(views, window):
                        scores = ops.softmax(scores) if are_logits else scores
                        probabilities[rows] = ops.convert_to_numpy(scores)
                    yield probabilities

        for part, probabilities in slide(image.shape[:2], window, overlap, score):
            yield part, ops.convert_to_tensor(probabilities), False

    def _finish(self, scores, are_logits):
        """Return the tensors of all maps by name, from logits or probabilities [..., C]."""
        results = {"label_map": label_map(scores)}
        if self.maps:
            probabilities = ops.softmax(ops.cast(scores, "float32")) if are_logits else scores
            for name in self.maps:
                results[name] = ops.cast(MAPS[name](probabilities), "float32")
        return results

    def _assemble(self, parts: Iterable, size):
        """Return one image's maps from parts (slices, scores, are_logits)."""
        results = {}
        for part, scores, are_logits in parts:
            for name, values in _arrays(self._finish(scores, are_logits)).items():
                if name not in results:
                    results[name] = np.empty((*size, *values.shape[2:]), values.dtype)
                results[name][part] = values
        return results


def _arrays(tensors):
    return {name: np.asarray(ops.convert_to_numpy(tensor)) for name, tensor in tensors.items()}


def _resized(image, size, frame):
    """Resize an image to `size`; pad it at the right and bottom to `frame` with its mean colour."""
    if image.shape[:2] == size == frame:
        return image
    # `resize_window` expects a mask; its result for the mask is ignored.
    unused = np.zeros(image.shape[:2], np.uint8)
    return resize_window(image, unused, size, (0, 0), frame)[0]


def _blocks(views, size):
    """Yield (slices, scores, are_logits) for blocks of rows of one image.

    The scores are logits for a single view, or the mean probabilities of several views.
    """
    height = max(1, _BLOCK_BYTES // (4 * views[0].shape[-1] * size[1]))
    for top in range(0, size[0], height):
        rows = slice(top, min(top + height, size[0]))
        logits = (_resized_rows(view, size, rows) for view in views)
        if len(views) == 1:
            yield (rows, slice(None)), next(logits), True
        else:
            yield (rows, slice(None)), sum(map(ops.softmax, logits)) / len(views), False


def _resized_rows(logits, size, rows):
    """Resize logits [h, w, C] bilinearly to `size`; return only `rows`, [len(rows), W, C]."""
    if logits.shape[:2] == tuple(size):
        return ops.convert_to_tensor(logits[rows])
    height = logits.shape[0]
    centres = (np.arange(rows.start, rows.stop) + 0.5) * (height / size[0]) - 0.5
    centres = np.clip(centres, 0, height - 1).astype("float32")
    first = np.floor(centres).astype("int64")
    share = (centres - first).astype("float32")[:, None, None]
    # Interpolate between the two input rows nearest to each output row, with half-pixel centres.
    # This copies only the needed rows, and blocks give the same result as the complete image.
    blended = logits[first] * (1 - share) + logits[np.minimum(first + 1, height - 1)] * share
    if logits.shape[1] == size[1]:
        return ops.convert_to_tensor(blended)
    return resize(ops.convert_to_tensor(blended[None]), (len(blended), size[1]))[0]

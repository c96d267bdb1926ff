"""From images of one size to their maps: one forward pass, or several views, or windows."""

from collections.abc import Sequence

import numpy as np

from eseg_keras.data.geometry import Size, resize_window, scaled
from eseg_keras.inference.network import Network
from eseg_keras.inference.sliding_window import slide

SMALLEST_SIDE = 32
"""Pixels that the network must see of either side: below, a pyramid level has no pixel left."""


class ImageMaps:
    """How a network looks at images; see `Predictor` for the arguments."""

    def __init__(
        self,
        network: Network,
        batch_size: int,
        *,
        long_side: int | None,
        image_size: Size | None,
        scales: Sequence[float],
        flip: bool,
        window: Size | None,
        overlap: Size | None,
    ):
        self.network = network
        self.batch_size = batch_size
        self.long_side = long_side
        self.image_size = image_size
        self.scales = scales
        self.flip = flip
        self.window = window
        self.overlap = overlap

    def __call__(self, images: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Return the maps of images of one size.

        Args:
            images: Arrays [H, W, C], at most `batch_size` of them.

        Returns:
            For each image `"label_map"`, uint8 [H, W], and the network's maps by name.
        """
        size = images[0].shape[:2]
        window = self._window_of(size)
        if window != size:
            return [self._slide(image, window) for image in images]
        if self._is_direct(size):
            maps = self.network.finished(np.stack(images))
            return [{name: x[index] for name, x in maps.items()} for index in range(len(images))]
        return [self._finish(views, size) for views in zip(*self._views(images), strict=True)]

    def seen_size(self, size: Size) -> Size:
        """Return the size at which the network sees an image of a size, at scale 1."""
        if self.long_side is not None:
            return scaled(size, self.long_side / max(size))
        if self.image_size is not None:
            height, width = self.image_size
            return scaled(size, min(height / size[0], width / size[1]))
        return size

    def _window_of(self, size):
        """(height, width) that the network sees of an image at a time, in the image's pixels."""
        if self.window is None:
            return size
        return tuple(min(sides) for sides in zip(self.window, size, strict=True))

    def _is_direct(self, size):
        """Whether one forward pass gives the result as it is."""
        seen = self.image_size or self.seen_size(size)
        return self.scales == (1.0,) and not self.flip and tuple(seen) == tuple(size)

    def _views(self, images):
        """Logits of the images as seen at each scale, and mirrored: a list of [B, h, w, C]."""
        views = []
        for scale in self.scales:
            seen = scaled(self.seen_size(images[0].shape[:2]), scale)
            seen = tuple(max(side, SMALLEST_SIDE) for side in seen)
            frame = seen if self.image_size is None else scaled(self.image_size, scale)
            shown = np.stack([_resized(image, seen, frame) for image in images])
            views.append(self.network.logits(shown)[:, : seen[0], : seen[1]])
            if self.flip:
                # The filling stays at the right: what is mirrored is the image within the frame.
                shown[:, : seen[0], : seen[1]] = shown[:, : seen[0], : seen[1]][:, :, ::-1].copy()
                views.append(self.network.logits(shown)[:, : seen[0], : seen[1]][:, :, ::-1])
        return views

    def _finish(self, views, size):
        """Maps of one image by name, from its views."""
        results = {}
        for rows, parts in self.network.finish_views(views, size):
            _put(results, parts, (rows, slice(None)), size)
        return results

    def _slide(self, image, window):
        """Maps of one image by name, from windows."""
        size = image.shape[:2]
        overlap = tuple(min(o, w - 1) for o, w in zip(self.overlap, window, strict=True))

        def score(parts):
            for first in range(0, len(parts), self.batch_size):
                tiles = [image[part] for part in parts[first : first + self.batch_size]]
                for views in zip(*self._views(tiles), strict=True):
                    yield self.network.probabilities(views, window)

        results = {}
        for part, probabilities in slide(size, window, overlap, score):
            _put(results, self.network.finish_probabilities(probabilities), part, size)
        return results


def _put(results, parts, where, size):
    """Copy parts of maps to their place, in arrays made for the first of them."""
    for name, part in parts.items():
        if name not in results:
            results[name] = np.empty((*size, *part.shape[2:]), part.dtype)
        results[name][where] = part


def _resized(image, size, frame):
    """An image scaled to a size, at the top left of a frame filled with its mean."""
    if image.shape[:2] == size == frame:
        return image
    # The function wants a mask of the image's size; only the image is used.
    unused = np.zeros(image.shape[:2], np.uint8)
    return resize_window(image, unused, size, (0, 0), frame)[0]

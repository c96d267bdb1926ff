"""Segmenting images of any kind and size with a trained network."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from eseg_keras.data.geometry import Size
from eseg_keras.data.images.image_reader import MAX_PIXELS
from eseg_keras.inference.image_maps import SMALLEST_SIDE, ImageMaps
from eseg_keras.inference.images import named_images
from eseg_keras.inference.network import Network
from eseg_keras.inference.prediction import Prediction
from eseg_keras.inference.predictor_arguments import check_numbers, check_windows, pair
from eseg_keras.inference.uncertainty import MAPS
from eseg_keras.visualization import default_palette

TEST_TIME_SCALES = (0.5, 1.0, 2.0)
"""Scales of test-time augmentation in the paper (section 4.4), together with flipping."""

# Threads that decode files, and how many images they read ahead beside those of a batch.
_THREADS = 4
_AHEAD = 2


class Predictor:
    """Label maps of images, whatever they come as.

    Without further arguments an image goes through the network once, in its own size. Results
    always have the image's own size: where the network sees another, its logits are resized
    bilinearly before the likeliest class is chosen.

    Args:
        model: An `ESeg`, or another functional Keras model from images [B, H, W, C] of 0..255 to
            logits [B, H, W, num_classes].
        batch_size: Images of one size, or windows of one image, in one forward pass. Defaults
            to 1, the quickest on most CPUs.
        long_side: Pixels of the longer side at which the network sees an image, as in training.
            `None`, the default, keeps the image's own.
        image_size: (height, width) that the network always sees: an image is scaled to fit whole,
            its aspect ratio kept, and the rest is filled with its mean. `None` for any size.
        scales: Test-time augmentation: factors of the size at which the network sees the image,
            its probabilities averaged. `TEST_TIME_SCALES` are the paper's. Defaults to 1 alone.
        flip: Whether each scale is seen mirrored left to right as well. Defaults to `False`.
        window: Pixels, or (height, width), of a window that slides over images larger than it; the
            probabilities of overlapping windows are blended. Memory then depends on the window and
            not on the image. `None`, the default, sees every image whole.
        overlap: Pixels, or (rows, columns), that neighbouring windows share at least. Defaults to
            a quarter of the window.
        min_confidence: Probability below which a pixel gets the ignore label. `None` keeps the
            likeliest class everywhere.
        maps: What else to return: any of `"confidence"`, `"entropy"`, `"margin"` and
            `"probabilities"`.
        max_pixels: Image files with more pixels are refused before they are decoded. Defaults to
            Pillow's own limit, about 179 million.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:

    >>> import eseg_keras
    >>> model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    >>> image, mask = eseg_keras.street_scenes.render_scene(0, split="test")
    >>> predictor = eseg_keras.inference.Predictor(model, maps=["confidence"])
    >>> prediction = predictor(image)
    >>> prediction.label_map.shape, bool((prediction.label_map == mask).mean() > 0.8)
    ((192, 384), True)
    >>> [p.name for p in predictor.predict([image, image[:64]])]
    ['image 0', 'image 1']

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683),
        section 4.4 for the augmentation
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        batch_size: int = 1,
        long_side: int | None = None,
        image_size: Size | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        window: int | Size | None = None,
        overlap: int | Size | None = None,
        min_confidence: float | None = None,
        maps: Sequence[str] = (),
        max_pixels: int = MAX_PIXELS,
    ):
        window, overlap = pair(window), pair(overlap)
        if window is not None and overlap is None:
            overlap = (window[0] // 4, window[1] // 4)
        scales, maps = tuple(map(float, scales)), tuple(maps)
        check_numbers(batch_size, long_side, image_size, scales, min_confidence, max_pixels)
        check_windows(window, overlap, long_side, image_size)
        if unknown := [name for name in maps if name not in MAPS]:
            raise ValueError(f"maps may hold {', '.join(MAPS)}. Received: {unknown[0]!r}")
        self.model = model
        self.batch_size = batch_size
        self.long_side = long_side
        self.image_size = None if image_size is None else tuple(image_size)
        self.scales = scales
        self.flip = flip
        self.window = window
        self.overlap = overlap
        self.min_confidence = min_confidence
        self.maps = maps
        self.max_pixels = max_pixels

        needed = maps
        if min_confidence is not None and "confidence" not in maps:
            needed = (*maps, "confidence")
        self._maps_of = ImageMaps(
            Network(model, needed),
            batch_size,
            long_side=long_side,
            image_size=self.image_size,
            scales=scales,
            flip=flip,
            window=window,
            overlap=overlap,
        )
        self.num_classes = self._maps_of.network.num_classes
        names = getattr(model, "class_names", None)
        self.class_names = names or tuple(f"class {label}" for label in range(self.num_classes))
        self.palette = getattr(model, "palette", None) or default_palette(self.num_classes)
        self.ignore_label = getattr(model, "ignore_label", 255)

    def __call__(self, image: Any) -> Prediction:
        """Segment one image.

        Args:
            image: Path of an image file, array [H, W, C] or [H, W], or Pillow image. Grey, RGBA,
                CMYK and 16-bit images are converted; arrays of floats are of 0..255.

        Returns:
            The prediction.

        Raises:
            ValueError: If it is not one image, or too small or too large; the message says which.
        """
        predictions = list(self.predict(image))
        if len(predictions) != 1:
            raise ValueError(
                f"Expected one image, received {len(predictions)}: call predict() instead."
            )
        return predictions[0]

    def predict(
        self, inputs: Any, on_error: Callable[[str, ValueError], None] | None = None
    ) -> Iterator[Prediction]:
        """Segment images one after the other.

        Files are decoded in threads, ahead of the network. Images of one size that follow each
        other go through the network together, `batch_size` at a time.

        Args:
            inputs: A path (of an image, a video, or a folder of either), an array [H, W, C] or a
                batch [B, H, W, C], a Pillow image, or an iterable of any of these, such as a
                generator of camera frames.
            on_error: Called with the name of an image that cannot be used and the error, and the
                rest goes on. `None`, the default, raises.

        Yields:
            The predictions, in the order of the images.

        Raises:
            ValueError: If an image cannot be used and there is no `on_error`, or an input is
                neither image nor path of one.
        """
        batch = []
        for name, image, error in self._read(inputs):
            if error is not None:
                # Those before it come first.
                yield from self._predict_batch(batch)
                batch = []
                if on_error is None:
                    raise error
                on_error(name, error)
                continue
            if batch and batch[0][1].shape != image.shape:
                yield from self._predict_batch(batch)
                batch = []
            batch.append((name, image))
            if len(batch) == self.batch_size:
                yield from self._predict_batch(batch)
                batch = []
        yield from self._predict_batch(batch)

    def _read(self, inputs):
        """Names, images and errors in turn, read ahead."""
        images = named_images(inputs, self.model.input.shape[-1], self.max_pixels)
        if isinstance(inputs, np.ndarray):
            # There is nothing to wait for: a thread would cost more than it saves.
            yield from (self._load(*named) for named in images)
            return
        with ThreadPoolExecutor(_THREADS, "images") as pool:
            waiting = deque()
            try:
                for named in images:
                    waiting.append(pool.submit(self._load, *named))
                    if len(waiting) > self.batch_size + _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _load(self, name, read):
        try:
            image = read()
            seen = self._maps_of.seen_size(image.shape[:2])
            if min(seen) < SMALLEST_SIDE:
                size, seen = (f"{side[0]}x{side[1]}" for side in (image.shape, seen))
                scaled_to = "" if size == seen else f" and is seen at {seen}"
                raise ValueError(
                    f"{name}: is {size} pixels, height by width{scaled_to}; the network needs at "
                    f"least {SMALLEST_SIDE}x{SMALLEST_SIDE}. Scale it up, or leave it out."
                )
        except ValueError as error:
            if not str(error).startswith(name):
                error = ValueError(f"{name}: {error}")
            return name, None, error
        return name, image, None

    def _predict_batch(self, batch):
        if not batch:
            return
        results = self._maps_of([image for _, image in batch])
        for (name, image), result in zip(batch, results, strict=True):
            yield self._prediction(name, image, result)

    def _prediction(self, name, image, result):
        label_map = result.pop("label_map")
        if self.min_confidence is not None:
            confidence = result["confidence"]
            doubtful = confidence < self.min_confidence
            label_map = np.where(doubtful, np.uint8(self.ignore_label), label_map)
            if "confidence" not in self.maps:
                del result["confidence"]
        return Prediction(
            name=name,
            image=image,
            label_map=label_map,
            class_names=self.class_names,
            palette=self.palette,
            ignore_label=self.ignore_label,
            **result,
        )

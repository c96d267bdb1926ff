"""Predicting label maps of images of any format and size with a trained network."""

import inspect
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import keras
import numpy as np

from eseg_keras.data.geometry import Size
from eseg_keras.data.images.image_reader import MAX_PIXELS, ImageFileError
from eseg_keras.image_size import SMALLEST_SIDE, check_image_range, check_image_size
from eseg_keras.inference.image_maps import AUTO_WINDOW, ImageMaps
from eseg_keras.inference.input_files import ImageSource, image_sources
from eseg_keras.inference.prediction import Prediction
from eseg_keras.inference.uncertainty import MAPS
from eseg_keras.inference.workers import map_ahead
from eseg_keras.memory import is_out_of_memory
from eseg_keras.visualization import default_palette

TEST_TIME_SCALES = (0.5, 1.0, 2.0)
"""Scales of test-time augmentation in the paper (section 4.4), together with flipping."""

# Number of threads that decode files.
_THREADS = 4
# Number of images that are read ahead, in addition to a batch.
_AHEAD = 2

# A warning is logged if the longer side of the network's input is more than this many times as long
# as that of the training images, or vice versa.
_OTHER_SCALE = 2

_log = logging.getLogger("eseg_keras")

TOO_LARGE = "does not fit into memory: set window, long_side or image_size, or skip the image"


class Predictor:
    """Predict label maps of images: paths, folders, videos, arrays, Pillow images.

    By default, an image is predicted by one forward pass at its own size. Results always have the
    size of the image: if the network's input has another size, its logits are resized bilinearly
    before the most likely class is chosen. If the model records the longer side of its training
    images, a warning is logged once for an image whose longer side, as resized for the network, is
    more than twice or less than half as long.

    Args:
        model: An `ESeg`, or another functional Keras model from images [B, H, W, C] of 0..255 to
            logits [B, H, W, num_classes].
        batch_size: Number of images of the same size, or of windows of one image, per forward pass.
            Defaults to 1, which is fastest on most CPUs.
        long_side: Size in pixels to which the longer side of an image is resized for the network,
            as in training. Defaults to `None`: images keep their size, unless `image_size` is set.
        image_size: Fixed (height, width) of the network's input: images are scaled to fit into it,
            with their aspect ratio, and padded with their mean colour. Defaults to `None`: any
            size, or the size for which the model was built.
        scales: Test-time augmentation: scale factors of the network's input; the probabilities are
            averaged over the scales. The paper uses `TEST_TIME_SCALES`. Defaults to (1.0,).
        flip: Whether to average the probabilities with those of the horizontally flipped image.
            Defaults to `False`.
        window: Size in pixels, or (height, width), of a window that slides over larger images; the
            probabilities of overlapping windows are blended. Memory then depends mainly on the
            window, not on the image. `"auto"` uses windows of 640x640 for images of more than 8.4
            million pixels. Defaults to `None`: no windows.
        overlap: Smallest overlap of neighbouring windows in pixels, or (rows, columns). Defaults to
            a quarter of the window.
        min_confidence: Probability below which a pixel gets the ignore label. Defaults to `None`:
            every pixel gets the most likely class.
        maps: Additional results: any of `"confidence"`, `"entropy"`, `"margin"` and
            `"probabilities"`.
        max_pixels, image_range, first_frame: How images are read, see `read_image`. Without
            `first_frame`, GIF files in folders are skipped.

    Raises:
        ValueError: If an argument is out of range, or contradicts another argument.

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
        window: int | Size | Literal["auto"] | None = None,
        overlap: int | Size | None = None,
        min_confidence: float | None = None,
        maps: Sequence[str] = (),
        max_pixels: int = MAX_PIXELS,
        image_range: tuple[float, float] | None = None,
        first_frame: bool = False,
    ):
        self.model = model
        self.batch_size = batch_size
        self.long_side = long_side
        built_for = tuple(model.input.shape[1:3])
        if None not in built_for and not (image_size or long_side or window):
            image_size = built_for
        self.image_size = image_size and tuple(image_size)
        self.scales = tuple(map(float, scales))
        self.flip = flip
        if isinstance(window, str) and window != "auto":
            raise ValueError(
                f"window must be 'auto', pixels or (height, width). Received: window={window!r}"
            )
        self.window = window if window == "auto" else _pair(window)
        self.overlap = _pair(overlap)
        if self.window and self.overlap is None:
            height, width = self._largest_window()
            self.overlap = (height // 4, width // 4)
        self.min_confidence = min_confidence
        self.maps = tuple(maps)
        self.max_pixels = max_pixels
        self.image_range = None if image_range is None else check_image_range(image_range)
        self.first_frame = first_frame
        self.ignore_label = getattr(model, "ignore_label", 255)
        self._check_arguments()

        needed = self.maps
        if min_confidence is not None and "confidence" not in needed:
            needed = (*needed, "confidence")
        self._image_maps = ImageMaps(
            model,
            needed,
            batch_size,
            long_side=long_side,
            image_size=self.image_size,
            scales=self.scales,
            flip=flip,
            window=self.window,
            overlap=self.overlap,
        )
        self.num_channels = model.input.shape[-1]
        self.reading = {
            "num_channels": self.num_channels,
            "max_pixels": max_pixels,
            "image_range": self.image_range,
            "first_frame": first_frame,
        }
        self.num_classes = model.output.shape[-1]
        self._training_side = getattr(model, "training_long_side", None)
        names = getattr(model, "class_names", None)
        self.class_names = names or tuple(f"class {label}" for label in range(self.num_classes))
        self.palette = getattr(model, "palette", None) or default_palette(self.num_classes)

    def __reduce__(self):
        """Pickle only the model and the arguments: compiled functions cannot be pickled."""
        _, *names = inspect.signature(type(self)).parameters  # Without `model`.
        options = {name: getattr(self, name) for name in names}
        return partial(type(self), **options), (self.model,)

    def _largest_window(self):
        return AUTO_WINDOW if self.window == "auto" else self.window

    def _check_arguments(self):
        if self.batch_size < 1 or self.max_pixels < 1:
            raise ValueError(
                "batch_size and max_pixels must be at least 1. "
                f"Received: batch_size={self.batch_size}, max_pixels={self.max_pixels}"
            )
        if self.long_side is not None and self.image_size is not None:
            raise ValueError(
                "long_side and image_size both set the size of the network's input: pass only one "
                f"of them. Received: long_side={self.long_side}, image_size={self.image_size}"
            )
        for name in ("long_side", "image_size"):
            check_image_size(name, getattr(self, name))
        check_image_size("window", self._largest_window())
        if not self.scales or not all(math.isfinite(x) and x > 0 for x in self.scales):
            raise ValueError(
                f"scales must be positive numbers, at least one. Received: {self.scales}"
            )
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must be from 0 to 1. Received: {self.min_confidence}")
        if self.min_confidence is not None and not 0 <= self.ignore_label <= 255:
            raise ValueError(
                "With min_confidence, label maps contain the ignore label, which must be from 0 to "
                f"255. Received: a model with ignore_label={self.ignore_label}"
            )
        if unknown := [name for name in self.maps if name not in MAPS]:
            raise ValueError(f"maps may contain {', '.join(MAPS)}. Received: {unknown[0]!r}")
        if self.window is None:
            if self.overlap is not None:
                raise ValueError(
                    f"overlap requires window: pass both. Received: overlap={self.overlap}"
                )
            return
        if self.long_side is not None or self.image_size is not None:
            raise ValueError(
                "A window slides over images at their own size: pass no long_side or image_size. "
                f"Received: window={self.window}, long_side={self.long_side}, "
                f"image_size={self.image_size}"
            )
        if not all(0 <= o < w for o, w in zip(self.overlap, self._largest_window(), strict=True)):
            raise ValueError(
                "overlap must be at least 0 and smaller than window. "
                f"Received: window={self.window}, overlap={self.overlap}"
            )

    def __call__(self, image: Any) -> Prediction:
        """Segment one image.

        Args:
            image: Path of an image file, array [H, W, C] or [H, W], or Pillow image. For a network
                with 3 channels, grey, RGBA, CMYK and 16-bit images are converted to 8-bit RGB.

        Returns:
            The prediction.

        Raises:
            ValueError: If `image` cannot be read, is not a single image, or is too small or too
                large.
        """
        # Do not start threads: a single image does not need them.
        loaded = map(self._load, image_sources(image, **self.reading))
        outcomes = list(self._predict_batches(loaded))
        if len(outcomes) != 1:
            raise ValueError(
                f"Expected one image, received {len(outcomes)}: call predict() instead."
            )
        if isinstance(outcomes[0], ImageFileError):
            raise outcomes[0]
        return outcomes[0]

    def predict(
        self, inputs: Any, on_error: Callable[[str, ValueError], None] | None = None
    ) -> Iterator[Prediction]:
        """Segment images one after the other.

        While images are predicted, threads read the next files. Consecutive images of the same size
        are predicted in batches of `batch_size`.

        Args:
            inputs: A path (of an image, a video, or a folder of either), an array [H, W, C] or a
                batch [B, H, W, C], a Pillow image, or an iterable of any of these, such as a
                generator of camera frames.
            on_error: Called with the name of an unusable image and the error; the other images are
                still predicted. Defaults to `None`: the error is raised.

        Yields:
            The predictions, in the order of the images.

        Raises:
            ValueError: If an image cannot be used and `on_error` is `None`, or if an input is
                neither an image nor a path.
        """
        sources = image_sources(inputs, **self.reading)
        for outcome in self.outcomes(sources):
            if isinstance(outcome, Prediction):
                yield outcome
            elif on_error is None:
                raise outcome
            else:
                on_error(str(outcome.path), outcome)

    def outcomes(self, sources: Iterable[ImageSource]) -> Iterator[Prediction | ImageFileError]:
        """Yield for each image its prediction, or the error if it cannot be used."""
        ahead = self.batch_size + _AHEAD
        return self._predict_batches(map_ahead(self._load, sources, _THREADS, ahead))

    def size_problem(self, size: Size) -> str | None:
        """Return the problem of an image of this (height, width), or `None` if it can be used."""
        seen = self._image_maps.seen_size(size)
        if min(seen) >= SMALLEST_SIDE:
            return None
        scaled_to = "" if tuple(seen) == tuple(size) else f", resized to {seen[0]}x{seen[1]}"
        return (
            f"is {size[0]}x{size[1]} pixels, height by width{scaled_to}; the network needs at "
            f"least {SMALLEST_SIDE}x{SMALLEST_SIDE}. Use a larger image, or skip it"
        )

    def _load(self, source):
        """Return the name of an image, and its pixels or the error if it cannot be used."""
        try:
            image = source.read()
            problem = self.size_problem(image.shape[:2])
            if image.shape[-1] != self.num_channels:
                problem = (
                    f"has {image.shape[-1]} channels, but the network expects {self.num_channels}: "
                    f"pass arrays [H, W, {self.num_channels}]"
                )
        except ImageFileError as error:
            return source.name, error
        except ValueError as error:
            problem = str(error)
        except MemoryError:
            problem = TOO_LARGE
        if problem:
            return source.name, ImageFileError(source.name, [problem])
        return source.name, image

    def _predict_batches(self, loaded):
        """Predict batches of images of equal size; yield the predictions and errors in order."""
        for shape, group in itertools.groupby(loaded, lambda item: getattr(item[1], "shape", None)):
            while batch := list(itertools.islice(group, self.batch_size)):
                names, images = zip(*batch, strict=True)
                if shape is None:
                    yield from images  # Errors.
                else:
                    self._check_scale(names[0], shape)
                    yield from map(self._prediction, names, images, self._maps(images))

    def _check_scale(self, name, shape):
        """Log a warning, only once, if an image's scale differs much from that in training."""
        # Do not warn if the user set a window: large images are then assumed to show objects at the
        # scale of the training images.
        if self._training_side is None or self.window not in (None, "auto"):
            return
        ours, theirs = max(self._image_maps.seen_size(shape[:2])), self._training_side
        if theirs / _OTHER_SCALE <= ours <= theirs * _OTHER_SCALE:
            return
        self._training_side = None
        objects = "larger" if ours > theirs else "smaller"
        _log.warning(
            "%s: the longer side of the network's input has %d pixels; in training it had %d. If "
            "objects appear %s than in the training images, set long_side=%d (--long_side %d).",
            name, ours, theirs, objects, theirs, theirs,
        )  # fmt: skip

    def _maps(self, images):
        """Return the maps of each image; `None` for an image that does not fit into memory."""
        try:
            return self._image_maps(images)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        return [None] if len(images) == 1 else [self._maps([image])[0] for image in images]

    def _prediction(self, name, image, maps):
        """Return the prediction of an image, or an error if it did not fit into memory."""
        if maps is None:
            return ImageFileError(name, [TOO_LARGE])
        label_map = maps.pop("label_map")
        if self.min_confidence is not None:
            doubtful = maps["confidence"] < self.min_confidence
            label_map = np.where(doubtful, np.uint8(self.ignore_label), label_map)
            if "confidence" not in self.maps:
                del maps["confidence"]
        return Prediction(
            name=name,
            image=image,
            label_map=label_map,
            class_names=self.class_names,
            palette=self.palette,
            ignore_label=self.ignore_label,
            **maps,
        )


def _pair(value):
    """Return (height, width) from one number for both or from a pair; None stays None."""
    return (value, value) if isinstance(value, int) else value and tuple(value)

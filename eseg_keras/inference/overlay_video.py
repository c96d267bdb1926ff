"""Writing the overlay of a video."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.inference.input_files import ImageSource
from eseg_keras.inference.predictor import Predictor
from eseg_keras.inference.threads import map_ahead
from eseg_keras.inference.video_writer import video_writer
from eseg_keras.inference.videos import VideoInfo, timed_frames
from eseg_keras.visualization import add_legend

# Number of frames that wait for the encoder; each is in memory.
_WAITING = 8


def write_overlay_video(
    predictor: Predictor,
    path: Path,
    info: VideoInfo,
    target: Path,
    alpha: float = 0.5,
    legend: bool = True,
    on_frame: Callable[[], None] = lambda: None,
) -> None:
    """Write the overlay of the video `path` to `target`, atomically.

    `info` is the result of `video_info`; `on_frame` is called after each finished frame. The legend
    below the frames contains all classes; it is omitted if it is higher than half the video. Raise
    ImageFileError if the video cannot be used.
    """
    height, width = info.size
    strip = _legend_strip(predictor, height, width) if legend else np.empty((0, width, 3), np.uint8)
    times = deque()

    def images():
        for time, image in timed_frames(path, info):
            times.append(time)
            yield ImageSource(f"{path}#{len(times)}", partial(np.asarray, image))

    def predictions():
        for outcome in predictor.outcomes(images()):
            if isinstance(outcome, ImageFileError):
                raise outcome
            yield outcome

    target_info = replace(info, size=(height + len(strip), width))
    try:
        with video_writer(target, target_info) as write:

            def write_overlay(prediction):
                colored = np.asarray(prediction.overlay(alpha, legend=False))
                write(times.popleft(), np.concatenate([colored, strip]))

            # Encode in a thread, while the next frames are predicted.
            for _ in map_ahead(write_overlay, predictions(), 1, _WAITING):
                on_frame()
    except ValueError as error:
        problems = error.problems if isinstance(error, ImageFileError) else [str(error)]
        raise ImageFileError(path, problems) from error


def _legend_strip(predictor, height, width):
    """Return the legend, uint8 [h, W, 3]; h is 0 if it is higher than half the video."""
    blank = Image.new("RGB", (width, height))
    legend = np.asarray(add_legend(blank, predictor.class_names, predictor.palette))[height:]
    return legend if len(legend) <= height / 2 else legend[:0]

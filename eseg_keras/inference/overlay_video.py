"""The overlay of a video, as a video."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.inference.predictor import Predictor
from eseg_keras.inference.video_writer import VideoWriter
from eseg_keras.inference.videos import VideoInfo, timed_frames
from eseg_keras.visualization import add_legend

# Frames that wait for the encoder: each holds its image in memory.
_WAITING = 8


def write_overlay_video(
    predictor: Predictor,
    path: str | Path,
    info: VideoInfo,
    target: Path,
    *,
    alpha: float = 0.5,
    legend: bool = True,
    made_of: object = None,
    part_frames: int = 250,
    on_first: Callable[[], None] = lambda: None,
) -> Iterator[int]:
    """Write a video with the classes' colours over it, going on where a killed process stopped.

    Args:
        predictor: Segments the frames.
        path: The video.
        info: What `video_info` says of it.
        target: The MP4 file to write.
        alpha: Strength of the colours, 0 to 1. Defaults to 0.5.
        legend: Whether a strip below names the classes. It is the same for all frames, so it names
            all classes; it is left out where it would be higher than half the video.
        made_of: What the colours depend on, see `VideoWriter`.
        part_frames: Frames a part, see `VideoWriter`.
        on_first: Called before anything is written, once a frame can be predicted.

    Yields:
        The number of finished frames, rising. The file is there when the iterator ends.

    Raises:
        ValueError: If the video cannot be used; nothing of it stays then.
    """
    writer = VideoWriter(target, info, made_of, part_frames)
    times, broken, waiting = deque(), [], deque()

    def images():
        try:
            for time, image in timed_frames(path, info, writer.num_frames):
                times.append(time)
                yield image
        except ImageFileError as error:
            # What was read before it is still on its way through the predictor.
            broken.append(error)

    strip = _legend_strip(predictor, info.size) if legend else np.empty((0, info.size[1], 3), "u1")

    def write(time, prediction):
        colored = np.asarray(prediction.overlay(alpha, legend=False))
        writer.write(time, np.concatenate([colored, strip]))

    finished = writer.num_frames
    try:
        with ThreadPoolExecutor(1, "video") as pool:
            for prediction in predictor.predict(images()):
                on_first()
                waiting.append(pool.submit(write, times.popleft(), prediction))
                if len(waiting) > _WAITING:
                    waiting.popleft().result()
                    finished += 1
                    yield finished
        for written in waiting:
            written.result()
            finished += 1
            yield finished
        if broken:
            raise broken[0]
        writer.close()
    except ValueError as error:
        writer.discard()
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: {str(error).removeprefix('image 0: ')}") from error


def _legend_strip(predictor, size):
    """What goes below every frame: uint8 [H, W, 3], of height 0 where it would take too much."""
    height, width = size
    blank = Image.new("RGB", (width, height))
    legend = np.asarray(add_legend(blank, predictor.class_names, predictor.palette))[height:]
    return legend if len(legend) <= height / 2 else legend[:0]

"""Writing videos: frames, and the overlays of a predicted video."""

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.files import atomic_file
from eseg_keras.inference.input_files import ImageSource
from eseg_keras.inference.predictor import Predictor
from eseg_keras.inference.videos import VideoInfo, timed_frames
from eseg_keras.inference.workers import map_ahead
from eseg_keras.optional import require
from eseg_keras.visualization import add_legend

# Number of frames that wait for the encoder; each is in memory.
_WAITING = 8

# No B-frames ("bf"): with B-frames, times start at 0 only through an edit list, which some players
# ignore. FFmpeg builds without x264 fall back to MPEG-4 Part 2, which not every browser plays.
_ENCODERS = {
    "libx264": {"crf": "18", "preset": "veryfast", "bf": "0"},
    "mpeg4": {"qmin": "3", "qmax": "3", "bf": "0"},
}
_BT709 = 1


@contextlib.contextmanager
def video_writer(path: str | Path, info: VideoInfo) -> Iterator[Callable[[int, np.ndarray], None]]:
    """Write an MP4 file atomically: H.264 (or MPEG-4 Part 2) in 4:2:0, without sound.

    4:2:0 requires even sizes: if the height or width is odd, the last row or column is repeated.
    Yield a function (time, frame) that adds a frame: the time is in ticks of `info.time_base` since
    the first frame, the frame is uint8 [H, W, 3], RGB.
    """
    av = require("av", "video")
    encoder = next(name for name in _ENCODERS if name in av.codecs_available)
    # Write the index first: browsers can then play the file before it is downloaded completely.
    options = {"movflags": "faststart"}
    with (
        atomic_file(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options=options) as container,
    ):
        stream = container.add_stream(encoder, rate=info.rate, options=_ENCODERS[encoder])
        height, width = info.size
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        stream.thread_type = "FRAME"
        context = stream.codec_context
        stream.time_base = context.time_base = info.time_base
        context.sample_aspect_ratio = info.pixel_aspect
        colors = {}
        if encoder == "libx264":
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            colors = {"dst_colorspace": "ITU709"}

        def write(time, image):
            if image.shape[:2] != info.size:
                raise ValueError(
                    "All frames of a video must have the same size. Received: "
                    f"{list(info.size)}, then {list(image.shape[:2])}"
                )
            even = np.pad(image, [(0, height % 2), (0, width % 2), (0, 0)], "edge")
            frame = av.VideoFrame.from_ndarray(even)
            frame = frame.reformat(format="yuv420p", **colors)
            frame.pts, frame.time_base = time, info.time_base
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode(None))


def write_frames(path: str | Path, frames: Iterable[np.ndarray], rate: float = 25) -> None:
    """Write images as a video.

    Args:
        path: The MP4 file to write, atomically.
        frames: uint8 arrays [H, W, 3], RGB, of the same size.
        rate: Frames per second. Defaults to 25.

    Raises:
        ValueError: If there is no frame, or the sizes of frames differ.
        ImportError: If the extra "video" is not installed.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from eseg_keras.inference import write_frames
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "black.mp4"
    >>> write_frames(path, np.zeros((10, 48, 64, 3), "uint8"))
    >>> path.stat().st_size > 0
    True
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("A video needs at least one frame. Received none.")
    rate = Fraction(rate).limit_denominator(1001)
    info = VideoInfo(0, rate, 1 / rate, first.shape[:2], Fraction(1))
    with video_writer(path, info) as write:
        for time, frame in enumerate(itertools.chain([first], frames)):
            write(time, frame)


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
        for index, (time, image) in enumerate(timed_frames(path, info)):
            times.append(time)
            yield ImageSource(f"{path}#{index}", partial(np.asarray, image))

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
    """Return the legend [h, W, 3]; empty if higher than half the video."""
    blank = Image.new("RGB", (width, height))
    legend = np.asarray(add_legend(blank, predictor.class_names, predictor.palette))[height:]
    return legend if len(legend) <= height / 2 else legend[:0]

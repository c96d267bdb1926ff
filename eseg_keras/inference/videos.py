"""Reading the frames of video files."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.optional import require

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)
"""Suffixes, in lower case, of files that are read as videos."""

_UNREADABLE = "cannot be read as a video: it is truncated, damaged, or another kind of file"

# Complete files end at most this many seconds before the duration in the header; truncated files
# end earlier.
_MISSING_SECONDS = 0.25


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video that are known before its frames are decoded.

    Attributes:
        num_frames: Number of frames; for a few formats it may be slightly wrong.
        rate: Frames per second; the mean if the rate varies.
        time_base: Duration of one tick, the unit of frame times, in seconds.
        size: (height, width) of the displayed frames, with rotation applied.
        pixel_aspect: Width of a displayed pixel divided by its height.
    """

    num_frames: int
    rate: Fraction
    time_base: Fraction
    size: tuple[int, int]
    pixel_aspect: Fraction


def video_info(path: str | Path) -> VideoInfo:
    """Read the properties of a video; raise `ImageFileError` if it is unreadable or truncated."""
    av = require("av", "video")
    try:
        with av.open(str(path)) as container:
            first = next(container.decode(video=0))
            height, width = first.height, first.width
            if first.rotation % 180:
                height, width = width, height
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            num_frames, whole = _walk(container, stream, Path(path).stat().st_size)
            aspect = stream.sample_aspect_ratio or Fraction(1)
            info = VideoInfo(
                num_frames,
                Fraction(stream.average_rate or stream.guessed_rate or 25),
                Fraction(stream.time_base),
                (height, width),
                1 / aspect if first.rotation % 180 else aspect,
            )
    except (av.FFmpegError, OSError, ValueError, StopIteration, IndexError) as error:
        raise ImageFileError(path, [_UNREADABLE]) from error
    if not whole:
        raise ImageFileError(path, [_UNREADABLE])
    return info


def _walk(container, stream, file_size):
    """Return the number of displayed frames, and whether the file is complete.

    FFmpeg reads truncated files without an error. Therefore, the size of an MP4 or AVI file is
    compared with the frame positions in its index. Matroska's index contains no frame sizes: the
    end of the last frame is compared with the duration in the header.
    """
    num_frames = end = 0
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            num_frames += 1
            end = max(end, (packet.pts or 0) + (packet.duration or 0))
    if any(entry.pos + entry.size > file_size for entry in stream.index_entries):
        return num_frames, False
    if "matroska" in container.format.name and container.duration:
        seconds = _stream_seconds(stream) or container.duration / 1e6
        own = "DURATION" in stream.metadata or len(container.streams) == 1
        return num_frames, not own or end * stream.time_base > seconds - _MISSING_SECONDS
    return num_frames, True


def _stream_seconds(stream):
    """Return Matroska's DURATION tag (H:M:S) in seconds; 0 without this tag."""
    hours, minutes, seconds = stream.metadata.get("DURATION", "0:0:0").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def read_frames(path: str | Path) -> Iterator[np.ndarray]:
    """Read the frames of a video one after the other, in constant memory.

    The rotation in the metadata of the file, such as of videos from phones, is applied.

    Args:
        path: A video file, in any format that FFmpeg decodes.

    Yields:
        uint8 arrays [H, W, 3], RGB, all of the same size.

    Raises:
        ImageFileError: If the file is not a video or is truncated (raised before the first frame),
            or if a frame is damaged (raised at this frame).
        ImportError: If the extra "video" is not installed.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from eseg_keras.inference import read_frames, write_frames
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "grey.mp4"
    >>> write_frames(path, [np.full((48, 64, 3), grey, "uint8") for grey in (0, 128, 255)], rate=25)
    >>> [frame.shape for frame in read_frames(path)]
    [(48, 64, 3), (48, 64, 3), (48, 64, 3)]
    """
    for _, image in timed_frames(path, video_info(path)):
        yield image


def timed_frames(path: str | Path, info: VideoInfo) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (time, frame) for each frame of a video; frames are uint8 [H, W, 3], RGB.

    Times are in ticks of `info.time_base` since the first frame, and strictly increase.
    """
    av = require("av", "video")
    tick = max(1, round(1 / (info.rate * info.time_base)))
    time = None
    try:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                if time is None:
                    time, first, width, height = 0, frame.pts or 0, frame.width, frame.height
                elif frame.pts is None:
                    time += tick
                else:
                    time = max(frame.pts - first, time + 1)
                # Frames of a stream may differ in size: resize them to the first frame's size.
                image = frame.to_ndarray(format="rgb24", width=width, height=height)
                # `np.rot90` and `frame.rotation` are both counter-clockwise.
                yield time, np.ascontiguousarray(np.rot90(image, frame.rotation // 90))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ImageFileError(path, [_UNREADABLE]) from error

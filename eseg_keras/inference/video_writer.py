"""Writing videos that a killed process can go on with."""

import json
import shutil
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from eseg_keras.files import atomic_file, write_text
from eseg_keras.inference.videos import VideoInfo
from eseg_keras.optional import require

# Without B-frames, pictures are stored in the order they are shown, and parts join without gaps.
# A build of FFmpeg without x264 has the older MPEG-4 Part 2, which not every browser plays.
_ENCODERS = {
    "libx264": {"crf": "18", "preset": "veryfast", "bf": "0"},
    "mpeg4": {"qmin": "3", "qmax": "3", "bf": "0"},
}
_BT709 = 1


class VideoWriter:
    """Write an MP4 file, H.264 in 4:2:0, frame by frame; a killed process can go on with it.

    The frames go to parts in a hidden folder beside the file, `.NAME.mp4.parts`; `close` joins them
    without encoding again. Parts are cut at the same frames whether the process was killed or not,
    so the video is the same either way. 4:2:0 needs even sizes: an odd last row or column is
    doubled. There is no sound.

    Args:
        path: The file to write.
        info: Rate, time base and pixel aspect of the frames, such as those of the source.
        made_of: What the frames depend on, as JSON can hold it. Parts that were made of anything
            else are thrown away. Defaults to `None`.
        part_frames: Frames a part, which is what a killed process loses at most. Defaults to 250.

    Attributes:
        num_frames: Number of frames written, those of an earlier process included: the caller goes
            on with the frame of this index.
    """

    def __init__(
        self, path: str | Path, info: VideoInfo, made_of: object = None, part_frames: int = 250
    ):
        self._av = require("av", "video")
        self._encoder = next(name for name in _ENCODERS if name in self._av.codecs_available)
        self._path, self._info, self._part_frames = Path(path), info, part_frames
        self._folder = self._path.with_name(f".{self._path.name}.parts")
        self._container = self._stream = None
        made = {"made_of": made_of, "part_frames": part_frames, "av": self._av.__version__}
        self._made_of = json.dumps(made, sort_keys=True)
        # A part is named after the number of frames up to its end.
        parts = self._parts() if self._is_of_this_video() else []
        self.num_frames = max((int(part.stem) for part in parts), default=0)

    def write(self, time: int, image: np.ndarray) -> None:
        """Add a frame.

        Args:
            time: When it is shown, in ticks of the time base since the first frame.
            image: uint8 [H, W, 3], RGB, of the same size as all others.
        """
        if self._container is None:
            self._begin_part(*image.shape[:2])
        odd = [(0, side % 2) for side in image.shape[:2]]
        frame = self._av.VideoFrame.from_ndarray(np.pad(image, [*odd, (0, 0)], "edge"))
        colors = {"dst_colorspace": "ITU709"} if self._encoder == "libx264" else {}
        frame = frame.reformat(format="yuv420p", **colors)
        frame.pts, frame.time_base = time, self._info.time_base
        self._container.mux(self._stream.encode(frame))
        self.num_frames += 1
        if self.num_frames % self._part_frames == 0:
            self._finish_part()

    def close(self) -> None:
        """Join the parts to the file, and remove them."""
        if self._container is not None:
            self._finish_part()
        with atomic_file(self._path) as joined:
            self._join(joined)
        shutil.rmtree(self._folder)

    def discard(self) -> None:
        """Remove the parts: there will be no video."""
        if self._container is not None:
            self._container.close()
            self._container = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _is_of_this_video(self):
        """Whether the parts that a killed process left are of the same video."""
        note = self._folder / "made_of.json"
        return note.is_file() and note.read_text("utf-8") == self._made_of

    def _claim_folder(self):
        if not self._is_of_this_video():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            write_text(self._folder / "made_of.json", self._made_of)

    def _parts(self):
        return sorted(self._folder.glob("*.nut"))

    def _begin_part(self, height, width):
        self._claim_folder()
        self._container = self._av.open(str(self._folder / "part.tmp"), "w", format="nut")
        self._stream = stream = self._container.add_stream(
            self._encoder, rate=self._info.rate, options=_ENCODERS[self._encoder]
        )
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.thread_type = "FRAME"
        context = stream.codec_context
        # NUT keeps times exactly, in any base; MP4 would round where a part begins.
        stream.time_base = context.time_base = self._info.time_base
        context.sample_aspect_ratio = self._info.pixel_aspect
        if self._encoder == "libx264":
            context.colorspace = context.color_primaries = context.color_trc = _BT709

    def _finish_part(self):
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._container = None
        (self._folder / "part.tmp").replace(self._folder / f"{self.num_frames:09d}.nut")

    def _join(self, path):
        # The index in front lets a browser begin before it has the whole file.
        options = {"movflags": "faststart"}
        with self._av.open(str(path), "w", format="mp4", options=options) as joined:
            stream = None
            for part in self._parts():
                with self._av.open(str(part)) as container:
                    if stream is None:
                        stream = joined.add_stream_from_template(container.streams.video[0])
                    for packet in container.demux(video=0):
                        if packet.size:
                            packet.stream = stream
                            joined.mux(packet)


def write_frames(path: str | Path, frames: Iterable[np.ndarray], rate: float = 25) -> None:
    """Write images as a video.

    Args:
        path: The MP4 file to write. It appears when it is whole.
        frames: uint8 arrays [H, W, 3], RGB, of one size.
        rate: Frames per second. Defaults to 25.

    Raises:
        ValueError: If there is no frame, or they are of different sizes.
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
    rate = Fraction(rate).limit_denominator(1001)
    writer = None
    try:
        for index, frame in enumerate(frames):
            size = frame.shape[:2]
            if writer is None:
                first = size
                writer = VideoWriter(path, VideoInfo(0, rate, 1 / rate, size, Fraction(1)))
            if size != first:
                raise ValueError(
                    "All frames of a video must be of one size. Received: "
                    f"{list(first)}, then {list(size)}"
                )
            writer.write(index, frame)
    except BaseException:
        if writer is not None:
            writer.discard()
        raise
    if writer is None:
        raise ValueError("A video needs at least one frame. Received none.")
    writer.close()

import struct
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest

from eseg_keras.inference import read_frames, video_writer, write_frames
from eseg_keras.inference.videos import VideoInfo, timed_frames, video_info


def frames(count, height=48, width=64):
    """Return frames of moving random blocks, so that neighbouring frames differ."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(20, 235, (height // 8 + 1, width // 8 + 1, 3), dtype="uint8")
    whole = np.kron(blocks, np.ones((8, 8, 1), "uint8"))[:height, :width]
    return [np.roll(whole, 5 * index, axis=1) for index in range(count)]


def encode(path, images, codec="libx264", times=None, rate=25, options=None, sound=False):
    """Write a video with PyAV, independently of the package."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if sound:
            audio = container.add_stream("aac", rate=44100, layout="mono")
            silence = np.zeros((1, 1024), "float32")
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts = index if times is None else times[index]
            frame.time_base = Fraction(1, rate if times is None else 1000)
            container.mux(stream.encode(frame))
        if sound:
            for index in range(2 * len(images)):
                piece = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                piece.sample_rate, piece.pts = 44100, index * 1024
                container.mux(audio.encode(piece))
            container.mux(audio.encode(None))
        container.mux(stream.encode(None))
    return path


def distance(first, second):
    return np.abs(first.astype(int) - second).mean()


FORMATS = [("mp4", "libx264"), ("mov", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4"),
           ("webm", "libvpx-vp9"), ("mpg", "mpeg2video")]  # fmt: skip


@pytest.mark.parametrize("suffix, codec", FORMATS)
def test_frames_of_every_format_in_order(tmp_path, suffix, codec):
    shown = frames(12)
    path = encode(tmp_path / f"clip.{suffix}", shown, codec)
    read = list(read_frames(path))
    assert len(read) == 12 and video_info(path).num_frames == 12
    for index, frame in enumerate(read):
        assert frame.shape == (48, 64, 3) and frame.dtype == np.uint8
        distances = [distance(frame, other) for other in shown]
        assert np.argmin(distances) == index


@pytest.mark.parametrize(
    "name, options",
    [
        ("clip.mp4", {}),
        ("front.mp4", {"movflags": "faststart"}),
        ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("clip.mkv", {}),
        ("clip.avi", {}),
        ("clip.webm", {}),
    ],
)
@pytest.mark.parametrize("sound", [False, True])
def test_a_truncated_video_is_refused_before_its_first_frame(tmp_path, name, options, sound):
    if sound and name.endswith((".webm", ".avi")):
        pytest.skip("not tested with AAC sound")
    codec = {"avi": "mpeg4", "webm": "libvpx-vp9"}.get(name.split(".")[1], "libx264")
    path = encode(tmp_path / name, frames(50), codec, options=options, sound=sound)
    assert len(list(read_frames(path))) == 50
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(ValueError, match=f"{name}: cannot be read as a video: it is truncated"):
        next(read_frames(path))


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), "f4"), format="fltp", layout="mono")
        piece.sample_rate = 44100
        container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    for name in ("text.mp4", "empty.mp4", "sound.mp4", "missing.mp4"):
        with pytest.raises(ValueError, match=f"{name}: cannot be read as a video"):
            next(read_frames(tmp_path / name))


def rotate(path, matrix):
    """Write a display matrix into the track header of an MP4 file, as a phone does."""
    content = bytearray(path.read_bytes())
    # The matrix starts 44 bytes after the start of the box name; times, duration, layer and volume
    # are before it.
    place = content.index(b"tkhd") + 44
    (a, b), (c, d) = matrix
    ones = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    content[place : place + 36] = struct.pack(">9i", *ones)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "matrix, quarter_turns_clockwise",
    [(((0, 1), (-1, 0)), 1), (((-1, 0), (0, -1)), 2), (((0, -1), (1, 0)), 3)],
)
def test_the_rotation_of_phones_is_applied(tmp_path, matrix, quarter_turns_clockwise):
    # A matrix maps (x, y), with y downwards, to (a x + c y, b x + d y). The first matrix maps the
    # direction to the right to the direction downwards.
    shown = frames(3)
    path = encode(tmp_path / "phone.mp4", shown)
    plain = list(read_frames(path))
    rotate(path, matrix)
    turned = list(read_frames(path))
    for before, after in zip(plain, turned, strict=True):
        np.testing.assert_array_equal(after, np.rot90(before, -quarter_turns_clockwise))
    assert video_info(path).size == turned[0].shape[:2]


def test_frames_are_read_one_by_one(tmp_path):
    path = encode(tmp_path / "long.mp4", frames(150, 96, 128))
    next(read_frames(path))  # Memory that PyAV allocates once is not counted.
    tracemalloc.start()
    count = sum(1 for _ in read_frames(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 150 and peak < 20 * 96 * 128 * 3


def test_times_are_kept_and_begin_at_zero(tmp_path):
    times = np.cumsum(np.random.default_rng(0).integers(1, 90, 20))
    path = encode(tmp_path / "uneven.mkv", frames(20), times=[int(time) for time in times])
    info = video_info(path)
    read = [time for time, _ in timed_frames(path, info)]
    assert info.time_base == Fraction(1, 1000)
    np.testing.assert_array_equal(read, times - times[0])


# === Writing ===


def displayed(path):
    """Return (time in seconds, frame) pairs, read with PyAV."""
    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_what_is_written_is_h264_of_these_frames(tmp_path, size):
    shown = frames(10, *size)
    write_frames(tmp_path / "clip.mp4", shown, rate=10)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 10
    for index, (time, picture) in enumerate(displayed(tmp_path / "clip.mp4")):
        assert time == Fraction(index, 10)
        assert picture.shape == (48, 64, 3)
        # For odd sizes, the last row and column are repeated, not black.
        assert distance(picture[-1], picture[-2]) < 20 and picture[-1].mean() > 40
        distances = [distance(picture[: size[0], : size[1]], other) for other in shown]
        assert np.argmin(distances) == index and distances[index] < 16
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_plain_colours_come_back(tmp_path):
    colors = [(220, 30, 40), (30, 200, 60), (20, 40, 230), (128, 64, 128)]
    shown = [np.full((48, 64, 3), color, "uint8") for color in colors]
    write_frames(tmp_path / "clip.mp4", shown)
    for frame, color in zip(read_frames(tmp_path / "clip.mp4"), colors, strict=True):
        np.testing.assert_allclose(frame.mean((0, 1)), color, atol=3)


def test_without_x264_it_is_mpeg4(tmp_path, monkeypatch):
    options = {"mpeg4": video_writer._ENCODERS["mpeg4"]}
    monkeypatch.setattr(video_writer, "_ENCODERS", options)
    shown = frames(6)
    write_frames(tmp_path / "clip.mp4", shown)
    read = list(read_frames(tmp_path / "clip.mp4"))
    assert len(read) == 6
    assert max(distance(*pair) for pair in zip(read, shown, strict=True)) < 12


def test_times_and_the_shape_of_pixels_are_written_exactly(tmp_path):
    path, shown = tmp_path / "clip.mp4", frames(23)
    steps = np.random.default_rng(1).integers(1, 9000, 22)
    times = [0, *(int(time) for time in np.cumsum(steps))]
    info = VideoInfo(23, Fraction(25), Fraction(1, 90000), (48, 64), Fraction(4, 3))
    with video_writer.video_writer(path, info) as write:
        for time, image in zip(times, shown, strict=True):
            write(time, image)
        assert not path.exists()
    assert [time for time, _ in displayed(path)] == [Fraction(time, 90000) for time in times]
    assert video_info(path).pixel_aspect == Fraction(4, 3)


def test_frames_that_make_no_video(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write_frames(tmp_path / "none.mp4", [])
    with pytest.raises(ValueError, match=r"the same size. Received: \[48, 64\], then \[40, 64\]"):
        write_frames(tmp_path / "two.mp4", [*frames(2), *frames(1, 40)])
    assert list(tmp_path.iterdir()) == []

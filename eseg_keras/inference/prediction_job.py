"""Predicting image and video files, and writing the outputs to a folder."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.files import atomic_file, locked
from eseg_keras.inference.input_files import file_source, find_files
from eseg_keras.inference.output_folder import OutputFolder, settings_of
from eseg_keras.inference.prediction import Prediction
from eseg_keras.inference.predictor import TOO_LARGE, Predictor
from eseg_keras.inference.video_writer import write_overlay_video
from eseg_keras.inference.videos import video_info
from eseg_keras.inference.workers import map_ahead

# Number of threads that write files, and of predictions that wait to be written. Both are small,
# because each prediction holds a whole image in memory.
_WRITERS = 2
_WAITING = 2
# PNG compression level: for images of 1024x2048, it is four times as fast as the default, and files
# are a fifth larger.
_QUICK = 1


@dataclass(frozen=True)
class PredictedFiles:
    """Result of `predict_files`.

    Attributes:
        written: Paths of the input files whose outputs were written.
        skipped: Paths of the input files whose outputs already existed.
        failed: {path of an unusable input file: problem}.
    """

    written: tuple[Path, ...]
    skipped: tuple[Path, ...]
    failed: dict[Path, str]


def predict_files(
    predictor: Predictor,
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    overlay: bool = True,
    alpha: float = 0.5,
    legend: bool = True,
    recursive: bool = False,
    overwrite: bool = False,
    num_workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PredictedFiles:
    """Segment image and video files, and write the results to a folder.

    The outputs of an image are `labels/NAME.png`, whose pixel values are class ids,
    `overlays/NAME.png`, and one file for each of the predictor's maps: `confidence/NAME.png`,
    `entropy/NAME.png` and `margin/NAME.png`, in which grey 0..255 means 0..1, and
    `probabilities/NAME.npz`, float16 [H, W, C]. The output of a video is its overlay without sound,
    `videos/NAME.mp4`.

    Runs resume: after an interruption, the same call skips finished files. Files whose size or
    modification time has changed are predicted again. Unusable files are reported, and the other
    files are still predicted.

    Args:
        predictor: Segments the images; its `maps` are written, too.
        inputs: A file, a folder, or several files and folders.
        output: Folder to write to. It is created if it does not exist.
        overlay: Whether to write overlays; required for videos. Defaults to `True`.
        alpha: Opacity of the overlays' colours, 0 to 1. Defaults to 0.5.
        legend: Whether to add a legend below each overlay. The legend of an image lists the
            predicted classes, the legend of a video all classes. For a video, a legend higher than
            half a frame is omitted. Defaults to `True`.
        recursive: Whether to also search subfolders; the output mirrors them. Defaults to `False`.
        overwrite: Whether to predict all files again and overwrite their outputs. Other files in
            `output` are kept. Defaults to `False`.
        num_workers: Number of Ray workers that share the images. They are processes on the cluster
            that the environment variable RAY_ADDRESS names. Without it, they run on the cluster
            that `ray start` started on this machine or, if there is none, on this machine. All
            workers must be able to read `inputs` and write `output`; this process writes the log.
            If there are GPUs, each worker uses one. Videos are predicted in this process. Defaults
            to `None`: Ray is not used.
        on_progress: Called after each image or frame with the number of finished images and frames
            and their total number.

    Returns:
        The paths of the files that were written, skipped and unusable.

    Raises:
        ValueError: If an input does not exist, a folder contains neither image nor video, two files
            have the same output name, an argument is out of range, or `output` contains predictions
            of another model or with other options, or other files that would be overwritten.
            Nothing is written then.
        FileInUseError: If another process writes to `output`; the message names the process.
        ImportError: If Ray (for `num_workers`) or PyAV (for videos) is not installed.

    Example:

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> import eseg_keras
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> scene, _ = eseg_keras.street_scenes.render_scene(0, split="test", image_size=(96, 192))
    >>> Image.fromarray(scene).save(folder / "scene.png")
    >>> predictor = eseg_keras.inference.Predictor(
    ...     eseg_keras.ESeg.from_preset("eseg_lite_s_streets"), maps=["confidence"]
    ... )
    >>> files = eseg_keras.inference.predict_files(
    ...     predictor, folder / "scene.png", folder / "out"
    ... )
    >>> len(files.written), sorted(path.parent.name for path in (folder / "out").rglob("*.png"))
    (1, ['confidence', 'labels', 'overlays'])
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1. Received: {alpha}")
    if num_workers is not None and num_workers < 1:
        raise ValueError(f"num_workers must be at least 1, or None. Received: {num_workers}")
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    files = find_files(inputs, recursive, exclude=output, first_frame=predictor.first_frame)
    if not overlay and (video := next((file for file in files if file.is_video), None)):
        raise ValueError(
            f"{video.path}: the only output of a video is its overlay. Remove the video from the "
            "inputs, or set overlay=True."
        )
    settings = settings_of(predictor, overlay=overlay, alpha=alpha, legend=legend)
    folder = OutputFolder(output, settings, files, overwrite)
    with locked(output) if folder.waiting else contextlib.nullcontext():
        # Read the folder again: another process may have written outputs before the lock was taken.
        folder = OutputFolder(output, settings, files, overwrite)
        job = _Job(predictor, folder, alpha, legend, on_progress)
        if num_workers is None:
            job.predict_images()
        else:
            job.predict_images_on_workers(num_workers)
        job.predict_videos()
    waiting = set(folder.waiting)
    return PredictedFiles(
        written=tuple(f.path for f in folder.waiting if f.path not in job.failed),
        skipped=tuple(f.path for f in files if f not in waiting),
        failed={f.path: job.failed[f.path] for f in files if f.path in job.failed},
    )


class _Job:
    """Predicts the waiting files of an output folder."""

    def __init__(self, predictor, folder, alpha, legend, on_progress):
        self.predictor, self.folder = predictor, folder
        self.alpha, self.legend = alpha, legend
        self.failed = {}
        self._on_progress = on_progress
        self._images = [file for file in folder.waiting if not file.is_video]
        self._videos = {}
        for file in folder.waiting:
            if file.is_video:
                try:
                    self._videos[file] = self._video_info(file.path)
                except ImageFileError as error:
                    self.failed[file.path] = str(error)
        frames = sum(info.num_frames for info in self._videos.values())
        self._finished, self._total = 0, len(self._images) + frames

    def _video_info(self, path):
        info = video_info(path)
        if problem := self.predictor.size_problem(info.size):
            raise ImageFileError(path, [problem])
        return info

    def predict_images(self):
        """Predict the images; write outputs in threads while the next images are predicted."""
        outputs = map_ahead(self._write, self._predictions(), _WRITERS, _WAITING)
        for file, is_written in outputs:
            if is_written:
                self.folder.finish(file)
            else:
                self.failed[file.path] = f"{file.path}: {TOO_LARGE}"
            self._advance(1)

    def _predictions(self):
        """Yield (file, prediction) for each usable image."""
        sources = (file_source(file.path, **self.predictor.reading) for file in self._images)
        for file, outcome in zip(self._images, self.predictor.outcomes(sources), strict=True):
            if isinstance(outcome, Prediction):
                self.folder.begin()
                yield file, outcome
            else:
                self.failed[file.path] = str(outcome)
                self._advance(1)

    def _write(self, file_and_prediction):
        """Write the outputs of one image; return (file, is_written)."""
        file, prediction = file_and_prediction
        try:
            _write_outputs(prediction, self.folder.outputs(file), self.alpha, self.legend)
        except MemoryError:
            return file, False
        return file, True

    def predict_images_on_workers(self, num_workers):
        """Predict the images in several processes; only this process writes the log."""
        from eseg_keras.inference.workers import WorkerDied, map_on_workers

        if not self._images:
            return
        self.folder.begin()
        paths = [
            {
                "image": str(file.path.absolute()),
                **{kind: str(path.absolute()) for kind, path in self.folder.outputs(file).items()},
            }
            for file in self._images
        ]
        work = _ImageWork(self.predictor, self.alpha, self.legend)
        for index, problem in map_on_workers(work, paths, num_workers):
            file = self._images[index]
            if isinstance(problem, WorkerDied):
                problem = f"{file.path}: {problem}; perhaps it {TOO_LARGE}"
            if problem:
                self.failed[file.path] = problem
            else:
                self.folder.finish(file)
            self._advance(1)

    def predict_videos(self):
        """Write the overlay of each video."""
        for file, info in self._videos.items():
            self.folder.begin()
            end = self._finished + info.num_frames
            try:
                write_overlay_video(
                    self.predictor,
                    file.path,
                    info,
                    self.folder.outputs(file)["video"],
                    self.alpha,
                    self.legend,
                    # `num_frames` is too small for a few formats.
                    on_frame=lambda end=end: self._advance(min(1, end - self._finished)),
                )
                self.folder.finish(file)
            except ImageFileError as error:
                self.failed[file.path] = str(error)
            except MemoryError:
                self.failed[file.path] = f"{file.path}: {TOO_LARGE}"
            self._advance(end - self._finished)

    def _advance(self, count):
        self._finished += count
        if count and self._on_progress:
            self._on_progress(self._finished, self._total)


@dataclass(frozen=True)
class _ImageWork:
    """The work of a Ray worker: predict an image and write its outputs."""

    predictor: Predictor
    alpha: float
    legend: bool

    def __call__(self, paths):
        """Return the problem of an unusable image, or an empty string."""
        image = paths["image"]
        outputs = {kind: Path(path) for kind, path in paths.items() if kind != "image"}
        try:
            _write_outputs(self.predictor(image), outputs, self.alpha, self.legend)
        except ImageFileError as error:
            return str(error)
        except MemoryError:
            return f"{image}: {TOO_LARGE}"
        return ""


def _write_outputs(prediction, paths, alpha, legend):
    """Write the outputs of one image, each file atomically."""
    for kind, path in paths.items():
        with atomic_file(path) as temporary:
            if kind == "overlays":
                prediction.overlay(alpha, legend).save(temporary, "PNG", compress_level=_QUICK)
            elif kind == "labels":
                prediction.label_image().save(temporary, "PNG")
            elif kind == "probabilities":
                halves = prediction.probabilities.astype("float16")
                np.savez_compressed(temporary, probabilities=halves)
            else:
                grey = np.rint(getattr(prediction, kind).clip(0, 1) * 255).astype("uint8")
                Image.fromarray(grey).save(temporary, "PNG", compress_level=_QUICK)

"""Predicting files: pictures and videos in, a folder of outputs out."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from eseg_keras.inference.input_files import find_files
from eseg_keras.inference.output_files import write_outputs
from eseg_keras.inference.output_folder import OutputFolder, settings_of
from eseg_keras.inference.overlay_video import write_overlay_video
from eseg_keras.inference.predictor import Predictor
from eseg_keras.inference.videos import video_info

# Threads that write files, and bytes that may wait for them: predictions hold whole images.
_WRITERS = 2
_WAITING_BYTES = 2**28

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PredictedFiles:
    """What became of the files of a prediction.

    Attributes:
        written: Paths of the files whose outputs were written.
        skipped: Paths of the files whose outputs were there already.
        failed: What is wrong with each file that cannot be used, by its path.
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
    on_progress: Progress | None = None,
) -> PredictedFiles:
    """Segment pictures and videos and write what is found.

    A picture becomes `labels/NAME.png`, whose pixel values are class ids, `overlays/NAME.png`, and
    a file for each of the predictor's maps: `confidence/`, `entropy/` and `margin/NAME.png`, grey
    0..255 for 0..1, and `probabilities/NAME.npz`, float16 [H, W, C]. A video becomes
    `videos/NAME.mp4`, its overlay, without sound.

    Called again after a kill, it goes on: finished pictures and parts of videos stay. Files that
    have changed since, by size or time of change, are predicted again. A file that cannot be used
    does not stop the others.

    Args:
        predictor: Segments the pictures; its `maps` are written as well.
        inputs: A file or a folder, or several.
        output: Folder to write to. It appears with the first picture that can be used.
        overlay: Whether to write overlays; videos need it. Defaults to `True`.
        alpha: Strength of the overlays' colours, 0 to 1. Defaults to 0.5.
        legend: Whether overlays name the classes: those found in a picture, all of them under a
            video, unless that would be higher than half of it. Defaults to `True`.
        recursive: Whether folders below are searched as well; the outputs keep the folders.
            Defaults to `False`.
        overwrite: Whether everything is predicted again, whatever `output` holds. Other files in
            it stay. Defaults to `False`.
        on_progress: Called with the numbers of finished and of all pictures and frames, after each.

    Returns:
        What became of the files.

    Raises:
        ValueError: If an input does not exist, a folder holds no picture, two files would get
            outputs of one name, an option is out of range, or `output` holds predictions made with
            another model or other options. Nothing is written then.

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
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    files = find_files(inputs, recursive, leave_out=output)
    if not overlay and (video := next((file for file in files if file.is_video), None)):
        raise ValueError(
            f"{video.path}: a video becomes an overlay and nothing else. Leave it out, or leave "
            "overlays on."
        )
    settings = settings_of(predictor, overlay=overlay, alpha=alpha, legend=legend)
    folder = OutputFolder(output, settings, files, overwrite)
    job = _Job(predictor, folder, on_progress)
    job.predict_pictures([file for file in folder.waiting if not file.is_video])
    job.predict_videos()
    waiting = set(folder.waiting)
    return PredictedFiles(
        written=tuple(f.path for f in folder.waiting if f.path not in job.failed),
        skipped=tuple(f.path for f in files if f not in waiting),
        failed={f.path: job.failed[f.path] for f in files if f.path in job.failed},
    )


class _Job:
    """Predicts the files that an output folder still lacks."""

    def __init__(self, predictor, folder, on_progress):
        self.predictor, self.folder = predictor, folder
        self.failed = {}
        self._on_progress = on_progress or (lambda finished, total: None)
        self._has_begun = False
        self._videos = {}
        for file in folder.waiting:
            if file.is_video:
                try:
                    self._videos[file] = video_info(file.path)
                except ValueError as error:
                    self._fail(file, error)
        pictures = sum(not file.is_video for file in folder.waiting)
        self._total = pictures + sum(info.num_frames for info in self._videos.values())
        self._finished = 0

    def predict_pictures(self, files):
        """Write the outputs of pictures, while the network is at the next ones."""
        by_name = {str(file.path): file for file in files}

        def on_error(name, error):
            self._fail(by_name[name], error)
            self._advance(1)

        writing, num_bytes = deque(), 0
        with ThreadPoolExecutor(_WRITERS, "outputs") as pool:
            paths = [file.path for file in files]
            for prediction in self.predictor.predict(paths, on_error=on_error):
                self._begin()
                file = by_name[prediction.name]
                size = sum(getattr(value, "nbytes", 0) for value in vars(prediction).values())
                writing.append((file, pool.submit(self._write, file, prediction), size))
                num_bytes += size
                while writing and (num_bytes > _WAITING_BYTES or writing[0][1].done()):
                    num_bytes -= self._finish_picture(*writing.popleft())
            while writing:
                self._finish_picture(*writing.popleft())

    def predict_videos(self):
        """Write the overlay of each video."""
        for file, info in self._videos.items():
            before = self._finished
            options = self.folder.settings["options"]
            try:
                for finished in write_overlay_video(
                    self.predictor,
                    file.path,
                    info,
                    self.folder.outputs(file)["video"],
                    alpha=options["alpha"],
                    legend=options["legend"],
                    made_of=[self.folder.settings, file.size, file.modified],
                    on_first=self._begin,
                ):
                    self._advance(before + finished - self._finished)
                self._begin()
                self.folder.finish(file)
            except ValueError as error:
                self._fail(file, error)
            self._advance(before + info.num_frames - self._finished)

    def _begin(self):
        if not self._has_begun:
            self._has_begun = True
            self.folder.begin()

    def _write(self, file, prediction):
        options = self.folder.settings["options"]
        write_outputs(prediction, self.folder.outputs(file), options["alpha"], options["legend"])

    def _finish_picture(self, file, written, size):
        written.result()
        self.folder.finish(file)
        self._advance(1)
        return size

    def _fail(self, file, error):
        self.failed[file.path] = str(error)

    def _advance(self, count):
        self._finished += count
        self._on_progress(self._finished, self._total)

"""Pseudo labels: a teacher's predictions, written as masks for training."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import no_pillow_limit
from eseg_keras.files import DamagedFileError, read_json, write_json
from eseg_keras.inference.prediction_job import PredictedFiles, predict_files
from eseg_keras.inference.predictor import Predictor

MANIFEST = "manifest.json"
_REMEDY = "Remove it, and run eseg pseudo-label again with the same output."


def pseudo_label(
    predictor: Predictor,
    images: str | Path | Iterable[str | Path],
    output: str | Path,
    on_progress: Callable[[int, int], None] | None = None,
    num_workers: int | None = None,
) -> tuple[PredictedFiles, dict]:
    """Write the predictions of a teacher on unlabelled images as masks.

    The mask of an image is `OUTPUT/labels/NAME.png`; `labels` has the subfolders of the images. The
    mask contains class ids, and the ignore label where the teacher's confidence is below
    `min_confidence`. `OUTPUT/manifest.json` contains the teacher's classes and the checksum of its
    weights, the options of the predictor, the share of pixels kept, and the shares of the classes.
    Runs resume: the same call labels the remaining images. Memory does not grow with the number of
    images.

    Args:
        predictor: The teacher. The paper uses `scales=TEST_TIME_SCALES`, `flip=True` and
            `min_confidence=0.5`.
        images: A folder of images, searched with its subfolders, or a list of files.
        output: Folder to write to.
        on_progress: Called after each image with the number of finished images and the number of
            all images.
        num_workers: Number of Ray workers that share the images; see `predict_files`. If a worker
            dies, another worker labels its images. Defaults to `None`: Ray is not used.

    Returns:
        The files that were written, skipped and unusable, and the content of the manifest.

    Raises:
        ValueError: If the predictor has no `min_confidence`, no image is found or none can be used,
            or `output` contains labels of another teacher or with other options.
        ImportError: If `num_workers` is given and Ray is not installed.

    Example:

    >>> from eseg_keras.inference import TEST_TIME_SCALES, Predictor, pseudo_label
    >>> teacher = Predictor(
    ...     model, scales=TEST_TIME_SCALES, flip=True, min_confidence=0.5)  # doctest: +SKIP
    >>> files, manifest = pseudo_label(teacher, "unlabelled", "labelled")  # doctest: +SKIP

    Reference:
        [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683),
        section 4.4
    """
    if predictor.min_confidence is None:
        raise ValueError(
            "Pseudo labels require a threshold: pass min_confidence to Predictor (the paper uses "
            "0.5)."
        )
    output = Path(output)
    files = predict_files(
        predictor,
        images,
        output,
        overlay=False,
        recursive=True,
        num_workers=num_workers,
        on_progress=on_progress,
    )
    if not (files.written or files.skipped):
        first = next(iter(files.failed.values()))
        raise ValueError(f"None of the {len(files.failed)} images can be used. The first: {first}")
    settings = read_json(
        output / "predictions.json", "Choose another output folder.", {"model": dict}
    )
    manifest = {"teacher": settings["model"], "options": settings["options"]}
    path = output / MANIFEST
    if path.exists():
        before = _read_manifest(path)
        if changed := [name for name, value in manifest.items() if before[name] != value]:
            raise DamagedFileError(
                f"{path} is damaged: '{changed[0]}' differs from that of the masks. {_REMEDY}"
            )
    manifest |= _shares(predictor, output / "labels")
    write_json(path, manifest)
    return files, manifest


def check_teacher(masks: str | Path, class_names: Sequence[str] | None, num_classes: int) -> None:
    """Raise ValueError if `masks` are pseudo labels of a teacher with other classes.

    Masks without a manifest beside their folder are accepted: they can be ordinary masks.
    """
    path = Path(masks).parent / MANIFEST
    if not path.is_file():
        return
    teacher = _read_manifest(path)["teacher"]
    names = teacher["class_names"]
    is_unnamed = names == [f"class {label}" for label in range(len(names))]
    wanted = names if is_unnamed or not class_names else class_names
    is_same = [name.lower() for name in names] == [name.lower() for name in wanted]
    if not is_same or len(names) != num_classes:
        raise ValueError(
            f"The teacher of the masks in {masks} has other classes: {', '.join(names)}. Expected "
            f"{num_classes}{', in this order: ' + ', '.join(wanted) if class_names else ''}."
        )


def _read_manifest(path):
    manifest = read_json(path, _REMEDY, {"teacher": dict, "options": dict})
    names = manifest["teacher"].get("class_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DamagedFileError(f"{path} is damaged: the teacher has no class_names. {_REMEDY}")
    return manifest


def _shares(predictor, folder) -> dict:
    """Return the manifest's statistics of all masks in a folder; read one mask at a time."""
    counts, num_images = np.zeros(256, np.int64), 0
    for path in sorted(folder.rglob("*.png")):
        with no_pillow_limit(), Image.open(path) as mask:
            counts += np.bincount(np.asarray(mask).ravel(), minlength=256)
        num_images += 1
    kept = counts[: predictor.num_classes]
    total = max(1, counts.sum())
    return {
        "num_images": num_images,
        "kept": kept.sum() / total,
        "class_shares": dict(
            zip(predictor.class_names, (kept / max(1, kept.sum())).tolist(), strict=True)
        ),
    }

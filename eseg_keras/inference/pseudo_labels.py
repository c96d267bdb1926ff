"""Pseudo labels: a teacher's predictions as masks to train on."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.files import read_json, write_json
from eseg_keras.inference.prediction_job import PredictedFiles, predict_files
from eseg_keras.inference.predictor import Predictor

MANIFEST = "manifest.json"


def pseudo_label(
    predictor: Predictor,
    images: str | Path | Iterable[str | Path],
    output: str | Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[PredictedFiles, dict]:
    """Write the predictions of a teacher on unlabelled images as masks.

    An image becomes `OUTPUT/labels/NAME.png`, in the same subfolder as the image: class ids, and
    the ignore label where the teacher's probability is below its `min_confidence`.
    `OUTPUT/manifest.json` has the teacher, its scales, the threshold, the share of pixels kept, and
    the shares of the classes. Runs resume: the same call labels the remaining images. Memory does
    not grow with the number of images.

    Args:
        predictor: The teacher. The paper averages scales and mirror images, `TEST_TIME_SCALES` and
            `flip=True`, and keeps `min_confidence=0.5`.
        images: A folder of images, searched with its subfolders, or a list of files.
        output: Folder to write to.
        on_progress: Called with the numbers of finished and of all images, after each.

    Returns:
        The files that were written, skipped and unusable, and the content of the manifest.

    Raises:
        ValueError: If the predictor has no `min_confidence`, there is no image or none that can be
            used, or `output` holds labels of another teacher or with other options.

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
            "Pseudo labels need a threshold: pass min_confidence, in the paper 0.5, to Predictor."
        )
    output = Path(output)
    files = predict_files(
        predictor, images, output, overlay=False, recursive=True, on_progress=on_progress
    )
    if not (files.written or files.skipped):
        first = next(iter(files.failed.values()))
        raise ValueError(f"None of the {len(files.failed)} images can be used. The first: {first}")
    settings = read_json(
        output / "predictions.json", "Choose another output folder.", {"model": dict}
    )
    manifest = {
        "teacher": settings["model"],
        "options": settings["options"],
        **_shares(predictor, output / "labels"),
    }
    write_json(output / MANIFEST, manifest)
    return files, manifest


def _shares(predictor, folder) -> dict:
    """Count the labels of all masks in a folder, one mask at a time."""
    counts, num_images = np.zeros(256, np.int64), 0
    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as mask:
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

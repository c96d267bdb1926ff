"""Score label maps in files, from any network."""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from eseg_keras.data.datasets import ade20k, cityscapes
from eseg_keras.data.folder_checks import FolderError, differing_palettes, pair_files
from eseg_keras.data.folder_examples import black_and_white, number_of_classes
from eseg_keras.data.images.image_reader import MAX_PIXELS, ImageFileError
from eseg_keras.data.images.mask_reader import Color, MaskReader, palette_of, read_ids
from eseg_keras.data.images.walker import find_images
from eseg_keras.evaluation.rules import NUM_CLASSES, Rules, check_rules
from eseg_keras.evaluation.scores import Evaluation, ImageScores
from eseg_keras.evaluation.scoring import score_pairs
from eseg_keras.inference.prediction import Prediction
from eseg_keras.inference.workers import map_ahead
from eseg_keras.visualization import default_palette

log = logging.getLogger(__name__)

_CLASSES = {"ade20k": ade20k.CLASSES, "cityscapes": cityscapes.CLASSES}
# Patterns of file names. The group of a pattern matches the same text in the names of a mask and
# its prediction.
_MASK_NAMES = {"ade20k": r"(.+)", "cityscapes": r"([^_]+_\d{6}_\d{6})_gt(?:Fine|Coarse)_labelIds"}
_PREDICTION_NAMES = {"ade20k": r"(.+)", "cityscapes": r"([^_]+_\d{6}_\d{6})(?:_.*)?"}

# Number of threads that read files, and of pairs of files that are read ahead.
_READERS = 2
# Share of the labelled pixels without a predicted class above which a warning is logged.
_MANY_MISSES = 0.01


def evaluate_files(
    predictions: str | Path,
    masks: str | Path,
    *,
    rules: Rules = "default",
    prediction_ids: Literal["classes", "masks"] | None = None,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    ignore_label: int = 255,
    class_map: Mapping[int, int] | None = None,
    mask_colors: Mapping[Color, int] | Sequence[Color] | None = None,
    reduce_zero_label: bool = False,
    mask_suffix: str = "",
    prediction_suffix: str = "",
    max_pixels: int = MAX_PIXELS,
    show_progress: Callable[[Iterable], Iterable] = iter,
    on_image: Callable[[Prediction, np.ndarray, ImageScores], None] | None = None,
) -> Evaluation:
    """Score a folder of label maps, from any network, against a folder of masks.

    With the rules of Cityscapes or ADE20K, the masks are the published files (`gtFine/val` or
    `annotations/validation`) with the label ids of the benchmark. Predictions may be in subfolders;
    they are matched to masks by name: for Cityscapes by CITY_SEQUENCE_FRAME, for ADE20K by the
    whole name. Predictions without a mask are not scored. With the default rules, predictions are
    matched to masks like the images of `open_folders`, and every prediction needs a mask.

    Args:
        predictions: Folder of the label maps, lossless images (for the rules of a benchmark: PNG
            files) of the same size as their masks.
        masks: Folder of the masks.
        rules: See `evaluate`.
        prediction_ids: Ids in the predictions. `"classes"`: class ids 0, 1, ..., as written by
            `eseg predict`; `"masks"`: the ids of the mask files, as expected by the servers of the
            benchmarks. Defaults to `"classes"` for the default rules, and to `"masks"` for the
            rules of a benchmark.
        class_names, num_classes, ignore_label, class_map, mask_colors, reduce_zero_label,
            mask_suffix: How to read masks, see `open_folders`; only for the default rules.
        prediction_suffix: Suffix of the names of predictions that is not in the names of masks;
            only for the default rules.
        max_pixels: Largest number of pixels of a file.
        show_progress: Function that wraps the iterable of (prediction, mask) pairs, such as
            `Progress.track`.
        on_image: Function called after each image with its prediction (whose `image` is `None`),
            its mask and its scores.

    Returns:
        The scores, see `evaluate`. Labelled pixels whose prediction is not a class count as
        misclassified; if they are more than 1%, a warning is logged.

    Raises:
        FolderError: If a folder is missing or empty, if masks have no prediction or several, or, by
            the default rules, if predictions have no mask or the palettes of the masks differ; the
            message lists the files.
        ImageFileError: If a file cannot be read or has unknown labels.
        ValueError: If an argument is invalid, or a prediction and its mask differ in size.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from eseg_keras.evaluation import evaluate_files
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, row in (("predictions", [0, 1, 1]), ("masks", [0, 1, 0])):
    ...     (folder / name).mkdir()
    ...     Image.fromarray(np.array([row], np.uint8)).save(folder / name / "a.png")
    >>> scores = evaluate_files(folder / "predictions", folder / "masks", num_classes=2)
    >>> scores.per_class_iou
    {'class 0': 0.5, 'class 1': 0.5}
    """
    reading = {
        "class_map": class_map,
        "mask_colors": mask_colors,
        "reduce_zero_label": reduce_zero_label,
    }
    if prediction_ids not in (None, "classes", "masks"):
        raise ValueError(
            "`prediction_ids` must be 'classes', 'masks' or None. Received: "
            f"prediction_ids={prediction_ids!r}"
        )
    if rules == "default":
        num_classes = number_of_classes(class_names, num_classes, mask_colors)
        files = pair_files(predictions, masks, mask_suffix, prediction_suffix, "prediction")
        pairs = list(zip(*files, strict=True))
        if mask_colors is None:
            problems = differing_palettes({mask: palette_of(mask) for mask in files[1]})
            if problems:
                raise FolderError(str(masks), problems)
        read_mask = _mask_reader(
            [mask for _, mask in pairs], num_classes, ignore_label, max_pixels, reading
        )
        palette = default_palette(num_classes)
    else:
        check_rules(rules, num_classes or NUM_CLASSES.get(rules, 0))
        given = reading | {"class_names": class_names, "num_classes": num_classes}
        given |= {"mask_suffix": mask_suffix, "prediction_suffix": prediction_suffix}
        given |= {"ignore_label": ignore_label != 255}
        if changed := [name for name, value in given.items() if value]:
            raise ValueError(
                f"rules={rules!r} defines the classes and files: omit {', '.join(changed)}."
            )
        table, ignore_label = _CLASSES[rules], 255
        class_names, palette = table.class_names, table.palette
        num_classes = len(class_names)
        pairs = _benchmark_pairs(Path(predictions), Path(masks), rules)

        def read_mask(path):
            return _read_labels(path, table, max_pixels)

    as_masks = prediction_ids == "masks" or (prediction_ids is None and rules != "default")
    read_prediction = (
        read_mask
        if as_masks
        else MaskReader(num_classes, ignore_label=ignore_label, max_pixels=max_pixels)
    )
    names = tuple(class_names or (f"class {label}" for label in range(num_classes)))

    def read(pair):
        path, mask_path = pair
        prediction = Prediction(
            name=str(path),
            image=None,
            label_map=read_prediction(path),
            class_names=names,
            palette=palette,
            ignore_label=ignore_label,
        )
        return prediction, read_mask(mask_path)

    read_pairs = map_ahead(read, show_progress(pairs), _READERS, _READERS)
    evaluation = score_pairs(read_pairs, rules, on_image)
    counts = evaluation.confusion_matrix
    share = counts[:, -1].sum() / max(counts.sum(), 1)
    if share > _MANY_MISSES:
        hint = "if the predictions contain class ids from 0, set prediction_ids to 'classes'"
        log.warning(
            "%.1f%% of the labelled pixels have no predicted class and count as misclassified%s.",
            100 * share, f": {hint}" * as_masks,
        )  # fmt: skip
    return evaluation


def _mask_reader(masks, num_classes, ignore_label, max_pixels, reading):
    """Return the mask reader for the default rules; in black and white masks, 255 is class 1."""
    options = {"ignore_label": ignore_label, "max_pixels": max_pixels}
    reader = MaskReader(num_classes, **options, **reading)
    if num_classes == 2 and ignore_label == 255 and not any(reading.values()):
        counts = sum(np.bincount(mask.ravel(), minlength=256) for mask in map(reader, masks))
        if black_and_white(counts):
            log.warning("The masks are black and white: 255 is read as class 1.")
            return MaskReader(num_classes, **options, class_map={255: 1})
    return reader


def _read_labels(path, table, max_pixels):
    """Read a file with the label ids of a benchmark; return class ids, uint8 [H, W]."""
    labels = read_ids(path, max_pixels)
    try:
        return table.read(labels)
    except (ValueError, IndexError) as error:
        problem = str(error) if isinstance(error, ValueError) else "has labels above 255"
        raise ImageFileError(path, [problem]) from error


def _benchmark_pairs(predictions, masks, rules):
    """Return [(prediction, mask)], sorted by the names of the masks."""
    found = [
        _by_name(predictions, _PREDICTION_NAMES[rules]),
        # The published folders also contain other files.
        _by_name(masks, _MASK_NAMES[rules], log_skipped=False),
    ]
    by_name, masks_by_name = found
    missing = [str(paths[0]) for name, paths in masks_by_name.items() if name not in by_name]
    several = [
        " and ".join(map(str, paths))
        for files in found
        for name, paths in files.items()
        if len(paths) > 1 and name in masks_by_name
    ]
    problems = {
        f"mask without a prediction in {predictions}": missing,
        "several files for the same image": several,
    }
    problems = {problem: names for problem, names in problems.items() if names}
    if problems:
        raise FolderError(f"{predictions} and {masks}", problems)
    if others := len(by_name.keys() - masks_by_name.keys()):
        log.warning("%s: %d predictions without a mask are not scored", predictions, others)
    return [(by_name[name][0], masks_by_name[name][0]) for name in sorted(masks_by_name)]


def _by_name(folder, pattern, log_skipped=True):
    """Return {text that the group of the pattern matches: PNG files}."""
    try:
        paths = find_images(folder, suffixes=frozenset({".png"}), log_skipped=log_skipped)
    except (OSError, ValueError) as error:
        problem = "there is no folder" if isinstance(error, OSError) else str(error)
        raise FolderError(str(folder), {problem: [str(folder)]}) from error
    found = defaultdict(list)
    for path in paths:
        if match := re.fullmatch(pattern, path.stem):
            found[match[1]].append(path)
    if not found:
        problem = f"no PNG file whose name matches {pattern}"
        raise FolderError(str(folder), {problem: [str(folder)]})
    return found

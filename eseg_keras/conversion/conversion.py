"""Convert the annotations of a tool to a folder of images and masks."""

import dataclasses
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import numpy as np

from eseg_keras.conversion import cityscapes_polygons, coco, cvat, labelme, roboflow, voc
from eseg_keras.conversion.annotations import BACKGROUND, Annotations, Color
from eseg_keras.conversion.drawing import draw_mask
from eseg_keras.conversion.splits import IMAGES, MASKS, STAGING, divide, move, output_paths
from eseg_keras.data.datasets.metadata import IGNORE_LABEL
from eseg_keras.data.folder_checks import FolderError
from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.data.label_statistics import Counted, gather
from eseg_keras.files import atomic_directory, check_is_new
from eseg_keras.progress import Progress
from eseg_keras.training.experiment_files import load_experiment, write_experiment
from eseg_keras.visualization.overlays import default_palette, label_image

FORMATS: dict[str, ModuleType] = {
    "labelme": labelme,
    "coco": coco,
    "voc": voc,
    "cvat": cvat,
    "roboflow": roboflow,
    "cityscapes-polygons": cityscapes_polygons,
}
"""{format: module whose function `read` reads it}."""

_MOST_CLASSES = 254


@dataclasses.dataclass(frozen=True)
class Conversion:
    """Summary of a conversion.

    Attributes:
        class_names: Names of the classes in the order of their ids in the masks.
        palette: One (red, green, blue) per class, 0..255; it is also the palette of the masks.
        num_images: {split: number of images}; the key is `""` if there are no splits.
        skipped: {description of skipped parts of the source: their number}.
    """

    class_names: tuple[str, ...]
    palette: tuple[Color, ...]
    num_images: dict[str, int]
    skipped: dict[str, int]


def convert(
    format: str,
    source: str | Path,
    output: str | Path,
    *,
    images: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    background: bool = True,
    val_share: float | None = None,
    group: str | None = None,
    seed: int = 0,
    verbose: bool = True,
) -> Conversion:
    """Convert the files of an annotation tool to images and masks.

    Write `images/`, `annotations/` and `experiment.py`, which contains the names and colours of the
    classes and is the `--experiment` for `eseg train` and `eseg data-check`. If the source has
    splits (or with `val_share`), both folders have subfolders such as `train`, `val` and `test`.
    Masks are palette PNG files of class ids, with 255 for ignored pixels. Later shapes in the file
    cover earlier ones (for CVAT, higher layers cover lower ones). Images are copied unchanged; the
    EXIF rotation is applied when they are read. If the image size in the annotations is that
    without the EXIF rotation, it is applied to the masks.

    Args:
        format: A key of `FORMATS`: `"labelme"`, `"coco"`, `"voc"`, `"cvat"`, `"roboflow"` or
            `"cityscapes-polygons"`.
        source: Folder of the annotations, or one annotation file. This folder (for a file, its
            parent folder) and its subfolders are searched for images.
        output: Folder for the result, which must be new or empty.
        images: Additional folder to search for images.
        class_names: The classes to keep, in the order of their ids; if pixels without a class get
            the class "background", it is always the first. Pixels of other classes are treated like
            pixels without a class. Defaults to all classes.
        background: Whether pixels without a class get the class "background", with id 0. Otherwise
            these pixels are ignored; for Cityscapes they are always ignored.
        val_share: Share of the images for the split `val`, above 0 and below 1; the split is
            stratified by class. Not allowed if the source already has a split `val`.
        group: Regular expression, such as `"^(.*)_frame"`, that is searched in the path of each
            image without suffix; it must match every path. Images with equal matches get the same
            split. If the expression has capturing groups, the match of the first group counts.
        seed: Seed of the split. Defaults to 0.
        verbose: Whether to show a progress bar. Defaults to `True`.

    Returns:
        A `Conversion` with the classes and the number of images.

    Raises:
        FolderError: If images are missing or files cannot be used; the message lists the files.
        DamagedFileError: If an annotation file cannot be read.
        FileExistsError: If the output is a file, or a folder that is not empty.
        ValueError: If an argument or an annotation is invalid. The message names the annotation's
            file or, for a class without a name, only the source.

    Example:

    >>> import json, tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from eseg_keras.conversion import convert
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (64, 48)).save(folder / "one.jpg")
    >>> shape = {"label": "cat", "shape_type": "rectangle", "points": [[8, 8], [31, 31]]}
    >>> one = {"imagePath": "one.jpg", "imageHeight": 48, "imageWidth": 64, "shapes": [shape]}
    >>> _ = (folder / "one.json").write_text(json.dumps(one))
    >>> convert("labelme", folder, folder / "data", verbose=False).class_names
    ('background', 'cat')
    >>> Image.open(folder / "data" / "annotations" / "one.png").getpixel((8, 8))
    1
    """
    source, output = Path(source), Path(output)
    _check_arguments(format, source, output, images, val_share, group)
    found = Annotations(source, None if images is None else Path(images))
    FORMATS[format].read(found)
    if not (found.examples or found.problems):
        skipped = ", ".join(f"{count} {what}" for what, count in found.skipped.items())
        raise ValueError(
            f"{source} has no annotated image of the format {format}{skipped and ': skipped '}"
            f"{skipped}. Pass the folder of the export, or another format."
        )
    if val_share is not None and any(example.split == "val" for example in found.examples):
        raise ValueError(f"{source} already has a validation split: omit val_share.")
    has_background = background and found.has_background
    names = _class_list(found, class_names, has_background)
    colors = default_palette(len(names))
    palette = tuple(found.colors.get(name, colors[index]) for index, name in enumerate(names))
    splits, paths = output_paths(found)
    if found.problems:
        raise FolderError(str(source), found.problems)
    unlabelled = 0 if has_background else IGNORE_LABEL
    labels = {name: index for index, name in enumerate(names)}
    staging = STAGING if val_share is not None else ""

    def write(index):
        example = found.examples[index]
        try:
            content = example.image if isinstance(example.image, Path) else example.image()
            mask = draw_mask(example, content, labels, unlabelled)
        except ImageFileError as error:
            return Counted(problems=[(problem, error.path) for problem in error.problems])
        path = Path(staging, splits[index], paths[index])
        image_path, mask_path = folder / IMAGES / path, folder / MASKS / path.with_suffix(".png")
        for target in (image_path, mask_path):
            target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            image_path.write_bytes(content)
        else:
            shutil.copyfile(content, image_path)
        label_image(mask, palette).save(mask_path)
        return Counted(np.bincount(mask.ravel(), minlength=256), mask.shape)

    with atomic_directory(output) as folder:
        with Progress("Converting", len(paths)) if verbose else nullcontext() as progress:
            statistics = gather(write, len(paths), progress.track if progress else iter)
        if statistics.problems:
            raise FolderError(str(source), statistics.problems)
        if val_share is not None:
            counts = statistics.label_counts[:, : len(names)]
            parts = divide(splits, paths, counts, val_share, group, seed)
            move(folder, splits, parts, paths)
            splits = parts
        _write_experiment(folder, names, palette, splits)
    return Conversion(tuple(names), palette, dict(Counter(splits)), dict(found.skipped))


def _check_arguments(format, source, output, images, val_share, group):
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(FORMATS)}. Received: {format!r}")
    check_is_new(output)
    for path in filter(None, (source, images)):
        if not Path(path).exists():
            raise ValueError(f"There is no file or folder {path}.")
    if val_share is not None and not 0 < val_share < 1:
        raise ValueError(
            f"`val_share` must be above 0 and below 1. Received: val_share={val_share}"
        )
    if group is not None:
        if val_share is None:
            raise ValueError("`group` is used for a split: pass `val_share`, too, such as 0.2.")
        try:
            re.compile(group)
        except re.error as error:
            raise ValueError(
                f"`group` must be a regular expression. Received: {group!r} ({error})"
            ) from error


def _class_list(found, chosen, has_background):
    """Return the classes in the order of their ids."""
    names = found.class_names
    if chosen is not None:
        known = [*names, BACKGROUND] if has_background else names
        unknown = [name for name in chosen if name not in known]
        if unknown or len(set(chosen)) < len(chosen):
            raise ValueError(
                f"`class_names` must be unique class names of {found.source}: {', '.join(names)}. "
                f"Received: {', '.join(chosen)}"
            )
        names = list(chosen)
    if has_background or chosen is None:
        names = [BACKGROUND] * has_background + [name for name in names if name != BACKGROUND]
    if not 1 <= len(names) <= _MOST_CLASSES:
        raise ValueError(
            f"{found.source} has {len(names)} classes, expected 1 to {_MOST_CLASSES}: choose them "
            "with class_names."
        )
    return names


def _write_experiment(folder, names, palette, splits):
    experiment = load_experiment("folders/eseg_edge_s")
    changes = {"class_names": tuple(names), "num_classes": len(names), "palette": palette}
    if not any(splits):
        changes |= {"train_images": IMAGES, "train_masks": MASKS}
    write_experiment(
        folder / "experiment.py",
        dataclasses.replace(experiment, **changes),
        "Classes and folders of converted annotations. `eseg train --experiment` and `eseg "
        "data-check\n--experiment` take this file, with its folder as --data_dir.",
    )

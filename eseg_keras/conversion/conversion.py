"""Write the annotations of a tool as a folder of images and masks."""

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
"""The reader of each format."""

_MOST_CLASSES = 254


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
        class_names: Names of the classes in the order of their ids in the masks.
        palette: One (red, green, blue) per class, 0..255, also in the masks themselves.
        num_images: {split: number of images}; the split is `""` if there are none.
        skipped: {what could not be drawn: how often}.
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
    """Turn the files of an annotation tool into images and masks.

    Writes `images/` and `annotations/`, and `experiment.py` with names and colours of the classes,
    which `eseg train` and `eseg data-check` take as `--experiment`. If the source has splits (or
    with `val_share`), both folders have subfolders `train`, `val` and `test`. Masks are palette
    PNGs of class ids, 255 where pixels are ignored. Where shapes overlap, the later one in the file
    counts (for CVAT, the one of the higher layer). Images are copied unchanged. As their EXIF
    rotation is applied when they are read, masks of annotations drawn without it are rotated too.

    Args:
        format: A key of `FORMATS`: `"labelme"`, `"coco"`, `"voc"`, `"cvat"`, `"roboflow"` or
            `"cityscapes-polygons"`.
        source: Folder of the annotations, or one annotation file; images are searched in the folder
            and its subfolders.
        output: Folder for the result, which must be new or empty.
        images: Another folder to search for images.
        class_names: The classes to keep, in the order of their ids; "background" is put in front.
            Shapes of other classes are drawn as background. Defaults to all classes.
        background: Whether pixels without a class are a class called "background", with id 0. If
            not, they are ignored, as they always are for Cityscapes.
        val_share: Share of the images, above 0 and below 1, that are put into `val`, such that each
            class occurs there; for sources that have no such split.
        group: Regular expression, such as `"^(.*)_frame"`, searched in the path of each image
            without its suffix. Images for which it finds the same text (of its first group, if it
            has any) stay in one split.
        seed: Seed of the split. Defaults to 0.
        verbose: Whether to show a progress bar.

    Returns:
        The classes, and the number of images.

    Raises:
        FolderError: If images are missing, or files cannot be used; it lists them all.
        DamagedFileError: If an annotation file cannot be read.
        FileExistsError: If the output is not empty.
        ValueError: If an annotation is invalid (the message names the file), or an argument.

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
            f"{source} holds no annotated image of the format {format}{skipped and ': skipped '}"
            f"{skipped}. Give the folder of the export, or another format."
        )
    if val_share is not None and any(example.split == "val" for example in found.examples):
        raise ValueError(f"{source} has a validation split of its own: omit val_share.")
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
            raise ValueError("`group` is for a split: give `val_share`, too, such as 0.2.")
        try:
            re.compile(group)
        except re.error as error:
            raise ValueError(
                f"`group` must be a regular expression. Received: {group!r} ({error})"
            ) from error


def _class_list(found, chosen, has_background):
    """The classes in the order of their ids."""
    names = found.class_names
    if chosen is not None:
        unknown = [name for name in chosen if name not in (*names, BACKGROUND)]
        if unknown or len(set(chosen)) < len(chosen):
            raise ValueError(
                f"`class_names` must name classes of {found.source}, each once: "
                f"{', '.join(names)}. Received: {', '.join(chosen)}"
            )
        names = chosen
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

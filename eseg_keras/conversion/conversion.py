"""Write the annotations of a tool as a folder of images and masks."""

import dataclasses
import io
import posixpath
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from types import ModuleType

import numpy as np
from PIL import ExifTags, Image

from eseg_keras.conversion import cityscapes_polygons, coco, cvat, labelme, roboflow, voc
from eseg_keras.conversion.annotations import BACKGROUND, Annotated, Annotations, Color
from eseg_keras.data.datasets.metadata import IGNORE_LABEL
from eseg_keras.data.folder_checks import FolderError
from eseg_keras.data.images.image_reader import (
    MAX_PIXELS,
    UNREADABLE,
    ImageFileError,
    check_header,
    no_pillow_limit,
    upright,
)
from eseg_keras.data.label_statistics import Counted, gather
from eseg_keras.data.splitting import stratified_split
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

_IMAGES, _MASKS, _STAGING = "images", "annotations", ".unsplit"
_MOST_CLASSES = 254
_FIRST_TURNED = 5  # EXIF orientations from this on exchange width and height.


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
    PNGs of class ids, 255 where pixels are ignored. Of two shapes that overlap, the later one
    counts, in the order of the file (in CVAT's, of its layers). Images are copied as they are.
    Their EXIF rotation is applied when they are read, so masks of annotations that were drawn
    without it are rotated.

    Args:
        format: A key of `FORMATS`: `"labelme"`, `"coco"`, `"voc"`, `"cvat"`, `"roboflow"` or
            `"cityscapes-polygons"`.
        source: Folder of the annotations, or one annotation file; images are searched below it.
        output: Folder for the result, which must be new or empty.
        images: Another folder in which images are searched.
        class_names: The classes to keep, in the order of their ids; "background" is put in front.
            Shapes of other classes are drawn as background. Defaults to all classes.
        background: Whether pixels without a class are a class called "background", with id 0. If
            not, they are ignored; always so for Cityscapes.
        val_share: Share of the images, above 0 and below 1, that are put into `val`, such that each
            class occurs there; for sources that have no such split.
        group: Regular expression that finds, in the path of an image, what it has in common with
            images that must be in the same split, such as `"^(.*)_frame"`.
        seed: Seed of the split. Defaults to 0.
        verbose: Whether to show a progress bar.

    Returns:
        The classes, and the number of images.

    Raises:
        FolderError: If images are missing, or files cannot be used; it lists them all.
        DamagedFileError: If an annotation file cannot be read.
        FileExistsError: If the output holds anything.
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
    splits, paths = _output_paths(found)
    unlabelled = 0 if has_background else IGNORE_LABEL
    labels = {name: index for index, name in enumerate(names)}
    staging = _STAGING if val_share is not None else ""

    def write(index):
        example = found.examples[index]
        try:
            content = example.image if isinstance(example.image, Path) else example.image()
            mask = _draw(example, content, labels, unlabelled)
        except ImageFileError as error:
            return Counted(problems=[(problem, error.path) for problem in error.problems])
        path = Path(staging, splits[index], paths[index])
        image_path, mask_path = folder / _IMAGES / path, folder / _MASKS / path.with_suffix(".png")
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
        for problem, files in statistics.problems.items():
            found.problems[problem].extend(files)
        if found.problems:
            raise FolderError(str(source), found.problems)
        if val_share is not None:
            counts = statistics.label_counts[:, : len(names)]
            parts = _divide(splits, paths, counts, val_share, group, seed)
            _move(folder, splits, parts, paths)
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


def _output_paths(found: Annotations) -> tuple[list[str], list[Path]]:
    """Split and path of each image in the output; the folders common to a split are dropped."""
    splits = [example.split or "" for example in found.examples]
    if any(splits):
        splits = [split or "train" for split in splits]
    parents = defaultdict(set)
    for split, example in zip(splits, found.examples, strict=True):
        parents[split].add(posixpath.dirname(example.name))
    common = {split: posixpath.commonpath(folders) for split, folders in parents.items()}
    paths, seen = [], {}
    for split, example in zip(splits, found.examples, strict=True):
        path = Path(PurePosixPath(example.name).relative_to(common[split]))
        other = seen.setdefault((split, path.with_suffix("")), example)
        if other is not example:
            problem = "two annotated images have one name: remove or rename one"
            found.problems[problem].append(
                f"{other.name} of {other.file} and {example.name} of {example.file}"
            )
        paths.append(path)
    return splits, paths


def _draw(
    example: Annotated, image: Path | bytes, labels: Mapping[str, int], unlabelled: int
) -> np.ndarray:
    """The mask of an image as it is seen, uint8 [H, W]; ImageFileError if it cannot be drawn."""
    size, orientation = _size_and_orientation(image, example.name)
    seen_size = size[::-1] if orientation >= _FIRST_TURNED else size
    if example.size not in (size, seen_size):
        problem = (
            f"is {size[0]}x{size[1]} (height x width), and its annotations are for another size: "
            "find the images that were annotated"
        )
        raise ImageFileError(example.name, [problem])
    mask = np.full(example.size, unlabelled, np.uint8)
    try:
        for name, pixels in example.regions():
            mask[pixels] = IGNORE_LABEL if name is None else labels.get(name, unlabelled)
    except ImageFileError:
        raise
    except (TypeError, ValueError) as error:
        problem = f"has a shape that cannot be drawn ({error}): export it again"
        raise ImageFileError(example.file, [problem]) from error
    if example.size != seen_size:  # Annotated without the EXIF rotation.
        picture = Image.fromarray(mask)
        picture.getexif()[ExifTags.Base.Orientation] = orientation
        mask = np.asarray(upright(picture))
    return mask


def _size_and_orientation(image: Path | bytes, name: str):
    """(height, width) as stored in the file, and its EXIF orientation."""
    try:
        with no_pillow_limit():
            picture = Image.open(io.BytesIO(image) if isinstance(image, bytes) else image)
        with picture:
            check_header(name, picture, MAX_PIXELS)
            return picture.size[::-1], picture.getexif().get(ExifTags.Base.Orientation, 1)
    except ImageFileError:
        raise
    except Exception as error:  # Pillow raises exceptions of many types for damaged files.
        raise ImageFileError(name, [UNREADABLE]) from error


def _divide(splits, paths, label_counts, val_share, group, seed) -> list[str]:
    """The splits, with the images of none and of `train` divided into `train` and `val`."""
    free = [index for index, split in enumerate(splits) if split in ("", "train")]
    members = defaultdict(list)
    for index in free:
        name = paths[index].with_suffix("").as_posix()
        key = name
        if group is not None:
            match = re.search(group, name)
            if match is None:
                raise ValueError(f"`group` must fit every image. {group!r} does not fit {name!r}.")
            key = match[1] if match.re.groups else match[0]
        members[key].append(index)
    if len(members) < 2:
        raise ValueError(
            f"A split needs at least two {'images' if group is None else 'groups of images'}. "
            f"Received: {len(members)}."
        )
    groups = list(members.values())
    counts = np.array([label_counts[indices].sum(axis=0) for indices in groups])
    parts = list(splits)
    for split, chosen in zip(
        ("train", "val"), stratified_split(counts, val_share, seed), strict=True
    ):
        for index in chosen:
            for member in groups[index]:
                parts[member] = split
    return parts


def _move(folder, splits, parts, paths):
    """Move the files from the staging folders into their splits."""
    for kind in (_IMAGES, _MASKS):
        for split, part, path in zip(splits, parts, paths, strict=True):
            path = path.with_suffix(".png") if kind == _MASKS else path
            target = folder / kind / part / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (folder / kind / _STAGING / split / path).rename(target)
        shutil.rmtree(folder / kind / _STAGING)


def _write_experiment(folder, names, palette, splits):
    experiment = load_experiment("folders/eseg_edge_s")
    changes = {"class_names": tuple(names), "num_classes": len(names), "palette": palette}
    if not any(splits):
        changes |= {"train_images": _IMAGES, "train_masks": _MASKS}
    write_experiment(
        folder / "experiment.py",
        dataclasses.replace(experiment, **changes),
        "Classes and folders of converted annotations. `eseg train --experiment` and `eseg "
        "data-check\n--experiment` take this file, with its folder as --data_dir.",
    )

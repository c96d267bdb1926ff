"""From an experiment to a compiled model: automatic values, weights, loss and optimizer."""

import dataclasses
import logging
import math
from pathlib import Path

import keras

from eseg_keras import losses
from eseg_keras.encoders.builder import check_finite
from eseg_keras.metrics import SegmentationScores
from eseg_keras.models import ESeg
from eseg_keras.training.distribution import ONE_DEVICE, Distribution
from eseg_keras.training.experiment import Experiment, TrainingOptions

_log = logging.getLogger("eseg_keras")

# Maximum share of the warm-up in the steps of a run.
_MAX_WARMUP = 0.2
# The paper's learning rate and batch size. Training diverges if learning rate / batch size is much
# higher than in the paper.
_PAPER_RATE, _PAPER_BATCH = 0.08, 16
_MOST_TIMES_THE_PAPERS = 3
_HIGH_ADAMW_RATE = 0.01  # Usual rates are 0.0001 to 0.001 for all batch sizes.
_NO_KERNEL = r"^(?!.*kernel(:0)?$)"  # Names of TensorFlow variables end in ":0".

# Values for "auto". Learning rate: _RATE for _SMALL_BATCH, and proportional to the batch size.
_SMALL_BATCH, _LARGE_BATCH = 8, 16
_MANY_IMAGES = 2000  # Minimum number of images for large batches.
_RATE = 0.05
_FEWEST_STEPS, _MOST_STEPS = 300, 40_000
VALIDATIONS = 10  # Largest number of validations in a run.
# No colour distortion for larger data sets: their colours vary enough.
_DISTORTED_IMAGES = 20_000


def complete(
    experiment: Experiment, num_images: int, distribution: Distribution = ONE_DEVICE
) -> Experiment:
    """Replace the values `"auto"` of an experiment, based on its number of training images.

    Batch size: 8, or 16 from 2,000 images on, at most the number of images, and a multiple of the
    number of devices times `gradient_accumulation_steps`. Epochs: the number of steps is about 100
    times the square root of the number of images, at least 300 and at most 40,000 (this gives 300
    epochs for 2 images, 42 for 367, 5 for 100,000). Learning rate: 0.05 for batches of 8,
    proportional to the batch size. Warm-up: a twentieth of the steps. Averaged weights: over about
    the last tenth of the steps, at most 1,000 steps. Validations: 6 to 10, or one per epoch in runs
    of up to 10 epochs. Colour distortion: for up to 20,000 images, if `augment` is true. With
    pseudo labels, which are half of each batch, an epoch has twice as many steps and the batch size
    is even. If `steps` is set, the number of epochs is computed from `steps`.
    """

    def value(name, automatic):
        given = getattr(experiment, name)
        return automatic if given == "auto" else given

    usual = _SMALL_BATCH if num_images < _MANY_IMAGES else _LARGE_BATCH
    most = num_images
    multiple = experiment.gradient_accumulation_steps * distribution.num_devices
    half_is_pseudo = experiment.pseudo_images is not None
    if half_is_pseudo:
        most, multiple = 2 * most, math.lcm(2, multiple)
    batch_size = value("batch_size", max(min(usual, most) // multiple, 1) * multiple)
    steps_per_epoch = math.ceil(num_images / batch_size)
    if distribution.drops_remainder(num_images, batch_size, experiment.gradient_accumulation_steps):
        steps_per_epoch = max(1, num_images // batch_size)
    if half_is_pseudo:  # `MixedBatches` refuses a batch size that is odd or too large.
        steps_per_epoch = max(1, num_images // max(1, batch_size // 2))
    wanted = min(max(100 * math.sqrt(num_images), _FEWEST_STEPS), _MOST_STEPS)
    automatic = round(wanted / steps_per_epoch)
    if experiment.steps is not None:
        automatic = math.ceil(experiment.steps / steps_per_epoch)
    epochs = value("epochs", max(1, automatic))
    num_steps = experiment.steps or epochs * steps_per_epoch
    return dataclasses.replace(
        experiment,
        batch_size=batch_size,
        epochs=epochs,
        learning_rate=value("learning_rate", _RATE * batch_size / _SMALL_BATCH),
        warmup_steps=value("warmup_steps", num_steps // 20),
        ema_decay=value("ema_decay", round(min(0.999, max(0.5, 1 - 10 / num_steps)), 4)),
        val_every=value(
            "val_every", math.ceil(math.ceil(num_steps / steps_per_epoch) / VALIDATIONS)
        ),
        photometric_distortion=value(
            "photometric_distortion", experiment.augment and num_images <= _DISTORTED_IMAGES
        ),
    )


def initial_model(experiment: Experiment) -> ESeg:
    """Build the model of an experiment with its initial weights and frozen parts."""
    options = {"num_classes": experiment.num_classes, "ignore_label": experiment.ignore_label}
    options |= experiment.network_arguments()
    for name in ("class_names", "palette", "encoder_weights"):
        if getattr(experiment, name) is not None:
            options[name] = getattr(experiment, name)
    if experiment.mixed_precision is not None:
        options["dtype"] = f"mixed_{experiment.mixed_precision}"
    # The weights of `init_from` replace the preset's.
    load_weights = experiment.load_weights and experiment.init_from is None
    model = ESeg.from_preset(experiment.preset, load_weights=load_weights, **options)
    if experiment.init_from is not None:
        model.copy_weights(_load_any(experiment.init_from))
    _set_regularization(model, experiment)
    model.freeze(*experiment.freeze)
    return model


def _set_regularization(model, experiment):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            if experiment.batch_norm_momentum is not None:
                layer.momentum = experiment.batch_norm_momentum
        # All dropout layers of encoders implement stochastic depth.
        elif isinstance(layer, keras.layers.Dropout) and not experiment.stochastic_depth:
            layer.rate = 0.0


def _load_any(source):
    """Load a preset, a `.keras` file or the model directory of a finished run."""
    path = Path(source)
    if source.endswith(".keras"):
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {source} to start from.")
        model = keras.models.load_model(path)
        if not isinstance(model, ESeg):
            raise ValueError(
                f"{source} contains a {type(model).__name__}, not an ESeg. Start from a file that "
                "`ESeg.save` wrote."
            )
        check_finite(model, path)
        return model
    if (path / "config.json").is_file() and (path / "log.csv").is_file():
        if (path / "encoder.weights.h5").is_file():
            raise ValueError(
                f"{source} contains only a pretrained encoder, not a network: pass the encoder as "
                f"encoder_weights={path / 'encoder.weights.h5'}."
            )
        if not (path / "preset").is_dir():
            raise ValueError(
                f"The run in {source} is not finished: it has no preset yet. Rerun its command to "
                "finish it, or start from another model."
            )
        source = str(path / "preset")
    return ESeg.from_preset(source)


def compile_model(model: ESeg, experiment: Experiment, num_steps: int) -> SegmentationScores:
    """Compile a model for a run of `num_steps`; return the metric with the scores of each class."""
    scores = SegmentationScores(model.num_classes, ignore_label=experiment.ignore_label)
    options = compile_options(experiment, num_steps)
    usual = _PAPER_RATE * experiment.batch_size / _PAPER_BATCH
    if experiment.optimizer == "sgd" and experiment.learning_rate > _MOST_TIMES_THE_PAPERS * usual:
        _log.warning(
            "learning_rate=%g is high for batches of %d: the paper uses %g for batches of %d, "
            "which corresponds to %.3g for %d.", experiment.learning_rate, experiment.batch_size,
            _PAPER_RATE, _PAPER_BATCH, usual, experiment.batch_size,
        )  # fmt: skip
    if experiment.optimizer == "adamw" and experiment.learning_rate > _HIGH_ADAMW_RATE:
        _log.warning(
            "learning_rate=%g is high for AdamW: usual rates are 0.0001 to 0.001.",
            experiment.learning_rate,
        )
    if experiment.teacher is not None:
        teacher = _load_any(experiment.teacher)
        _check_same_classes(teacher, model, experiment.teacher)
        # BN folding makes the teacher faster and does not change its predictions.
        options["teacher"] = teacher.fold()
        options["distillation"] = experiment.distillation
    model.compile(loss=make_loss(experiment), metrics=[scores], **options)
    return scores


def _check_same_classes(teacher, model, source):
    """Raise ValueError if the teacher has other class names, or the same in another order."""
    if teacher.class_names is None or model.class_names is None:
        return
    for index, names in enumerate(zip(teacher.class_names, model.class_names, strict=False)):
        if names[0].lower() != names[1].lower():
            raise ValueError(
                f"The teacher {source} has other classes: its class {index} is {names[0]!r}, that "
                f"of the experiment is {names[1]!r}. Choose a teacher with the same classes in the "
                "same order."
            )


def compile_options(experiment: TrainingOptions, num_steps: int) -> dict:
    """Return the arguments of `TrainingModel.compile` that all tasks share."""
    names = (
        "weight_decay", "ema_decay", "global_clipnorm", "gradient_accumulation_steps",
        "remat", "steps_per_execution",
    )  # fmt: skip
    rate = learning_rate(experiment, num_steps)
    options = {name: getattr(experiment, name) for name in names}
    if experiment.optimizer == "sgd":
        return options | {"optimizer": keras.optimizers.SGD(rate, momentum=experiment.momentum)}
    adamw = keras.optimizers.AdamW(
        rate, weight_decay=experiment.weight_decay, beta_1=experiment.momentum
    )
    adamw.exclude_from_weight_decay(var_names=[_NO_KERNEL])
    return options | {"optimizer": adamw, "weight_decay": 0.0}


def make_loss(experiment: Experiment) -> keras.losses.Loss:
    """Return the loss of an experiment, without class weights, which are part of the batches."""
    common = {"ignore_label": experiment.ignore_label}
    if experiment.loss == "cross_entropy":
        return losses.CrossEntropy(label_smoothing=experiment.label_smoothing, **common)
    if experiment.loss == "ohem":
        return losses.OHEMCrossEntropy(
            experiment.ohem_threshold,
            experiment.ohem_min_kept,
            experiment.ohem_min_kept_pixels,
            **common,
        )
    kinds = {"dice": losses.Dice, "lovasz_softmax": losses.LovaszSoftmax, "focal": losses.Focal}
    return kinds[experiment.loss](**common)


def learning_rate(
    experiment: TrainingOptions, num_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the schedule: linear warm-up from zero, then cosine decay to zero at the end."""
    warmup_steps = min(experiment.warmup_steps, int(_MAX_WARMUP * num_steps))
    if warmup_steps < experiment.warmup_steps:
        _log.warning(
            "The warm-up is reduced to %d of %d steps: warmup_steps=%d is too long for this run.",
            *(warmup_steps, num_steps, experiment.warmup_steps),
        )
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(experiment.learning_rate, num_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        num_steps - warmup_steps,
        warmup_target=experiment.learning_rate,
        warmup_steps=warmup_steps,
    )

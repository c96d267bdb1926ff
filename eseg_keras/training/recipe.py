"""Initial weights, loss, optimizer and learning rate of an experiment."""

import logging
from pathlib import Path

import keras

from eseg_keras import losses
from eseg_keras.metrics import SegmentationScores
from eseg_keras.models import ESeg
from eseg_keras.training.experiment import Experiment, TrainingOptions

_log = logging.getLogger("eseg_keras")

# Largest share of warm-up in a run.
_MAX_WARMUP = 0.2
# The paper trains with 0.08 for 16 images; rates far above that rate per image diverge.
_PAPER_RATE, _PAPER_BATCH = 0.08, 16
_MOST_TIMES_THE_PAPERS = 3


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
    if not model.trainable_variables:
        raise ValueError(
            f"There is nothing to train: freeze={experiment.freeze} freezes every part. Leave at "
            "least one of encoder, decoder and head trainable."
        )
    return model


def _set_regularization(model, experiment):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            if experiment.batch_norm_momentum is not None:
                layer.momentum = experiment.batch_norm_momentum
        # All that encoders drop are the blocks of stochastic depth.
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
                f"{source} holds a {type(model).__name__}, not an ESeg. Start from a file that "
                "`ESeg.save` wrote."
            )
        return model
    if (path / "config.json").is_file() and (path / "log.csv").is_file():
        if (path / "encoder.weights.h5").is_file():
            raise ValueError(
                f"{source} holds only a pretrained encoder, not a whole network: pass its file as "
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
    """Compile a model for a whole run; return its metric, for the scores of single classes."""
    scores = SegmentationScores(model.num_classes, ignore_label=experiment.ignore_label)
    options = compile_options(experiment, num_steps)
    usual = _PAPER_RATE * experiment.batch_size / _PAPER_BATCH
    if experiment.learning_rate > _MOST_TIMES_THE_PAPERS * usual:
        _log.warning(
            "learning_rate=%g is high for batches of %d: the paper's %g is for %d images, which is "
            "%.3g for %d.", experiment.learning_rate, experiment.batch_size, _PAPER_RATE,
            _PAPER_BATCH, usual, experiment.batch_size,
        )  # fmt: skip
    model.compile(loss=make_loss(experiment), metrics=[scores], **options)
    return scores


def compile_options(experiment: TrainingOptions, num_steps: int) -> dict:
    """Return the arguments of `TrainingModel.compile` that all tasks share."""
    names = (
        "weight_decay", "ema_decay", "global_clipnorm", "gradient_accumulation_steps",
        "steps_per_execution",
    )  # fmt: skip
    rate = learning_rate(experiment, num_steps)
    options = {name: getattr(experiment, name) for name in names}
    return options | {"optimizer": keras.optimizers.SGD(rate, momentum=experiment.momentum)}


def make_loss(experiment: Experiment) -> keras.losses.Loss:
    """Return the loss of an experiment. Class weights come with the data."""
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
    """Return the schedule: linear warm-up from zero, then a cosine to zero at the last step."""
    warmup_steps = min(experiment.warmup_steps, int(_MAX_WARMUP * num_steps))
    if warmup_steps < experiment.warmup_steps:
        _log.warning(
            "The warm-up takes %d of %d steps: warmup_steps=%d is too long for this run.",
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

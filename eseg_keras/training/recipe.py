"""How an experiment's model starts and is trained: weights, loss, optimizer, schedule."""

from pathlib import Path

import keras

from eseg_keras import losses
from eseg_keras.metrics import SegmentationScores
from eseg_keras.models import ESeg
from eseg_keras.training.experiment import Experiment


def initial_model(experiment: Experiment) -> ESeg:
    """Build the model of an experiment with the weights that it starts from.

    Args:
        experiment: The experiment.

    Returns:
        The model, with its parts frozen as the experiment says.

    Raises:
        ValueError: If the weights do not fit the network, or `init_from` is nothing known.
        FileNotFoundError: If a file is missing.
    """
    options = {"num_classes": experiment.num_classes, "ignore_label": experiment.ignore_label}
    for name in ("class_names", "palette", "encoder_weights"):
        if getattr(experiment, name) is not None:
            options[name] = getattr(experiment, name)
    if experiment.mixed_precision is not None:
        options["dtype"] = f"mixed_{experiment.mixed_precision}"
    # Other weights will take the place of the preset's.
    load_weights = experiment.load_weights and experiment.init_from is None
    model = ESeg.from_preset(experiment.preset, load_weights=load_weights, **options)
    if experiment.init_from is not None:
        model.copy_weights(load_any(experiment.init_from))
    model.freeze(*experiment.freeze)
    return model


def load_any(source: str) -> ESeg:
    """Load a model, however it was saved.

    Args:
        source: A preset (name, directory or `"hf://user/repository"`), a `.keras` file, or the
            model directory of a finished run.

    Returns:
        The model.

    Raises:
        ValueError: If the source is nothing of these.
    """
    path = Path(source)
    if source.endswith(".keras"):
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {source} to start from.")
        model = keras.models.load_model(path)
        if not isinstance(model, ESeg):
            raise ValueError(
                f"{source} holds no ESeg but a {type(model).__name__}. Start from a file that "
                "`ESeg.save` wrote."
            )
        return model
    if (path / "config.json").is_file() and (path / "log.csv").is_file():
        if (path / "encoder.weights.h5").is_file():
            raise ValueError(
                f"{source} holds a pretrained encoder and no whole network: pass its file as "
                f"encoder_weights={path / 'encoder.weights.h5'}."
            )
        if not (path / "preset").is_dir():
            raise ValueError(
                f"The run in {source} is not finished: it has no preset yet. Let it end (the same "
                "command goes on), or start from something else."
            )
        source = str(path / "preset")
    return ESeg.from_preset(source)


def compile_model(model: ESeg, experiment: Experiment, num_steps: int) -> SegmentationScores:
    """Compile a model for a whole run.

    Args:
        model: The model.
        experiment: The experiment.
        num_steps: Steps of the run, at the end of which the learning rate is zero.

    Returns:
        The metric that counts the pixels, for the scores of single classes.

    Raises:
        ValueError: If the warm-up leaves no step.
    """
    scores = SegmentationScores(model.num_classes, ignore_label=experiment.ignore_label)
    model.compile(
        optimizer=keras.optimizers.SGD(
            learning_rate(experiment, num_steps), momentum=experiment.momentum
        ),
        loss=make_loss(experiment),
        metrics=[scores],
        weight_decay=experiment.weight_decay,
        ema_decay=experiment.ema_decay,
        global_clipnorm=experiment.global_clipnorm,
        gradient_accumulation_steps=experiment.gradient_accumulation_steps,
        steps_per_execution=experiment.steps_per_execution,
    )
    return scores


def make_loss(experiment: Experiment) -> keras.losses.Loss:
    """Return the loss of an experiment. Class weights come with the data."""
    common = {"ignore_label": experiment.ignore_label}
    match experiment.loss:
        case "cross_entropy":
            return losses.CrossEntropy(label_smoothing=experiment.label_smoothing, **common)
        case "ohem":
            return losses.OHEMCrossEntropy(
                experiment.ohem_threshold, experiment.ohem_min_kept, **common
            )
        case "dice":
            return losses.Dice(**common)
        case "lovasz_softmax":
            return losses.LovaszSoftmax(**common)
        case "focal":
            return losses.Focal(**common)
        case _:
            raise ValueError(f"There is no loss {experiment.loss!r}.")


def learning_rate(
    experiment: Experiment, num_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the schedule: linear warm-up from zero, then a cosine down to zero at the last step.

    Raises:
        ValueError: If the warm-up leaves no step.
    """
    if experiment.warmup_steps >= num_steps:
        raise ValueError(
            f"warmup_steps={experiment.warmup_steps} leaves nothing of the {num_steps} steps of "
            "this run. Lower it, or raise epochs."
        )
    if not experiment.warmup_steps:
        return keras.optimizers.schedules.CosineDecay(experiment.learning_rate, num_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        num_steps - experiment.warmup_steps,
        warmup_target=experiment.learning_rate,
        warmup_steps=experiment.warmup_steps,
    )

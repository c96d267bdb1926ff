"""The tasks of `train`. Each defines the data, the model, the scores and the result."""

from pathlib import Path

from eseg_keras.data import FolderExamples
from eseg_keras.data.classification import ClassificationBatches, class_folders, imagenet2012
from eseg_keras.evaluation import evaluation_of
from eseg_keras.models import Classifier
from eseg_keras.models.classifier import LabelCrossEntropy
from eseg_keras.trainer import TrainingModel
from eseg_keras.training.data import (
    check_classes,
    check_palettes,
    open_examples,
    open_pseudo_labelled,
    training_batches,
    typical_long_side,
    validation_batches,
    with_class_map,
)
from eseg_keras.training.distribution import Distribution
from eseg_keras.training.experiment import ClassificationExperiment, Experiment
from eseg_keras.training.recipe import (
    compile_model,
    compile_options,
    complete,
    initial_model,
)


class Segmentation:
    """Train an `ESeg`, and write it as a preset."""

    # The metric whose maximum defines the best weights, and the file or folder of the result.
    score = "mean_iou"
    result = "preset"

    def __init__(
        self,
        experiment: Experiment,
        data_dir: str | Path | None,
        distribution: Distribution,
        skip_bad_examples: bool,
    ):
        examples = open_examples(experiment, "train", data_dir, skip_bad_examples)
        if isinstance(examples, FolderExamples):
            check_classes(examples, experiment.class_names)
            experiment = with_class_map(experiment, examples)
        experiment = complete(experiment, len(examples), distribution)
        self.experiment = experiment
        self._examples = examples
        self._val_examples = open_examples(experiment, "validation", data_dir, skip_bad_examples)
        if isinstance(examples, FolderExamples):
            check_palettes(examples, self._val_examples, skip_bad_examples)
        self.batches = training_batches(
            experiment,
            examples,
            distribution,
            skip_bad_examples,
            open_pseudo_labelled(experiment, data_dir),
        )
        self.val_batches = validation_batches(
            experiment, self._val_examples, distribution, skip_bad_examples
        )
        self.shown_batches = self.val_batches  # Shown in TensorBoard.

    def compiled_model(self, num_steps: int) -> TrainingModel:
        """Build the model and compile it for a run of `num_steps`."""
        model = initial_model(self.experiment)
        self._scores = compile_model(model, self.experiment, num_steps)
        return model

    def metrics(self, model) -> dict:
        """Return the scores of the last validation."""
        count = len(self._val_examples) - len(self.val_batches.skipped)
        return evaluation_of(self._scores, model.class_names, count).summary()

    def save(self, model, path: Path) -> None:
        """Write the trained network."""
        model.training_long_side = typical_long_side(self._examples)
        model.save_to_preset(path)


class Classification:
    """Train a `Classifier`, and write the weights of its encoder; see `Segmentation`."""

    score = "accuracy"
    result = "encoder.weights.h5"
    shown_batches = None

    def __init__(
        self,
        experiment: ClassificationExperiment,
        data_dir: str | Path | None,
        distribution: Distribution,
        skip_bad_examples: bool,
    ):
        self.experiment = experiment
        train, val = _open_labelled_images(experiment, data_dir)
        self._num_classes, self._num_images = len(train.class_names), len(val)
        self.batches, self.val_batches = (
            ClassificationBatches(
                examples,
                experiment.image_size,
                batch_size=experiment.batch_size,
                augment=training,
                shuffle=training,
                seed=experiment.seed,
                # A last batch that devices cannot share is skipped, in validation, too.
                drop_remainder=distribution.drops_remainder(
                    len(examples),
                    experiment.batch_size,
                    experiment.gradient_accumulation_steps if training else 1,
                ),
                skip_bad_examples=skip_bad_examples,
                shard=distribution.worker,
            )
            for examples, training in ((train, True), (val, False))
        )

    def compiled_model(self, num_steps: int) -> TrainingModel:
        """Build the model and compile it for a run of `num_steps`."""
        experiment = self.experiment
        model = Classifier(
            experiment.encoder,
            num_classes=self._num_classes,
            channels=experiment.channels,
            activation=experiment.activation,
            dropout=experiment.dropout,
            dtype=experiment.mixed_precision and f"mixed_{experiment.mixed_precision}",
        )
        loss = LabelCrossEntropy(label_smoothing=experiment.label_smoothing)
        model.compile(loss=loss, **compile_options(experiment, num_steps))
        return model

    def metrics(self, model) -> dict:
        """Return the scores of the last validation."""
        scores = {name: float(value) for name, value in model.get_metrics_result().items()}
        return scores | {"num_images": self._num_images}

    def save(self, model, path: Path) -> None:
        """Write the trained encoder."""
        model.save_encoder_weights(path)


def _open_labelled_images(experiment, data_dir):
    """Return the training and validation images of a classification experiment."""
    if data_dir is None:
        raise ValueError(f"This experiment reads {experiment.data} from a folder: pass data_dir.")
    if experiment.data == "imagenet2012":
        train, val = (imagenet2012(data_dir, split) for split in ("train", "validation"))
    else:
        train = class_folders(Path(data_dir) / experiment.train_images)
        # Class ids are those of training, also if a class has no validation images.
        val = class_folders(Path(data_dir) / experiment.val_images, train.class_names)
    found = len(train.class_names)
    if experiment.num_classes not in (None, found):
        raise ValueError(
            f"num_classes={experiment.num_classes}, but the images have {found} classes. "
            "Omit num_classes."
        )
    return train, val


TASKS = {"segmentation": Segmentation, "classification": Classification}

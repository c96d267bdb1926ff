"""`eseg evaluate`."""

import dataclasses
from pathlib import Path

from eseg_keras.cli.model_flags import add_model_arguments, load_model

# What `--set` may change, by what the images are: how they are read, and nothing of the training.
READING = ("label_map", "mask_colors", "mask_suffix", "reduce_zero_label", "long_side")
FOLDERS = (*READING, "val_images", "val_masks", "num_classes", "class_names")
SCENES = ("val_examples", "image_size", "seed")

HELP = "score a model on photos with masks"
EXAMPLE = [
    "eseg evaluate --model_dir runs/demo",
    "eseg evaluate --preset runs/photos/preset --images photos/val --masks masks/val \\",
    "    --set label_map=11:255 --output scores.json",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    add_model_arguments(parser)
    parser.add_argument("--images", help="folder of photos")
    parser.add_argument("--masks", help="folder of their masks")
    parser.add_argument(
        "--experiment", help="experiment whose validation images are used; a run's own by default"
    )
    parser.add_argument("--data_dir", help="folder of the experiment's data")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change how the images are read, such as label_map=11:255; may be repeated",
    )
    parser.add_argument("--output", help="JSON file for the scores")


def run(args) -> int:
    """Evaluate, print the scores and write them."""
    from eseg_keras.training.overrides import override

    if bool(args.images) != bool(args.masks):
        raise ValueError("--images and --masks go together: give both, or neither.")
    if args.images and args.experiment:
        raise ValueError("--images and --experiment both name the images: give one of them.")
    experiment, data_dir = _experiment(args)
    assignments = [] if args.long_side is None else [f"long_side={args.long_side}"]
    if args.images:
        keys = READING
    else:
        keys = FOLDERS if experiment.data == "folders" else SCENES
    experiment = override(experiment, [*args.set, *assignments], keys)
    model = load_model(args)
    if args.images:
        experiment = dataclasses.replace(
            experiment,
            num_classes=model.num_classes,
            class_names=model.class_names,
            ignore_label=model.ignore_label,
        )

    from rich.progress import track

    from eseg_keras.cli.tables import print_scores
    from eseg_keras.inference.evaluation import evaluate
    from eseg_keras.training.data import open_examples, validation_batches
    from eseg_keras.training.run_files import write_json

    if experiment.num_classes != model.num_classes:
        raise ValueError(
            f"The model has {model.num_classes} classes, the images have "
            f"{experiment.num_classes}. Choose a model that was trained on these classes."
        )
    examples = open_examples(experiment, "validation", data_dir)
    batches = validation_batches(experiment, examples).to_py_dataset()
    scores = evaluate(model, track(batches, "Evaluating", transient=True)).as_dict()
    print_scores(scores, title="Evaluation")
    if args.output:
        write_json(Path(args.output), scores)
        print(f"Scores: {args.output}")
    return 0


def _experiment(args):
    from eseg_keras.training.experiment import Experiment, load_experiment
    from eseg_keras.training.run_files import read_config

    if args.images:
        # A run knows how its masks are to be read; only the folders are others.
        experiment = read_config(args.model_dir)[0] if args.model_dir else Experiment()
        images, masks = (str(Path(folder).resolve()) for folder in (args.images, args.masks))
        folders = {"data": "folders", "val_images": images, "val_masks": masks}
        return dataclasses.replace(experiment, **folders), "."
    if args.experiment:
        return load_experiment(args.experiment), args.data_dir
    if args.model_dir:
        experiment, data_dir = read_config(args.model_dir)
        return experiment, args.data_dir or data_dir
    raise ValueError("Which images? Give --images and --masks, or --experiment.")

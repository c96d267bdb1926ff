"""The command `eseg evaluate`: score predictions on images with masks."""

import contextlib
import dataclasses
import itertools
from pathlib import Path

from eseg_keras.cli.flags import (
    PREDICTOR_FLAGS,
    add_examples_arguments,
    add_predictor_arguments,
    check_data_dir,
    check_parent,
    check_segmentation,
    load_model,
    make_predictor,
    run_experiment,
)

# Keys that `--set` may change for each kind of data. For images in folders, `--set` may also change
# the keys in `READING`.
SEEN = ("long_side", "eval_size")
FOLDERS = (*SEEN, "val_images", "val_masks", "num_classes", "class_names")
DATA_SETS = ("val_split", *SEEN)
SCENES = ("val_examples", "image_size", "seed", "eval_size")
FILES = (
    "class_names", "num_classes", "ignore_label", "class_map", "mask_colors", "mask_suffix",
    "image_suffix", "reduce_zero_label",
)  # fmt: skip

HELP = "score a model, or label maps in files, on images with masks"
EXAMPLE = [
    "eseg evaluate --model_dir runs/demo --report runs/demo/report",
    "eseg evaluate --preset runs/mine/preset --images images/val --masks masks/val \\",
    "    --set class_map=11:255 --output scores.json",
    "eseg evaluate --exported mine.tflite --images images/val --masks masks/val",
    "eseg evaluate --model_dir runs/cityscapes/eseg_s --set val_split=test --submission results",
    "eseg evaluate --predictions results --masks gtFine/val --rules cityscapes",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    add_examples_arguments(
        parser,
        "change which images are read, or how they are read, such as val_split=test for a "
        "published data set or class_map=11:255 for folders",
    )
    parser.add_argument(
        "--predictions",
        metavar="DIR",
        help="folder of label maps (PNG) of any network, to score against --masks without a model",
    )
    parser.add_argument(
        "--rules",
        choices=("default", "cityscapes", "ade20k"),
        help="with --predictions: rules by which scores are computed; the "
        "rules of a benchmark require its published masks; the default rules "
        "are named default and require --set class_names or num_classes",
    )
    parser.add_argument(
        "--prediction_ids",
        choices=("classes", "masks"),
        help="with --predictions: whether the predictions contain class ids "
        "(0, 1, ...) or the ids of the mask files; default: masks for the "
        "rules cityscapes and ade20k, else classes",
    )
    parser.add_argument(
        "--output", help="file for the scores: .json (everything) or .csv (one row per class)"
    )
    parser.add_argument(
        "--report", metavar="DIR", help="folder for a web page with the scores and worst images"
    )
    parser.add_argument(
        "--submission",
        metavar="DIR",
        help="new folder for label maps in the format of the Cityscapes and ADE20K servers; with "
        "--images but no --masks, or with the test split of Cityscapes, no "
        "scores are computed",
    )
    add_predictor_arguments(parser, exported=True, required=False)


def run(args) -> int:
    """Evaluate, print the scores and write them."""
    if args.predictions:
        return _score_files(args)
    if not (args.preset or args.model_dir or args.exported):
        raise ValueError("No model given. Pass --preset, --model_dir, --exported or --predictions.")
    for flag in ("rules", "prediction_ids"):
        if getattr(args, flag):
            raise ValueError(f"--{flag} has no effect without --predictions. Omit it.")
    experiment, data_dir = _experiment(args)
    # The published masks of the Cityscapes test split are placeholders: its labels are secret.
    is_secret = (experiment.data, experiment.val_split) == ("cityscapes", "test")
    has_labels = not is_secret and bool(args.masks or not args.images)
    _check_outputs(args, has_labels)
    reading, images = {}, None
    if not (has_labels or is_secret):  # Else `open_examples` reads the images.
        reading = {name: getattr(experiment, name) for name in ("image_range", "first_frame")}
        images = _images(args.images, experiment.first_frame)
    model = _load_exported(args, reading) if args.exported else load_model(args)
    if args.images:
        experiment = dataclasses.replace(
            experiment,
            num_classes=model.num_classes,
            class_names=model.class_names,
            ignore_label=model.ignore_label,
        )
    if experiment.num_classes != model.num_classes:
        raise ValueError(
            f"The model has {model.num_classes} classes, but the images have "
            f"{experiment.num_classes}. Choose a model that was trained on these classes."
        )
    # Street scenes are rendered at the requested size: neither training nor evaluation scales them.
    long_side = None if experiment.data == "street_scenes" else experiment.long_side
    sizes = {"long_side": long_side, "image_size": experiment.eval_size}
    if args.exported:
        predictor = model
        _check_own_size(args, **sizes)
    else:
        predictor = make_predictor(args, model, **sizes, **reading)
    benchmark = experiment.data if experiment.data in ("cityscapes", "ade20k") else None
    if images:
        examples, names = None, list(map(str, images))
        predictions = map(predictor, images) if args.exported else predictor.predict(images)
    else:
        from eseg_keras.evaluation.scoring import predictions_and_masks
        from eseg_keras.training.data import open_examples, with_training_class_map

        if not args.images:
            experiment = with_training_class_map(experiment, data_dir)
        # Scores are computed at the size of the masks, for any input size of the network.
        own_size = dataclasses.replace(experiment, long_side=None)
        examples = open_examples(own_size, "validation", data_dir, max_pixels=predictor.max_pixels)
        names = [examples.name(index) for index in range(len(examples))]
        predictions = (prediction for prediction, _ in predictions_and_masks(predictor, examples))
    submission = contextlib.nullcontext()
    if args.submission:
        from eseg_keras.evaluation.submission import Submission, benchmark_of

        server = benchmark or benchmark_of(model.class_names)
        submission = Submission(args.submission, server, names)
    if has_labels:
        _evaluate(args, benchmark, predictor, examples, submission)
    else:
        from eseg_keras.progress import Progress

        with submission, Progress("Predicting", total=len(names)) as progress:
            for prediction in progress.track(predictions):
                submission.add(prediction.name, prediction.label_map)
    if args.submission:
        count = f"{len(names)} label maps"
        print(f"Submission: {args.submission}, {count}. Upload the folder as a zip archive.")
    if is_secret:
        print("Nothing was scored: the labels of the test split are secret.")
    return 0


def _load_exported(args, reading):
    """Return the predictor of `--exported`; raise ValueError for options that it lacks."""
    flags = ("long_side", "scales", "flip", "tta", "window", "overlap", "min_confidence")
    for flag in flags:
        if getattr(args, flag):
            raise ValueError(
                f"--{flag} is for Keras networks; the exported file {args.exported} does not "
                "support it. Omit it."
            )

    from eseg_keras.export import ExportedPredictor

    if args.max_pixels is not None:
        reading = {**reading, "max_pixels": args.max_pixels}
    return ExportedPredictor(args.exported, **reading)


def _check_own_size(args, **sizes):
    """Raise ValueError if the experiment scales its images: exported files do not scale them."""
    for name, size in sizes.items():
        if size is not None:
            raise ValueError(
                f"The experiment scales images to {name}={size}, but {args.exported} does not. To "
                f"score unscaled images, pass --set {name}=none"
            )


def _experiment(args):
    """Return the experiment as changed by the flags, and its data directory."""
    from eseg_keras.training.experiment import READING, Experiment
    from eseg_keras.training.experiment_files import load_experiment
    from eseg_keras.training.overrides import override

    if args.masks and not args.images or args.images and not (args.masks or args.submission):
        raise ValueError(
            "--images and --masks must be used together. Without --masks, only a --submission can "
            "be written."
        )
    if args.images and args.experiment:
        raise ValueError("--images and --experiment both name the images: pass only one of them.")
    check_data_dir(args)
    data_dir = args.data_dir
    if args.images:
        # With --model_dir, files in other folders are read, but with the settings of the run.
        experiment = run_experiment(args.model_dir)[0] if args.model_dir else Experiment()
        experiment = dataclasses.replace(
            experiment,
            data="folders",
            val_images=str(Path(args.images).resolve()),
            val_masks=str(Path(args.masks or experiment.val_masks).resolve()),
        )
        data_dir = "."
        keys = (*READING, *SEEN) if args.masks else ("image_range", "first_frame", *SEEN)
        return override(experiment, args.set, keys), data_dir
    if args.experiment:
        experiment = check_segmentation(load_experiment(args.experiment), args.experiment)
    elif args.model_dir:
        experiment, run_data_dir = run_experiment(args.model_dir)
        data_dir = data_dir or run_data_dir
    else:
        raise ValueError("No images given. Pass --images and --masks, or --experiment.")
    keys = {"folders": (*READING, *FOLDERS), "street_scenes": SCENES}.get(
        experiment.data, DATA_SETS
    )
    return override(experiment, args.set, keys), data_dir


def _check_outputs(args, has_labels):
    """Raise an error if an output cannot be written or needs labels, before the slow steps."""
    for path in (args.output, args.report, args.submission):
        if path:
            check_parent(path)
    if args.output:
        from eseg_keras.evaluation.scores import check_suffix

        check_suffix(args.output)
    if args.report:
        from eseg_keras.optional import require

        require("matplotlib.figure", "visualization")
        if Path(args.report).is_file():
            raise ValueError(f"--report must be a folder, but {args.report} is a file.")
    if has_labels:
        return
    if not args.submission:
        raise ValueError(
            "The labels of the test split of Cityscapes are secret, so no scores can be computed: "
            "pass --submission DIR, and upload that folder."
        )
    if args.output or args.report:
        raise ValueError("Without labels there are no scores for --output and --report: omit them.")


def _images(folder, first_frame):
    """Return the images in a folder and its subfolders; Cityscapes has one subfolder per city."""
    from eseg_keras.inference.input_files import find_files

    files = find_files([folder], recursive=True, first_frame=first_frame)
    images = [file.path for file in files if not file.is_video]
    if not images:
        raise ValueError(f"{folder} contains only videos: a submission needs images.")
    return images


def _evaluate(args, benchmark, predictor, examples, submission):
    """Score a predictor, and print and write the scores."""
    from eseg_keras.evaluation.scoring import evaluate
    from eseg_keras.evaluation.worst_images import WorstImages
    from eseg_keras.progress import Progress

    worst = WorstImages()
    with submission, Progress("Evaluating", total=len(examples)) as progress:
        done = itertools.count(1)

        def on_image(prediction, mask, scores):
            if args.submission:
                submission.add(prediction.name, prediction.label_map)
            if args.report:
                worst.add(prediction, mask, scores)
            progress.update(next(done))

        evaluation = evaluate(predictor, examples, rules=benchmark or "default", on_image=on_image)
    details = {
        "Model": args.preset or args.model_dir or args.exported,
        "Images": args.images or args.experiment or f"validation images of {args.model_dir}",
        "Input size": "original size" if args.exported else _describe_view(predictor),
    }
    _print_and_write(args, evaluation, worst, details)


def _score_files(args) -> int:
    """Score label maps in files, and print and write the scores."""
    from eseg_keras.training.experiment import Experiment
    from eseg_keras.training.overrides import override

    for flag in (*PREDICTOR_FLAGS, "images", "experiment", "data_dir", "submission"):
        if getattr(args, flag):
            raise ValueError(f"--{flag} has no effect with --predictions. Omit it.")
    if not args.masks:
        raise ValueError("--predictions and --masks must be used together.")
    rules = args.rules or "default"
    if args.set and rules != "default":
        raise ValueError(f"--set has no effect with --rules {rules}. Omit it.")
    experiment = override(Experiment(), args.set, FILES)
    _check_outputs(args, has_labels=True)

    from eseg_keras.evaluation.label_map_files import evaluate_files
    from eseg_keras.evaluation.worst_images import WorstImages
    from eseg_keras.progress import Progress

    reading = {}
    if rules == "default":
        reading = {name: getattr(experiment, name) for name in FILES}
        reading["prediction_suffix"] = reading.pop("image_suffix")
    if args.max_pixels is not None:
        reading["max_pixels"] = args.max_pixels
    worst = WorstImages()
    with Progress("Evaluating") as progress:
        evaluation = evaluate_files(
            args.predictions,
            args.masks,
            rules=rules,
            prediction_ids=args.prediction_ids,
            show_progress=progress.track,
            on_image=worst.add if args.report else None,
            **reading,
        )
    details = {"Predictions": args.predictions, "Masks": args.masks, "Rules": rules}
    _print_and_write(args, evaluation, worst, details)
    return 0


def _print_and_write(args, evaluation, worst, details):
    """Print the scores, and write the files of --output and --report."""
    from eseg_keras.cli.tables import print_scores, print_worst_images
    from eseg_keras.evaluation.scores import write_score_files, write_scores

    print_scores(evaluation.summary(), title="Evaluation")
    print_worst_images(evaluation.images)
    if args.output:
        write_scores(evaluation, args.output)
        print(f"Scores: {args.output}")
    if args.report:
        from eseg_keras.evaluation.report import write_report

        write_score_files(evaluation, args.report)
        page = write_report(args.report, evaluation, worst, "Evaluation", details)
        print(f"Report: {page}")


def _describe_view(predictor):
    """Describe the size, windows and scales at which a predictor runs the network."""
    seen = "original size"
    if predictor.image_size:
        seen = "resized to fit into {}x{} pixels".format(*predictor.image_size)
    elif predictor.long_side:
        seen = f"resized to a longer side of {predictor.long_side} pixels"
    if predictor.window:
        seen += ", in windows of {}x{} pixels".format(*predictor.window)
    if predictor.scales != (1.0,):
        seen += ", at the scales " + ", ".join(f"{scale:g}" for scale in predictor.scales)
    return seen + " and mirrored" * predictor.flip

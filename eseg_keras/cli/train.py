"""`eseg train`."""

import signal

HELP = "train an experiment, or go on with one that was interrupted"
EXAMPLE = [
    "eseg train --experiment smoke/street_scenes --model_dir runs/demo",
    "eseg train --experiment folders/eseg_edge_s --data_dir images --model_dir runs/mine \\",
    "    --set class_names=background,person --set epochs=30",
    "eseg train --experiment cityscapes/eseg_s --data_dir data --model_dir runs/cityscapes \\",
    "    --strategy tpu --mixed_precision bfloat16",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument(
        "--experiment", required=True, help="name of an experiment, or a Python file of your own"
    )
    parser.add_argument("--data_dir", help="folder of the data; street scenes need none")
    parser.add_argument("--model_dir", required=True, help="folder for everything the run writes")
    parser.add_argument(
        "--init_from",
        metavar="SOURCE",
        help="weights to start from: a preset, a .keras file or the folder of a finished run; "
        "another number of classes is fine",
    )
    parser.add_argument(
        "--strategy",
        default="auto",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
        help="devices to train on; auto takes what there is",
    )
    parser.add_argument(
        "--mixed_precision", choices=("bfloat16", "float16"), help="type to compute in"
    )
    parser.add_argument(
        "--skip_bad_examples",
        action="store_true",
        help="leave out images that cannot be read, and count them",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the experiment; may be repeated",
    )


def run(args) -> int:
    """Train and print the scores."""
    from eseg_keras.training.classification_experiment import ClassificationExperiment
    from eseg_keras.training.experiment import load_experiment
    from eseg_keras.training.overrides import override

    flags = [
        f"{name}={getattr(args, name)}"
        for name in ("init_from", "mixed_precision")
        if getattr(args, name) is not None
    ]
    # Names and values are checked before TensorFlow is loaded.
    experiment = override(load_experiment(args.experiment), [*args.set, *flags])

    from eseg_keras.training.interruptions import Preempted
    from eseg_keras.training.run_files import is_finished

    was_finished = is_finished(args.model_dir)
    options = {"strategy": args.strategy, "skip_bad_examples": args.skip_bad_examples}
    try:
        show = _pretrain if isinstance(experiment, ClassificationExperiment) else _train
        metrics = show(experiment, args.model_dir, args.data_dir, options)
    except Preempted:
        print("eseg train: stopped by SIGTERM; the state is saved, and the same command goes on")
        return 128 + signal.SIGTERM
    if was_finished:
        print(
            f"{args.model_dir} holds this run already, complete: nothing was trained. "
            f"To train again: rm -r {args.model_dir}"
        )
    if skipped := metrics.get("skipped"):
        print(f"Left out {len(skipped)} images that could not be read: {', '.join(skipped)}")
    return 0


def _train(experiment, model_dir, data_dir, options):
    from eseg_keras.cli.tables import print_scores
    from eseg_keras.training.run import train

    metrics = train(experiment, model_dir, data_dir, **options)
    print_scores(metrics, title="Validation")
    print(f"Preset directory: {model_dir}/preset")
    return metrics


def _pretrain(experiment, model_dir, data_dir, options):
    from eseg_keras.training.pretraining import ENCODER_FILE, pretrain

    metrics = pretrain(experiment, model_dir, data_dir, **options)
    print(f"Validation, {metrics['num_images']} images: accuracy {metrics['accuracy']:.4f}")
    print(f"Encoder weights: {model_dir}/{ENCODER_FILE}")
    return metrics

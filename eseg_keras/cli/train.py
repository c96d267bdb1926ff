"""The command `eseg train`: train an experiment or resume a run."""

import signal

from eseg_keras.cli.flags import add_set_argument, add_set_first_frame_argument, check_parent

HELP = "train an experiment, or resume a run"
EXAMPLE = [
    "eseg train --experiment smoke/street_scenes --model_dir runs/demo",
    "eseg train --model_dir runs/demo",
    "eseg train --experiment folders/eseg_edge_s --data_dir images --model_dir runs/mine \\",
    "    --set class_names=background,person --set epochs=30",
    "eseg train --experiment cityscapes/eseg_s --data_dir data --model_dir runs/cityscapes \\",
    "    --strategy tpu --mixed_precision bfloat16",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument(
        "--experiment",
        help="name of an experiment, or the path of your own Python file; "
        "default: the experiment of the run in --model_dir, which is resumed",
    )
    parser.add_argument(
        "--data_dir",
        help="data folder (none for street scenes); default: that of the run",
    )
    parser.add_argument("--model_dir", required=True, help="folder for all files of the run")
    parser.add_argument(
        "--init_from",
        metavar="SOURCE",
        help="weights to start from: a preset, a .keras file or the folder of a finished run; the "
        "classes may differ",
    )
    parser.add_argument(
        "--strategy",
        default="auto",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
        help="devices to train on; default: auto, the best available",
    )
    parser.add_argument(
        "--mixed_precision", choices=("bfloat16", "float16"), help="compute dtype; default: float32"
    )
    parser.add_argument(
        "--skip_bad_examples",
        action="store_true",
        help="skip images that cannot be read, and count them",
    )
    parser.add_argument(
        "--tracker",
        choices=("tensorboard", "wandb", "mlflow"),
        default="tensorboard",
        help="also log to Weights & Biases or MLflow; default: tensorboard, whose files every run "
        "writes",
    )
    add_set_argument(parser, "change a value of the experiment")
    add_set_first_frame_argument(parser)


def run(args) -> int:
    """Train and print the scores."""
    from eseg_keras.training.experiment_files import load_experiment
    from eseg_keras.training.overrides import override
    from eseg_keras.training.run_files import is_finished, read_config

    flags = [
        f"{name}={getattr(args, name)}"
        for name in ("init_from", "mixed_precision")
        if getattr(args, name) is not None
    ]
    data_dir = args.data_dir
    if args.experiment is not None:
        experiment = load_experiment(args.experiment)
    else:
        experiment, run_data_dir = read_config(args.model_dir)
        data_dir = data_dir or run_data_dir
    # Check names, values and the folder before TensorFlow is imported, which is slow.
    experiment = override(experiment, [*args.set, *flags])
    if not is_finished(args.model_dir):
        check_parent(args.model_dir)

    from eseg_keras.training.callbacks import Preempted
    from eseg_keras.training.run import train

    was_finished = is_finished(args.model_dir)
    try:
        metrics = train(
            experiment,
            args.model_dir,
            data_dir,
            args.strategy,
            args.skip_bad_examples,
            tracker=args.tracker,
        )
    except Preempted:
        print(
            "eseg train: stopped by SIGTERM; the state is saved. "
            f"Resume with: eseg train --model_dir {args.model_dir}"
        )
        return 128 + signal.SIGTERM
    further = ""
    if experiment.task == "segmentation":
        from eseg_keras.cli.tables import print_scores

        print_scores(metrics, title="Validation")
        print(f"Preset directory: {args.model_dir}/preset")
        further = f"To train further: --init_from {args.model_dir} with another --model_dir. "
    else:
        print(f"Validation, {metrics['num_images']} images: accuracy {metrics['accuracy']:.4f}")
        print(f"Encoder weights: {args.model_dir}/encoder.weights.h5")
    if was_finished:
        print(
            f"{args.model_dir} already contains this finished run: nothing was trained. {further}"
            f"To train again: rm -r {args.model_dir}"
        )
    if skipped := metrics.get("skipped"):
        print(f"Skipped {len(skipped)} images that could not be read: {', '.join(skipped)}")
    return 0

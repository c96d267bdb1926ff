"""`eseg train`."""

HELP = "train an experiment, or go on with one that was interrupted"
EXAMPLE = [
    "eseg train --experiment smoke/street_scenes --model_dir runs/demo",
    "eseg train --experiment folders/eseg_lite_s --data_dir photos --model_dir runs/photos \\",
    "    --set class_names=background,person --set epochs=30",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument(
        "--experiment", required=True, help="name of an experiment, or a Python file of your own"
    )
    parser.add_argument("--data_dir", help="folder of the data; street scenes need none")
    parser.add_argument("--model_dir", required=True, help="folder for everything the run writes")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the experiment; may be repeated",
    )


def run(args) -> int:
    """Train and print the scores."""
    from eseg_keras.training.experiment import load_experiment
    from eseg_keras.training.overrides import override

    # Names and values are checked before TensorFlow is loaded.
    experiment = override(load_experiment(args.experiment), args.set)

    from eseg_keras.cli.tables import print_scores
    from eseg_keras.training.run import is_finished, train

    was_finished = is_finished(args.model_dir)
    metrics = train(experiment, args.model_dir, args.data_dir)
    if was_finished:
        print(
            f"{args.model_dir} holds this run already, complete: nothing was trained. "
            f"To train again: rm -r {args.model_dir}"
        )
    print_scores(metrics, title="Validation")
    print(f"Preset directory: {args.model_dir}/preset")
    return 0

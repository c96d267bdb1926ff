"""The command `eseg pseudo-label`: label images with a trained network."""

from eseg_keras.cli.flags import (
    add_first_frame_argument,
    add_weights_arguments,
    at_least,
    check_parent,
    load_model,
    run_experiment,
)

HELP = "predict pseudo labels of images with a trained network, for self-training"
EXAMPLE = [
    "eseg pseudo-label unlabelled --model_dir runs/teacher --output labelled",
    "eseg pseudo-label unlabelled --model_dir runs/teacher --output labelled --workers 8",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument("images", help="folder of images, searched with its subfolders")
    add_weights_arguments(parser)
    parser.add_argument(
        "--output",
        required=True,
        help="folder for labels/NAME.png and manifest.json; rerun the same command after an "
        "interruption",
    )
    parser.add_argument(
        "--min_confidence",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="ignore pixels whose largest probability is lower than this; "
        "default: 0.5, as in the paper",
    )
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        metavar="SCALE",
        help="average the probabilities over these scales of the image; "
        "default: 0.5 1 2, as in the paper",
    )
    parser.add_argument(
        "--no_flip", action="store_true", help="do not average with the mirrored image"
    )
    add_first_frame_argument(parser)
    parser.add_argument(
        "--workers",
        type=at_least(1),
        metavar="COUNT",
        help="number of Ray workers that share the images, on the cluster that RAY_ADDRESS names "
        "or that `ray start` started, else on this machine; default: only this process",
    )


def run(args) -> int:
    """Label the images and print the share of pixels that are kept."""
    from eseg_keras.cli.tables import number_table, print_table
    from eseg_keras.inference import TEST_TIME_SCALES, Predictor
    from eseg_keras.inference.input_files import find_files
    from eseg_keras.inference.pseudo_labels import MANIFEST, pseudo_label
    from eseg_keras.progress import Progress

    # Check the inputs before the model is loaded, which takes longer.
    check_parent(args.output)
    run = run_experiment(args.model_dir)[0] if args.model_dir else None
    reading = {"first_frame": args.first_frame or bool(run and run.first_frame)}
    find_files([args.images], True, exclude=args.output, log_skipped=False, **reading)
    predictor = Predictor(
        load_model(args),
        long_side=run and run.long_side,
        image_range=run and run.image_range,
        **reading,
        scales=tuple(args.scales or TEST_TIME_SCALES),
        flip=not args.no_flip,
        min_confidence=args.min_confidence,
    )
    with Progress("Labelling") as progress:
        files, manifest = pseudo_label(
            predictor, args.images, args.output, progress.update, args.workers
        )
    title = f"{manifest['num_images']} images, {100 * manifest['kept']:.1f}% of the pixels kept"
    table = number_table("class", "share %", title=title)
    for name, share in manifest["class_shares"].items():
        table.add_row(name, f"{100 * share:.1f}")
    print_table(table)
    print(f"Masks: {args.output}/labels; summary: {args.output}/{MANIFEST}")
    if files.failed:
        lines = "".join(f"\n  {problem}" for problem in files.failed.values())
        raise ValueError(f"{len(files.failed)} images cannot be used:{lines}")
    return 0

"""The command `eseg predict`: segment images and videos."""

from argparse import BooleanOptionalAction

from eseg_keras.cli.flags import (
    add_first_frame_argument,
    add_image_range_argument,
    add_predictor_arguments,
    check_parent,
    load_model,
    make_predictor,
    run_experiment,
)

HELP = "segment images and videos: overlays with a legend, and label maps"
EXAMPLE = [
    "eseg predict image.jpg images/val --model_dir runs/demo --output predictions",
    "eseg predict drive.mp4 --preset eseg_lite_s_streets --output predictions --alpha 0.6",
]

# With windows, an image of 12 megapixels needs less than 1.5 GB of memory with ESeg-S or smaller.
_WINDOW = "auto"


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help="images, videos, or folders of them"
    )
    parser.add_argument(
        "--output",
        required=True,
        help="folder for labels/NAME.png (pixel values are class ids), overlays/NAME.png and "
        "videos/NAME.mp4 (without sound); rerun the same command after an interruption",
    )
    parser.add_argument(
        "--overlay",
        action=BooleanOptionalAction,
        default=True,
        help="write overlays: the images with the classes in colour; default: yes",
    )
    parser.add_argument(
        "--alpha", type=float, default=0.5, help="opacity of the colours, 0 to 1; default 0.5"
    )
    parser.add_argument(
        "--legend",
        action=BooleanOptionalAction,
        default=True,
        help="add a legend with the class names below overlays; below a "
        "video, only if the legend is at most half as high as the video; "
        "default: yes",
    )
    parser.add_argument(
        "--maps",
        nargs="+",
        choices=("confidence", "entropy", "margin", "probabilities"),
        default=(),
        metavar="MAP",
        help="also write these maps: confidence, entropy, margin (MAP/NAME.png, grey 0..255 for "
        "0..1), probabilities (probabilities/NAME.npz, float16 [H, W, C])",
    )
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="also search subfolders; the output mirrors them",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="predict everything again; required if --output contains other predictions",
    )
    parser.add_argument(
        "--batch_size",
        type=int,
        default=1,
        help="number of images (of equal size) or windows per batch; default: 1",
    )
    add_image_range_argument(parser)
    add_first_frame_argument(parser)
    add_predictor_arguments(parser, window=_WINDOW)


def run(args) -> int:
    """Segment the files; at the end, list those that cannot be used."""
    from eseg_keras.inference.input_files import find_files
    from eseg_keras.inference.prediction_job import predict_files
    from eseg_keras.progress import Progress

    if not 0 <= args.alpha <= 1:
        raise ValueError(f"--alpha must be between 0 and 1. Received: {args.alpha}")
    # Check the inputs before the model is loaded, which takes longer.
    check_parent(args.output)
    run = run_experiment(args.model_dir)[0] if args.model_dir else None
    reading = {"first_frame": args.first_frame or bool(run and run.first_frame)}
    find_files(args.inputs, args.recursive, exclude=args.output, log_skipped=False, **reading)
    model = load_model(args)
    predictor = make_predictor(
        args,
        model,
        long_side=run and run.long_side,
        window=_WINDOW,
        image_range=args.image_range or (run and run.image_range),
        **reading,
        batch_size=args.batch_size,
        maps=tuple(args.maps),
    )
    with Progress("Predicting") as progress:
        files = predict_files(
            predictor,
            args.inputs,
            args.output,
            overlay=args.overlay,
            alpha=args.alpha,
            legend=args.legend,
            recursive=args.recursive,
            overwrite=args.overwrite,
            on_progress=progress.update,
        )
    written, skipped, failed = len(files.written), len(files.skipped), len(files.failed)
    if written or skipped:
        there = f", {skipped} existed already" if skipped else ""
        print(f"{written} file{'s' * (written != 1)} predicted{there}: {args.output}")
    if failed:
        problems = list(files.failed.values())
        if failed == 1:
            raise ValueError(problems[0])
        lines = "".join(f"\n  {problem}" for problem in problems)
        total = written + skipped + failed
        raise ValueError(f"{failed} of {total} files cannot be used:{lines}")
    return 0

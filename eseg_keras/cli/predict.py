"""`eseg predict`."""

from eseg_keras.cli.model_flags import add_model_arguments, load_model
from eseg_keras.cli.predictor_flags import add_predictor_arguments, make_predictor

MAPS = ("confidence", "entropy", "margin", "probabilities")

HELP = "segment pictures and videos: overlays with a legend, and label maps"
EXAMPLE = [
    "eseg predict photo.jpg photos/val --model_dir runs/demo --output predictions",
    "eseg predict drive.mp4 --preset eseg_lite_s_streets --output predictions --alpha 0.6",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    from argparse import BooleanOptionalAction

    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help="pictures, videos, or folders of them"
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--output",
        required=True,
        help="folder for labels/NAME.png (pixel values are class ids), overlays/NAME.png and "
        "videos/NAME.mp4 (without sound); a run that was killed goes on where it stopped",
    )
    parser.add_argument(
        "--overlay",
        action=BooleanOptionalAction,
        default=True,
        help="write the classes' colours over the pictures; default: yes",
    )
    parser.add_argument(
        "--alpha", type=float, default=0.5, help="strength of the colours, 0 to 1; default 0.5"
    )
    parser.add_argument(
        "--legend",
        action=BooleanOptionalAction,
        default=True,
        help="name the classes below an overlay, unless that gets higher than half of a video; "
        "default: yes",
    )
    parser.add_argument(
        "--maps",
        nargs="+",
        choices=MAPS,
        default=(),
        metavar="MAP",
        help="also write MAP/NAME.png, grey 0..255 for 0..1, of confidence, entropy or margin, "
        "or probabilities/NAME.npz, float16 [H, W, C]",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="search folders below, too, and keep them"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="predict everything again; needed if --output holds other predictions",
    )
    parser.add_argument(
        "--batch_size",
        type=int,
        default=1,
        help="pictures of one size, or windows, at a time; default 1",
    )
    add_predictor_arguments(parser)


def run(args) -> int:
    """Segment the files, and say at the end which cannot be used."""
    from eseg_keras.inference.input_files import find_files
    from eseg_keras.inference.prediction_job import predict_files
    from eseg_keras.progress import Progress
    from eseg_keras.training.run_files import read_config

    if not 0 <= args.alpha <= 1:
        raise ValueError(f"--alpha must be between 0 and 1. Received: {args.alpha}")
    # Before the model is loaded, which takes longer.
    find_files(args.inputs, args.recursive, exclude=args.output, log_skipped=False)
    model = load_model(args)
    size = {}
    if args.model_dir and args.long_side is None and args.window is None:
        size = {"long_side": read_config(args.model_dir)[0].long_side}
    predictor = make_predictor(
        args, model, batch_size=args.batch_size, maps=tuple(args.maps), **size
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
    if files.written or files.skipped:
        there = f", {len(files.skipped)} were there already" if files.skipped else ""
        print(f"{_count(len(files.written))} predicted{there}: {args.output}")
    if files.failed:
        raise ValueError(_failures(files))
    return 0


def _failures(files):
    """One line for one file, a line each for several."""
    problems = list(files.failed.values())
    if len(problems) == 1:
        return problems[0]
    total = len(files.written) + len(files.skipped) + len(problems)
    lines = "".join(f"\n  {problem}" for problem in problems)
    return f"{len(problems)} of {total} files cannot be used:{lines}"


def _count(number):
    return f"{number} file{'' if number == 1 else 's'}"

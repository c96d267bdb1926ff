"""`eseg predict`."""

from eseg_keras.cli.model_flags import add_model_arguments, load_model

HELP = "segment pictures: an overlay with a legend and a label map for each"
EXAMPLE = ["eseg predict photo.jpg photos/val --model_dir runs/demo --output predictions"]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="pictures, or folders of pictures")
    add_model_arguments(parser)
    parser.add_argument(
        "--output",
        required=True,
        help="folder for overlays/NAME.png and labels/NAME.png (pixel values are class ids)",
    )
    parser.add_argument(
        "--alpha", type=float, default=0.5, help="strength of the colours, 0 to 1; default 0.5"
    )


def run(args) -> int:
    """Segment the pictures one by one."""
    from eseg_keras.inference.predict import find_images, predict_files
    from eseg_keras.training.run_files import read_config

    if not 0 <= args.alpha <= 1:
        raise ValueError(f"--alpha must be between 0 and 1. Received: {args.alpha}")
    paths = find_images(args.inputs)
    model = load_model(args)
    long_side = args.long_side
    if long_side is None and args.model_dir:
        long_side = read_config(args.model_dir)[0].long_side

    from rich.progress import track

    written = predict_files(model, paths, args.output, alpha=args.alpha, long_side=long_side)
    for _ in track(written, "Predicting", total=len(paths), transient=True):
        pass
    print(f"{len(paths)} pictures: {args.output}/overlays and {args.output}/labels")
    return 0

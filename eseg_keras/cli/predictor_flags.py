"""The flags by which evaluate and predict choose how the network sees its images."""


def add_predictor_arguments(parser) -> None:
    """Add the flags of `Predictor`; without any, an image is seen once, whole, at one scale."""
    group = parser.add_argument_group("how the network sees the images")
    group.add_argument(
        "--scales",
        type=float,
        nargs="+",
        metavar="SCALE",
        help="average the probabilities over the image at these scales, such as 0.5 1 2",
    )
    group.add_argument("--flip", action="store_true", help="average with the mirrored image, too")
    group.add_argument(
        "--tta", action="store_true", help="as in the paper: --scales 0.5 1 2 --flip"
    )
    group.add_argument(
        "--window",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="slide a window over the image in its own size, which bounds the memory that a large "
        "one takes",
    )
    group.add_argument(
        "--overlap", type=int, metavar="PIXELS", help="by which neighbouring windows overlap"
    )
    group.add_argument(
        "--min_confidence",
        type=float,
        metavar="SHARE",
        help="pixels whose largest probability is below this, 0 to 1, get no class",
    )
    group.add_argument(
        "--max_pixels", type=int, metavar="COUNT", help="refuse images with more pixels than this"
    )


def make_predictor(
    args,
    model,
    *,
    long_side: int | None = None,
    image_size: tuple[int, int] | None = None,
    **options,
):
    """Make the predictor that the flags describe.

    Args:
        args: Parsed flags of `add_model_arguments` and `add_predictor_arguments`.
        model: An `ESeg` model.
        long_side: Longer side in pixels at which the network sees an image, where `--long_side`
            does not say.
        image_size: (height, width) that an image is fitted into, where `--long_side` does not say;
            goes before `long_side`.
        **options: Further arguments of `Predictor`, such as `maps`.

    Returns:
        A `Predictor`.

    Raises:
        ValueError: If the flags contradict each other, or a value is out of range.
    """
    from eseg_keras.inference.predictor import TEST_TIME_SCALES, Predictor

    if args.tta and args.scales:
        raise ValueError("--tta and --scales both name the scales: give one of them.")
    if args.long_side is not None:
        long_side, image_size = args.long_side, None
    elif image_size is not None:
        long_side = None
    if args.window is not None and args.long_side is None:
        # Windows slide over an image in its own size, whatever the run did with whole ones.
        long_side, image_size = None, None
    scales = TEST_TIME_SCALES if args.tta else tuple(args.scales or (1.0,))
    if args.max_pixels is not None:
        options["max_pixels"] = args.max_pixels
    return Predictor(
        model,
        long_side=long_side,
        image_size=image_size,
        scales=scales,
        flip=args.flip or args.tta,
        window=None if args.window is None else tuple(args.window),
        overlap=args.overlap,
        min_confidence=args.min_confidence,
        **options,
    )


def describe_view(predictor) -> str:
    """Say in words at which sizes the network sees the images of a predictor."""
    seen = "their own size"
    if predictor.image_size:
        seen = "{}x{} pixels, fitted whole".format(*predictor.image_size)
    elif predictor.long_side:
        seen = f"a longer side of {predictor.long_side} pixels"
    if predictor.window:
        seen += ", in windows of {}x{} pixels".format(*predictor.window)
    if predictor.scales != (1.0,):
        seen += ", at the scales " + ", ".join(f"{scale:g}" for scale in predictor.scales)
    return seen + ", mirrored as well" * predictor.flip

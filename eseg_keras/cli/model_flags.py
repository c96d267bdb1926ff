"""The flags by which commands choose their model and the size it works at."""

from pathlib import Path


def add_weights_arguments(parser) -> None:
    """Add `--preset` and `--model_dir`, of which one is needed."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--preset", help="name of a preset with trained weights, or its directory")
    group.add_argument("--model_dir", help="folder of a finished run of eseg train")


def add_model_arguments(parser) -> None:
    """Add `--preset` and `--model_dir`, of which one is needed, and `--long_side`."""
    add_weights_arguments(parser)
    parser.add_argument(
        "--long_side",
        type=int,
        help="pixels to which the longer side of a photo is scaled first; by default as the run of "
        "--model_dir had it, and the photos' own size for a preset",
    )


def add_calibration_argument(parser) -> None:
    """Add `--calibration_images`, for what is written with `--precision int8`."""
    parser.add_argument(
        "--calibration_images",
        metavar="FOLDER",
        help="int8: images of the task, some tens of them, also in subfolders, from which the "
        "ranges of the values are taken; default: synthetic street scenes",
    )


def check_calibration(args) -> None:
    """Refuse `--calibration_images` without `--precision int8`."""
    if args.calibration_images and args.precision != "int8":
        raise ValueError("--calibration_images is for --precision int8. Give both, or neither.")


def load_model(args):
    """Load the model that the flags name.

    Args:
        args: Parsed flags.

    Returns:
        An `ESeg` model.

    Raises:
        ValueError: If the run is not finished, or there is no such preset.
    """
    preset = args.preset
    if preset is None:
        preset = Path(args.model_dir) / "preset"
        if not preset.is_dir():
            raise ValueError(
                f"{args.model_dir} holds no finished run: {preset} is missing. "
                "Run eseg train with this --model_dir to its end first."
            )
    from eseg_keras.models import ESeg

    return ESeg.from_preset(str(preset))

"""Flags that several commands share, and their checks."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from eseg_keras.image_size import SMALLEST_SIDE


def at_least(least: float, kind: type = int) -> Callable[[str], float]:
    """Return an argparse `type`: a parser of numbers with a lower limit."""

    def parse(text):
        value = kind(text)
        if not value >= least:  # Also true for nan.
            raise argparse.ArgumentTypeError(f"must be at least {least}. Received: {text}")
        return value

    parse.__name__ = kind.__name__
    return parse


def add_weights_arguments(parser, exported: bool = False, required: bool = True) -> None:
    """Add `--preset`, `--model_dir` and, optionally, `--exported`, which exclude each other."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--preset", help="name of a preset with trained weights, or its directory")
    add_model_dir_argument(group)
    if exported:
        group.add_argument(
            "--exported",
            metavar="FILE",
            help="file written by eseg export: .onnx, .tflite, .xml (OpenVINO) or the directory of "
            "a SavedModel",
        )


def add_model_dir_argument(group) -> None:
    """Add `--model_dir`, the folder of a run."""
    group.add_argument(
        "--model_dir",
        type=run_folder,
        help="folder of a finished run of eseg train or eseg finetune",
    )


def run_folder(folder: str) -> str:
    """Return the folder of a run: `folder` or, in a folder of `eseg finetune`, `folder/run`."""
    inner = Path(folder, "run")
    is_inside = (inner / "config.json").is_file() and not Path(folder, "config.json").exists()
    return str(inner) if is_inside else folder


def run_preset(model_dir: str) -> str:
    """Return the preset directory of a finished run, or raise `ValueError`."""
    preset = Path(model_dir) / "preset"
    if not preset.is_dir():
        raise ValueError(
            f"{model_dir} contains no finished run: {preset} is missing. "
            "Finish the run first: run eseg train with this --model_dir."
        )
    return str(preset)


def load_model(args):
    """Load the `ESeg` model that `--preset` or `--model_dir` names."""
    preset = args.preset or run_preset(args.model_dir)

    from eseg_keras.models import ESeg

    return ESeg.from_preset(preset)


def run_experiment(model_dir: str):
    """Return the experiment and the data directory of a segmentation run."""
    from eseg_keras.training.run_files import read_config

    experiment, data_dir = read_config(model_dir)
    return check_segmentation(experiment, model_dir), data_dir


def check_segmentation(experiment, source: str):
    """Return the experiment; raise ValueError if it is a classification experiment."""
    if experiment.task != "segmentation":
        raise ValueError(
            f"{source} is a classification experiment. Pass a segmentation experiment."
        )
    return experiment


def add_examples_arguments(parser, set_help: str) -> None:
    """Add the flags that define images with masks: two folders, or an experiment."""
    parser.add_argument("--images", help="folder of images")
    parser.add_argument("--masks", help="folder of their masks")
    parser.add_argument("--experiment", help="experiment whose images are used")
    parser.add_argument("--data_dir", help="folder of the experiment's data")
    add_set_argument(parser, set_help)
    add_set_first_frame_argument(parser)


def check_data_dir(args) -> None:
    """Raise ValueError if both `--data_dir` and `--images` are used."""
    if args.images and args.data_dir:
        raise ValueError(
            "--data_dir (for --experiment) and --images both name the images: pass only one of "
            "them."
        )


def add_set_argument(parser, help: str) -> None:
    """Add `--set KEY=VALUE`, which may be repeated."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help=f"{help}; may be repeated"
    )


def add_set_first_frame_argument(parser) -> None:
    """Add `--first_frame`, which is short for `--set first_frame=true`."""
    add_first_frame_argument(parser, action="append_const", dest="set", const="first_frame=true")


def add_image_size_argument(parser, default: tuple[int, int] | None, help: str = "") -> None:
    """Add `--image_size HEIGHT WIDTH`."""
    parser.add_argument(
        "--image_size",
        type=at_least(SMALLEST_SIDE),
        nargs=2,
        default=default,
        metavar=("HEIGHT", "WIDTH"),
        help=help or "default: {} {}".format(*default),
    )


def add_image_range_argument(parser) -> None:
    """Add `--image_range`, the image values of black and white."""
    parser.add_argument(
        "--image_range",
        type=float,
        nargs=2,
        metavar=("LOWEST", "HIGHEST"),
        help="image values of black and white, such as 0 1 for TIFF files of floats; default: "
        "those of the run in --model_dir, if any, else 0 65535 for 16-bit images and 0 255 for all "
        "others",
    )


def add_first_frame_argument(parser, **options) -> None:
    """Add the switch `--first_frame`: of files with several frames or pages, read the first."""
    parser.add_argument(
        "--first_frame",
        **({"action": "store_true"} | options),
        help="also read GIF files, and the first frame of other files with several frames or pages",
    )


def add_calibration_argument(parser) -> None:
    """Add `--calibration_images`, for `--precision int8`."""
    parser.add_argument(
        "--calibration_images",
        metavar="FOLDER",
        help="with --precision int8: folder (searched with its subfolders) of "
        "a few dozen images of your task, to calibrate the ranges of the "
        "activations; default: synthetic street scenes",
    )
    add_image_range_argument(parser)
    add_first_frame_argument(parser)


def read_calibration(args) -> dict:
    """Return {"calibration_images": images}, or {} without the flag."""
    image_range = args.image_range
    if not args.calibration_images:
        for flag in ("image_range", "first_frame"):
            if getattr(args, flag):
                raise ValueError(f"--{flag} requires --calibration_images.")
        return {}
    if args.precision != "int8":
        raise ValueError("--calibration_images requires --precision int8.")

    from eseg_keras.export.preparation import read_calibration_images

    run = run_experiment(args.model_dir)[0] if args.model_dir else None
    images = read_calibration_images(
        args.calibration_images,
        image_range or (run and run.image_range),
        args.first_frame or bool(run and run.first_frame),
    )
    return {"calibration_images": images}


# The flags of a model and of its `Predictor`, which have no effect on label maps in files.
PREDICTOR_FLAGS = (
    "preset", "model_dir", "exported", "long_side", "scales", "flip", "tta", "window", "overlap",
    "min_confidence",
)  # fmt: skip


def add_predictor_arguments(
    parser, exported: bool = False, required: bool = True, window: str | None = None
) -> None:
    """Add the flags of a model and of its `Predictor`; `window` is the default of `--window`."""
    add_weights_arguments(parser, exported, required)
    parser.add_argument(
        "--long_side",
        type=int,
        help="scale the longer side of each image to this many pixels first; "
        "default: as in the run of --model_dir; with --preset, images are not "
        "scaled",
    )
    group = parser.add_argument_group("inference options")
    group.add_argument(
        "--scales",
        type=float,
        nargs="+",
        metavar="SCALE",
        help="average the probabilities over these scales of the image, such as 0.5 1 2",
    )
    group.add_argument("--flip", action="store_true", help="also average with the mirrored image")
    group.add_argument(
        "--tta", action="store_true", help="as in the paper: --scales 0.5 1 2 --flip"
    )
    group.add_argument(
        "--window",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="slide a window over the image at full resolution, which limits the memory for large "
        "images; default: "
        + ("640 640 for images of more than 8.4 megapixels" if window else "no window"),
    )
    group.add_argument(
        "--overlap", type=int, metavar="PIXELS", help="overlap of neighbouring windows"
    )
    group.add_argument(
        "--min_confidence",
        type=float,
        metavar="SHARE",
        help="mark pixels whose largest probability is below this, 0 to 1, as unlabelled",
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
    window: str | None = None,
    **options,
):
    """Return the `Predictor` that the flags configure.

    `long_side` and `image_size` are the sizes of the run, of which `image_size` is used if both are
    given; the flags `--long_side` and `--window` override them. `window` is the default window; it
    is used only if images are not scaled.
    """
    from eseg_keras.inference.predictor import TEST_TIME_SCALES, Predictor

    if args.tta and args.scales:
        raise ValueError("--tta and --scales both set the scales: pass only one of them.")
    if args.long_side is not None or args.window is not None:
        long_side, image_size = args.long_side, None
    elif image_size is not None:
        long_side = None
    if args.window is not None:
        window = tuple(args.window)
    elif long_side is not None or image_size is not None:
        window = None
    if args.max_pixels is not None:
        options["max_pixels"] = args.max_pixels
    return Predictor(
        model,
        long_side=long_side,
        image_size=image_size,
        scales=TEST_TIME_SCALES if args.tta else tuple(args.scales or (1.0,)),
        flip=args.flip or args.tta,
        window=window,
        overlap=args.overlap,
        min_confidence=args.min_confidence,
        **options,
    )


def check_parent(path: str | Path) -> None:
    """Raise ValueError if an output path cannot be written.

    Commands call this function before any slow step.
    """
    path = Path(path).resolve()
    folder = next(place for place in (path, *path.parents) if place.exists())
    if folder == path and not path.is_dir():
        # A file is first written to the same folder, under a temporary name.
        folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: {folder} is not a folder.")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {folder}: {error.strerror}.") from error

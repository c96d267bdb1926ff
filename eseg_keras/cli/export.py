"""The command `eseg export`: export a network and verify the file."""

import importlib
from pathlib import Path
from typing import NamedTuple

from eseg_keras.cli.flags import (
    add_calibration_argument,
    add_image_size_argument,
    add_weights_arguments,
    check_parent,
    load_model,
    read_calibration,
)

HELP = "export a network for servers, phones, GPUs or browsers, and verify the file"
EXAMPLE = [
    "eseg export --preset eseg_lite_s_streets --format saved_model --output models/streets",
    "eseg export --model_dir runs/demo --format tflite --precision int8 "
    "--calibration_images images/train --image_size 512 1024 --output demo.tflite",
    "eseg export --model_dir runs/demo --format onnx --output demo.onnx",
]


class Format(NamedTuple):
    """An export format: exporter, flags that not all formats have, precisions, required suffix."""

    exporter: str  # `module.function`
    flags: tuple[str, ...]
    precisions: tuple[str, ...] = ()
    suffix: str | None = None


FORMATS = {
    "saved_model": Format(
        "eseg_keras.export.saved_model.exporter.export_saved_model", ("max_pixels", "version")
    ),
    "tflite": Format(
        "eseg_keras.export.tflite.exporter.export_tflite",
        ("precision", "calibration_images", "overwrite"),
        ("float32", "float16", "dynamic", "int8"),
    ),
    "onnx": Format(
        "eseg_keras.export.onnx.exporter.export_onnx",
        ("precision", "calibration_images", "overwrite"),
        ("float32", "int8"),
    ),
    "openvino": Format("eseg_keras.export.openvino.export_openvino", ("overwrite",), suffix=".xml"),
    "tensorrt": Format(
        "eseg_keras.export.tensorrt.exporter.export_tensorrt",
        ("precision", "overwrite"),
        ("fp32", "fp16"),
    ),
}

# {suffix: formats that may have this suffix}. All formats except OpenVINO, which requires .xml,
# also allow suffixes that are not listed here.
SUFFIXES = {
    ".tflite": ("tflite",), ".onnx": ("onnx", "tensorrt"), ".engine": ("tensorrt",),
    ".xml": ("openvino",), ".keras": (), ".h5": (), ".pb": (), ".bin": (),
}  # fmt: skip


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    add_weights_arguments(parser)
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument(
        "--output",
        required=True,
        help="file to write; for saved_model, a directory of versions: OUTPUT/1, OUTPUT/2, ...; "
        "the comparison with the network is written to OUTPUT.verification.json",
    )
    parser.add_argument(
        "--output_kind",
        choices=("labels", "logits", "probabilities"),
        default="labels",
        help="default: labels, the class id of each pixel",
    )
    parser.add_argument(
        "--input_dtype",
        choices=("uint8", "float32"),
        default="uint8",
        help="dtype of the images, with values of 0..255 for both; default: uint8",
    )
    add_image_size_argument(
        parser, None, "fixed size of the images; default: any size, and 1024 2048 for tensorrt"
    )
    parser.add_argument(
        "--precision",
        choices=sorted({name for format in FORMATS.values() for name in format.precisions}),
        help="; ".join(
            f"{name}: {', '.join(format.precisions)}"
            for name, format in FORMATS.items()
            if format.precisions
        )
        + "; float16 halves the file size, dynamic has 8-bit weights; default: 32 bits",
    )
    add_calibration_argument(parser)
    parser.add_argument(
        "--max_pixels",
        type=int,
        help=f"{', '.join(_formats_with('max_pixels'))}: image files with "
        "more pixels than this are rejected before they are decoded",
    )
    parser.add_argument(
        "--version",
        type=int,
        help=f"{', '.join(_formats_with('version'))}: version number; "
        "default: the highest existing version plus 1",
    )
    # The default is None, so that `_check` can tell whether the flag was given.
    parser.add_argument(
        "--overwrite",
        action="store_true",
        default=None,
        help=f"{', '.join(_formats_with('overwrite'))}: replace an existing file",
    )


def _formats_with(flag):
    return [name for name, format in FORMATS.items() if flag in format.flags]


def run(args) -> int:
    """Export the network, and print how the file's outputs differ from the network's."""
    _check(args)
    module, _, function = FORMATS[args.format].exporter.rpartition(".")
    export = getattr(importlib.import_module(module), function)
    options = {"output_kind": args.output_kind, "input_dtype": args.input_dtype}
    if args.image_size:
        options["image_size"] = tuple(args.image_size)
    for flag in ("precision", "max_pixels", "version"):
        if getattr(args, flag) is not None:
            options[flag] = getattr(args, flag)
    options |= read_calibration(args)
    model = load_model(args)
    if not args.calibration_images:
        options |= _street_scenes(args, model)
    verification = export(model, args.output, **options)
    # The path "." has no name: resolve it.
    output = Path(args.output)
    _print(output if output.name else output.resolve(), verification, args.version)
    return 0


def _street_scenes(args, model):
    """Return options with synthetic images for verification and, for int8, for calibration."""
    from eseg_keras.export.tensorrt.exporter import PAPER_SIZE
    from eseg_keras.street_scenes import calibration_scenes, scene_images

    built = model.image_shape[:2]
    channels = model.image_shape[-1]
    size = args.image_size or (None if None in built else built)
    largest = size or (PAPER_SIZE if args.format == "tensorrt" else (384, 768))
    options = {"verification_images": scene_images("test", 3, largest, channels)}
    if args.precision == "int8":
        options["calibration_images"] = calibration_scenes(size or (192, 384), channels)
    return options


def _check(args):
    """Raise `ValueError` for invalid flags before any slow step."""
    for flag in ("precision", "calibration_images", "max_pixels", "version", "overwrite"):
        if getattr(args, flag) is not None and flag not in FORMATS[args.format].flags:
            raise ValueError(
                f"--{flag} is for --format {' and '.join(_formats_with(flag))}. Omit it for "
                f"{args.format}."
            )
    precisions = FORMATS[args.format].precisions
    if args.precision and args.precision not in precisions:
        raise ValueError(
            f"--precision of {args.format} must be one of {', '.join(precisions)}. "
            f"Received: {args.precision}"
        )
    output = Path(args.output)
    if args.format not in SUFFIXES.get(output.suffix.lower(), FORMATS):
        raise ValueError(
            f"--output {output} ends in {output.suffix}, which is not a suffix of --format "
            f"{args.format}. Change one of the two flags."
        )
    suffix = FORMATS[args.format].suffix
    if suffix not in (None, output.suffix):
        raise ValueError(f"--output of {args.format} must end in {suffix}. Received: {output}")
    check_parent(output)
    if args.format == "saved_model":
        return  # A version is a new folder in the output directory.
    if output.is_dir():
        raise ValueError(f"{output} is a directory. Give a file for --output.")
    files = [output]
    second = {"tensorrt": ".engine", "openvino": ".bin"}.get(args.format)
    if second is not None:
        files.append(output.with_suffix(second))
    for file in files:
        if file.exists() and not args.overwrite:
            raise ValueError(f"{file} exists. Choose another --output, or give --overwrite.")


def _print(output, verification, version):
    from rich.table import Table

    from eseg_keras.cli.tables import print_table

    sizes = ", ".join(f"{h}x{w}" for h, w in dict.fromkeys(verification.sizes))
    images = f"{verification.num_images} image{'s' * (verification.num_images != 1)}"
    table = Table("", show_header=False)
    table.add_column(justify="right")
    if verification.largest_difference is not None:
        table.add_row("largest difference", f"{verification.largest_difference:.3g}")
    if verification.relative_difference is not None:
        table.add_row("as a share of the logits' range", f"{verification.relative_difference:.2g}")
    shortfall = f"{verification.label_shortfall:.2g} of the range"
    table.add_row("label shortfall (best logit - logit of label)", shortfall)
    table.add_row("same label", f"{verification.label_agreement:.3%}")
    clear = f"same label, pixels with a clear label only ({verification.clear_pixels:.1%})"
    table.add_row(clear, f"{verification.clear_label_agreement:.3%}")
    table.add_row("compared on", f"{images} of {sizes}")
    written = output
    if output.is_dir():  # A SavedModel: count only the new version.
        versions = [int(path.name) for path in output.iterdir() if path.name.isdecimal()]
        written = output / str(max(versions) if version is None else version)
    files = [file for file in (written, *written.rglob("*")) if file.is_file()]
    if output.suffix == ".xml":
        files.append(output.with_suffix(".bin"))
    print(f"Written: {output}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")
    print(f"{verification.runtime} compared with Keras:")
    print_table(table)
    print(f"Comparison: {output}.verification.json")

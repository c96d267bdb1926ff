"""Latency of one image, for every preset in every format and for other networks.

    python benchmarks/latency.py
    python benchmarks/latency.py --presets eseg_lite_s eseg_s --sizes 1024x2048 --formats onnx \
        --against runs/peers/*.onnx

The latency is that from a uint8 image in memory to its label map. At each size all variants are
loaded and then run interleaved, so that other load on the machine affects all of them. This needs
memory for all presets at once; use fewer `--presets` to save memory. Files are exported for the
measured size and kept in `--cache_dir`. `--against` takes any ONNX files with one image as input,
such as those of `peers.py`; all of their outputs are computed.

Ratios are printed first: they are relative to `--reference`, in the same round. Rows are written
after each size; runs resume.
"""

import argparse
import multiprocessing
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from kept_rows import is_measured, read_rows, write_rows

from eseg_keras.machine import machine
from eseg_keras.presets.catalog import ARCHITECTURES

PRESETS = tuple(ARCHITECTURES)
FORMATS = ("keras", "saved_model", "tflite", "tflite_int8", "onnx", "onnx_int8", "openvino")
SIZES = ((512, 1024), (1024, 2048))
EXTERNAL = "external"  # The format of --against files in the CSV.


def main():
    """Measure the variants that have no row in the CSV, and print them, ratios first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--presets",
        nargs="*",
        default=PRESETS,
        help="names or directories; default: all architectures, with random weights",
    )
    parser.add_argument("--sizes", nargs="+", type=size, default=SIZES, help="such as 512x1024")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument(
        "--against", action="extend", nargs="+", default=[], metavar="FILE", help="ONNX files"
    )
    parser.add_argument(
        "--reference",
        nargs=2,
        default=("eseg_lite_s", "onnx"),
        metavar=("NETWORK", "FORMAT"),
        help="variant whose ratio is 1; the format of --against files is 'external'; default: "
        "eseg_lite_s onnx, or the first variant",
    )
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    here = Path(__file__).parent
    parser.add_argument(
        "--cache_dir",
        type=Path,
        default=here.parent / "runs" / "benchmark",
        help="folder that keeps the exported files; default: %(default)s",
    )
    default = here / "results" / "latency.csv"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.threads < 1 or arguments.rounds < 1:
        parser.error("--threads and --rounds must be at least 1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    failed = False
    for height, width in arguments.sizes:
        name = f"{height}x{width}"
        variants = missing_variants(arguments, name)
        if not variants:
            print(f"{name}: measured before")
            continue
        # In a separate process: TensorFlow's threads can be set only once, and memory is freed.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            rows, skipped = process.submit(measure, arguments, (height, width), variants).result()
        for variant, reason in skipped.items():
            print(f"  skipped: {variant}: {reason}")
        for row in sorted(rows, key=lambda row: row["ratio"]):
            print(summary(row))
        failed = failed or not rows
        kept = read_rows(arguments.output)
        # The reference may already have a row, from an earlier run with fewer variants.
        new = [row for row in rows if not is_measured(kept, case(row))]
        if new:
            write_rows(arguments.output, [*kept, *new])
    print(f"Results: {arguments.output}")
    sys.exit(1 if failed else 0)


def size(text: str) -> tuple[int, int]:
    """Return (height, width) of a text such as `512x1024`."""
    sides = tuple(int(side) for side in text.split("x")) if re.fullmatch(r"\d+x\d+", text) else ()
    if len(sides) != 2 or min(sides) < 32:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH, at least 32x32, not {text}")
    return sides


def case(row: dict) -> dict:
    """Return the columns of a row that define what was measured, without the results."""
    return {name: row[name] for name in ("network", "format", "size", "batch_size", "threads")}


def missing_variants(arguments: argparse.Namespace, size: str) -> list[tuple[str, str]]:
    """Return (network, format) of the variants without a row in the CSV, and of the reference."""
    from eseg_keras.latency.measurement import network_name

    variants = [
        (network_name(preset), format_)
        for preset in arguments.presets
        for format_ in arguments.formats
    ]
    variants += [(Path(path).stem, EXTERNAL) for path in arguments.against]
    kept = read_rows(arguments.output)
    asked = {"size": size, "batch_size": 1, "threads": arguments.threads}
    missing = [
        variant
        for variant in variants
        if not is_measured(kept, dict(zip(("network", "format"), variant, strict=True)) | asked)
    ]
    if not missing:
        return []
    return [v for v in variants if v in missing or v == tuple(arguments.reference)]


def measure(arguments, image_size, variants) -> tuple[list[dict], dict]:
    """Measure one size, in a separate process.

    Returns:
        Rows, and {skipped variant: reason}.
    """
    from eseg_keras.latency import load_variants, result_rows
    from eseg_keras.latency import measure as measure_rounds

    def report(text):
        print(f"  {text}", flush=True)

    print(f"{image_size[0]}x{image_size[1]}", flush=True)
    loaded = load_variants(
        arguments.presets,
        arguments.formats,
        image_size,
        arguments.threads,
        arguments.cache_dir,
        against=arguments.against,
        wanted=lambda variant: variant in variants,
        report=report,
    )
    rounds = list(measure_rounds(loaded, arguments.rounds, report=report))
    if not rounds:
        return [], loaded.skipped
    reference = tuple(arguments.reference)
    timed = list(rounds[0])
    rows = result_rows(loaded, rounds, next((v for v in timed if v == reference), timed[0]))
    # A load above the number of cores means that other programs were running.
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else ""
    return [{**row, "load_average": load, **machine()} for row in rows], loaded.skipped


def summary(row: dict) -> str:
    """Return a row as a line of text."""
    return (
        f"{row['ratio']:7.2f}  {row['network']} {row['format']}: {row['median_ms']:.1f} ms "
        f"({row['lower_quartile_ms']:.1f} to {row['upper_quartile_ms']:.1f}), {row['output']}"
    )


if __name__ == "__main__":
    main()
